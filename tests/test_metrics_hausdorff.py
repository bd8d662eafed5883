"""Hausdorff distance against all pairs of voxels, and UW-Madison's mix."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from kagglekit import metrics
from kagglekit.errors import RLEError
from kagglekit.metrics import DiceSums
from kagglekit.rle import RLE
from tests import slow_metrics

SHAPE = (4, 5, 3)
FEW = st.sets(st.integers(0, 59), max_size=6)


def volume(places: set[int]) -> np.ndarray:
    found = np.zeros(60, bool)
    found[list(places)] = True
    return found.reshape(SHAPE)


VOLUMES = st.one_of(arrays(bool, SHAPE), st.builds(volume, FEW))


def slices(found: np.ndarray, order: str = "F") -> list[RLE]:
    return [RLE.from_mask(each, order=order) for each in found]


@given(VOLUMES, VOLUMES)
def test_it_is_that_of_all_pairs_of_voxels(pred, truth) -> None:
    expected = slow_metrics.hausdorff(pred, truth)
    got = metrics.hausdorff(slices(pred, "C"), slices(truth))
    assert got == (None if expected is None else pytest.approx(expected, abs=1e-12))


@pytest.mark.parametrize("seed", range(6))
def test_large_slices_are_as_the_distance_transform_has_them(seed: int) -> None:
    shape = (5, 60 + 7 * seed, 90)
    rng = np.random.default_rng(seed)
    a, b = (
        ndimage.gaussian_filter(rng.random(shape), (1, 5, 5)) > 0.5 + shift
        for shift in ((0.0, 0.0), (0.01, 0.02), (-0.01, 0.01))[seed % 3]
    )
    a[:, :20, :20] = seed % 2  # far from b, and with nothing near
    b[:, :40, :40] = False
    sides = [1 / side for side in shape]
    expected = max(
        ndimage.distance_transform_edt(~other, sampling=sides)[one].max()
        for one, other in ((a, b), (b, a))
    )
    got = metrics.hausdorff(slices(a), slices(b, "C"))
    assert got == pytest.approx(expected / math.sqrt(3), abs=1e-12)


@given(VOLUMES, VOLUMES)
def test_it_is_a_distance(a, b) -> None:
    a[0, 0, 0] = b[3, 4, 2] = True
    there, back = metrics.hausdorff(slices(a), slices(b)), metrics.hausdorff(slices(b), slices(a))
    assert there == back
    assert 0 <= there < 1
    assert (there == 0) == np.array_equal(a, b)


def test_the_voxel_farthest_away_may_lie_inside() -> None:
    # Of a ball in a shell the centre is farthest from the shell; the shell has no other.
    shell = np.ones((7, 7, 7), bool)
    shell[1:6, 1:6, 1:6] = False
    ball = np.zeros_like(shell)
    ball[1:6, 1:6, 1:6] = True
    found = metrics.hausdorff(slices(ball), slices(shell))
    assert found == pytest.approx(3 / 7 / math.sqrt(3))


def test_each_axis_counts_by_its_own_length() -> None:
    for axis, side in enumerate(SHAPE):
        a, b = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
        at = [0, 0, 0]
        a[tuple(at)] = True
        at[axis] = 1
        b[tuple(at)] = True
        assert metrics.hausdorff(slices(a), slices(b)) == pytest.approx(1 / side / math.sqrt(3))


def test_empty_volumes() -> None:
    nothing, something = slices(np.zeros(SHAPE, bool)), slices(np.ones(SHAPE, bool))
    assert metrics.hausdorff(nothing, nothing) is None
    assert metrics.hausdorff(something, nothing) == 1
    assert metrics.hausdorff(nothing, something) == 1
    assert metrics.hausdorff(something, something) == 0


BOTH_EMPTY, PERFECT, MISSED = DiceSums(0, 0, 0), DiceSums(5, 5, 5), DiceSums(0, 0, 5)


@pytest.mark.parametrize(
    ("empty", "dice"),
    [
        (math.nan, 1 / 2),
        (0.0, 1 / 4),
        (1.0, 3 / 4),
    ],  # the staff's reading, the page's, and HuBMAP's
)
def test_both_readings_of_both_empty(empty: float, dice: float) -> None:
    rows = [PERFECT, MISSED, BOTH_EMPTY, BOTH_EMPTY]
    got = metrics.dice_and_hausdorff(rows, [0.0, 0.25, None], empty)
    assert got == pytest.approx(0.4 * dice + 0.6 * (1 + 0.75) / 2)


def test_all_empty_and_nothing_to_find() -> None:
    # Where there is something, nothing found is as far away as can be.
    assert metrics.dice_and_hausdorff([MISSED, BOTH_EMPTY], [1.0, None]) == 0
    assert metrics.dice_and_hausdorff([BOTH_EMPTY], [None]) == 1
    assert metrics.dice_and_hausdorff([PERFECT], [0.0]) == 1


def test_what_is_refused() -> None:
    mask = RLE.empty((2, 3))
    with pytest.raises(ValueError, match=r"^1 predicted slices and 2 true ones: no volume$"):
        metrics.hausdorff([mask], [mask, mask])
    with pytest.raises(RLEError, match=r"^prediction is \(3, 2\) pixels and truth \(2, 3\): they"):
        metrics.hausdorff([mask], [RLE.empty((3, 2))])


def test_the_nearest_voxel_may_lie_on_any_face() -> None:
    block = np.zeros((7, 7, 7), bool)
    block[2:5, 2:5, 2:5] = True
    for axis in range(3):
        for far in (0, 6):
            at = [3, 3, 3]
            at[axis] = far
            more = block.copy()
            more[tuple(at)] = True
            found = metrics.hausdorff(slices(more), slices(block))
            assert found == pytest.approx(2 / 7 / math.sqrt(3))
