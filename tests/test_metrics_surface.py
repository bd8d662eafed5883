"""The area of a cube's surface against areas worked out by hand; volumes cube by cube."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kagglekit import metrics
from kagglekit.errors import RLEError
from kagglekit.metrics._cubes import CORNERS, surface_areas
from kagglekit.rle import RLE
from tests import slow_metrics

SHAPE = (3, 4, 5)
VOLUMES = arrays(bool, SHAPE)


def slices(volume: np.ndarray, order: str = "F") -> list[RLE]:
    return [RLE.from_mask(each, order=order) for each in volume]


@pytest.mark.parametrize("code", range(256))
def test_area_of_each_cube(code: int) -> None:
    cube = np.zeros((2, 2, 2), bool)
    for bit, corner in enumerate(CORNERS):
        cube[corner] = code >> (7 - bit) & 1
    assert surface_areas()[code] == pytest.approx(slow_metrics.cube_area(cube), abs=1e-12)


def test_the_bits_are_those_of_the_slices() -> None:
    # The upper four bits are the slice before, the lower four the one after.
    assert [CORNERS[bit][0] for bit in range(8)] == [0, 0, 0, 0, 1, 1, 1, 1]


@given(VOLUMES, VOLUMES, st.booleans())
@settings(max_examples=40)
def test_sums_are_those_of_the_cubes(pred, truth, near: bool) -> None:
    if near:  # mostly alike, as predictions are
        pred = truth ^ (pred & np.roll(pred, 1, 0) & np.roll(pred, 1, 1))
    sums = metrics.surface_sums(slices(pred), iter(slices(truth, "C")))
    shared, total = slow_metrics.surface(pred, truth)
    assert sums.shared == pytest.approx(shared, abs=1e-9)
    assert sums.total == pytest.approx(total, abs=1e-9)


@given(VOLUMES, st.permutations(range(3)), st.integers(0, 2))
@settings(max_examples=20)
def test_turning_and_mirroring_changes_nothing(volume, axes, flipped: int) -> None:
    turned = np.flip(volume.transpose(axes), flipped)
    here, there = (metrics.surface_sums(slices(x), slices(x)) for x in (volume, turned))
    assert here.total == pytest.approx(there.total, abs=1e-9)


@given(VOLUMES)
@settings(max_examples=20)
def test_perfect(volume) -> None:
    volume[0, 0, 0] = True
    assert metrics.surface_dice([metrics.surface_sums(slices(volume), slices(volume))]) == 1


@pytest.mark.parametrize("empty", [0.0, 1.0])
def test_empty_rule(empty: float) -> None:
    nothing, something = np.zeros(SHAPE, bool), np.ones(SHAPE, bool)
    score = {
        (p is something, t is something): metrics.surface_dice(
            [metrics.surface_sums(slices(p), slices(t))], empty
        )
        for p in (nothing, something)
        for t in (nothing, something)
    }
    assert score == {
        (False, False): empty, (False, True): 0, (True, False): 0, (True, True): 1,
    }  # fmt: skip


def test_a_single_voxel_has_eight_corners() -> None:
    voxel = slices(np.ones((1, 1, 1), bool))
    assert metrics.surface_sums(voxel, slices(np.zeros((1, 1, 1), bool))).total == (
        pytest.approx(math.sqrt(3))
    )


def test_volumes_count_alike_whatever_their_size() -> None:
    small, large = metrics.SurfaceSums(0.0, 1.0), metrics.SurfaceSums(100.0, 100.0)
    assert metrics.surface_dice([small, large]) == 0.5
    assert small + large == metrics.SurfaceSums(100.0, 101.0)


def test_what_is_refused() -> None:
    mask, other = RLE.empty((2, 3)), RLE.empty((3, 2))
    message = r"^prediction is \(2, 3\) pixels and truth \(3, 2\): they must be equal$"
    with pytest.raises(RLEError, match=message):
        metrics.surface_sums([mask], [other])
    with pytest.raises(RLEError):
        metrics.surface_sums([mask, other], [mask, other])
    with pytest.raises(ValueError, match="shorter"):
        metrics.surface_sums([mask, mask], [mask])
    with pytest.raises(ValueError, match=r"^surface Dice of no volumes is not defined$"):
        metrics.surface_dice([])
    assert metrics.surface_sums([], []) == metrics.SurfaceSums(0.0, 0.0)
