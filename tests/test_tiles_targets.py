import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kagglekit import instances, tiles, touching
from kagglekit.rle import RLE


def some_instances(shape, seed, count=4):
    rng = np.random.default_rng(seed)
    masks = []
    for _ in range(count):
        mask = np.zeros(shape, np.uint8)
        y, x = rng.integers(0, shape[0]), rng.integers(0, shape[1])
        mask[y : y + rng.integers(1, 8), x : x + rng.integers(1, 8)] = 1
        masks.append(RLE.from_mask(mask))
    return instances.without_overlaps(masks)


@given(st.integers(0, 10_000), st.integers(1, 3))
def test_borders_are_the_pixels_from_which_two_instances_are_near(seed, reach):
    shape = (14, 17)
    found = some_instances(shape, seed)
    owner = np.zeros(shape, int)
    for label, one in enumerate(found, start=1):
        owner[one.to_mask() > 0] = label
    expected = np.zeros(shape, np.uint8)
    for y in range(shape[0]):
        for x in range(shape[1]):
            near = owner[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]
            expected[y, x] = len(set(near.ravel()) - {0}) > 1
    assert np.array_equal(tiles.borders(found, shape, reach).to_mask(), expected)


def test_without_its_borders_a_mask_grows_back_into_its_instances():
    shape = (40, 60)
    found = []
    for x in (5, 25, 45):  # three discs, each touching the next
        y, along = np.mgrid[:40, :60]
        found.append(RLE.from_mask(((y - 20) ** 2 + (along - x - 5) ** 2 <= 100).astype(np.uint8)))
    found = instances.without_overlaps(found)
    union = instances.union(found, shape)
    assert len(touching.grow(union, union)) == 1
    grown = touching.grow(union - tiles.borders(found, shape), union)
    assert len(grown) == 3
    assert min(max(one.iou(other) for other in grown) for one in found) > 0.95


@given(st.integers(0, 10_000))
def test_distances_are_to_the_nearest_pixel_that_is_not_of_the_instance(seed):
    shape = (12, 15)
    found = some_instances(shape, seed)
    expected = np.zeros(shape)
    for one in found:
        inside = np.pad(one.to_mask(), 1)
        outside = np.argwhere(inside == 0)
        deep = np.array(
            [[np.hypot(*(outside - (y, x)).T).min() for x in range(17)] for y in range(14)]
        )
        expected += (deep / deep.max())[1:-1, 1:-1]
    assert tiles.distances(found, shape) == pytest.approx(expected, abs=1e-5)
