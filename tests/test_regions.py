"""Connected components on runs, against OpenCV and a flood fill written from the definition."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kagglekit import regions
from kagglekit.rle import RLE, RLEError

masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))
orders = st.sampled_from(["F", "C"])
connectivities = st.sampled_from([4, 8])


def flood(mask, connectivity, order="F"):
    """Return the components as sets of pixels, ordered by first pixel."""
    steps = [(-1, 0), (1, 0), (0, -1), (0, 1)]
    if connectivity == 8:
        steps += [(-1, -1), (-1, 1), (1, -1), (1, 1)]
    left = set(zip(*(axis.tolist() for axis in np.nonzero(mask)), strict=True))
    found = []
    for start in sorted(left, key=lambda pixel: pixel[::-1] if order == "F" else pixel):
        if start not in left:
            continue
        part, front = set(), [start]
        left.discard(start)
        while front:
            y, x = front.pop()
            part.add((y, x))
            for dy, dx in steps:
                if (y + dy, x + dx) in left:
                    left.discard((y + dy, x + dx))
                    front.append((y + dy, x + dx))
        found.append(part)
    return found


def painted(parts, shape):
    mask = np.zeros(shape, bool)
    for y, x in (pixel for part in parts for pixel in part):
        mask[y, x] = True
    return mask


@given(masks, orders, connectivities)
def test_components_are_those_of_a_flood_fill(mask, order, connectivity):
    rle = RLE.from_mask(mask, order)
    parts = flood(mask, connectivity, order)
    found = regions.components(rle, connectivity)
    assert found == [RLE.from_mask(painted([part], mask.shape)) for part in parts]
    assert all(part.order == order for part in found)
    assert regions.areas(rle, connectivity).tolist() == [len(part) for part in parts]
    boxes = [list(part.bbox) for part in found]
    assert regions.bboxes(rle, connectivity).tolist() == boxes
    numbers = np.zeros(mask.shape, int)
    for number, part in enumerate(parts, start=1):
        numbers[painted([part], mask.shape)] = number
    label = regions.label(rle, connectivity)
    assert np.array_equal(label, numbers)
    assert label.dtype == np.int32
    assert label.flags.c_contiguous


@given(masks, orders, connectivities, st.integers(0, 12))
def test_drop_small_keeps_what_is_large_enough(mask, order, connectivity, min_area):
    parts = [part for part in flood(mask, connectivity) if len(part) >= min_area]
    kept = regions.drop_small(RLE.from_mask(mask, order), min_area, connectivity)
    assert np.array_equal(kept.to_mask(), painted(parts, mask.shape))
    assert kept.order == order


@given(masks, orders, st.integers(1, 3))
def test_keep_largest(mask, order, count):
    parts = sorted(flood(mask, 8, order), key=len, reverse=True)[:count]
    kept = regions.keep_largest(RLE.from_mask(mask, order), count)
    assert np.array_equal(kept.to_mask(), painted(parts, mask.shape))


@given(masks, orders, orders, connectivities, st.data())
def test_keep_seeded_keeps_what_a_seed_is_in(mask, order, other_order, connectivity, data):
    seeds = data.draw(hnp.arrays(bool, mask.shape))
    parts = [part for part in flood(mask, connectivity) if any(seeds[pixel] for pixel in part)]
    kept = regions.keep_seeded(
        RLE.from_mask(mask, order), RLE.from_mask(seeds, other_order), connectivity
    )
    assert np.array_equal(kept.to_mask(), painted(parts, mask.shape))
    assert kept.order == order


@given(masks, orders, st.none() | st.integers(0, 4))
def test_fill_holes_fills_what_cannot_reach_the_border(mask, order, max_area):
    height, width = mask.shape
    filled = mask.copy()
    for part in flood(~mask, 4):
        reaches = any(y in (0, height - 1) or x in (0, width - 1) for y, x in part)
        if not reaches and (max_area is None or len(part) <= max_area):
            filled |= painted([part], mask.shape)
    rle = regions.fill_holes(RLE.from_mask(mask, order), max_area)
    assert np.array_equal(rle.to_mask(), filled)


def test_large_random_masks_are_those_of_opencv():
    rng = np.random.default_rng(0)
    for share in (0.3, 0.5, 0.6, 0.7):
        mask = (rng.random((300, 400)) < share).astype(np.uint8)
        for connectivity in (4, 8):
            count, labels = cv2.connectedComponents(mask, connectivity=connectivity)
            ours = regions.label(RLE.from_mask(mask, "C"), connectivity)
            pairs = np.unique(np.stack([labels.ravel(), ours.ravel()]), axis=1)
            assert pairs.shape[1] == count  # one number of ours for each of theirs


def test_a_spiral_is_one_component():
    mask = np.zeros((41, 41), bool)
    y = x = 20
    for step in range(1, 20):
        for dy, dx in [((0, 1), (1, 0), (0, -1), (-1, 0))[step % 4]]:
            for _ in range(2 * step):
                if 0 <= y + dy < 41 and 0 <= x + dx < 41:
                    y, x = y + dy, x + dx
                    mask[y, x] = True
    assert len(regions.components(RLE.from_mask(mask), 4)) == len(flood(mask, 4)) == 1


@pytest.mark.parametrize("um_per_pixel", [0.1, 0.3, 0.65, 0.7, 1.1])
def test_a_component_of_exactly_the_size_in_micrometres_stays(um_per_pixel):
    for pixels in range(1, 400):
        rle = RLE.from_text(f"1 {pixels}", shape=(400, 1))
        [area] = regions.areas(rle, um_per_pixel=um_per_pixel)
        assert regions.drop_small(rle, area, um_per_pixel=um_per_pixel) == rle


def test_areas_in_square_micrometres():
    rle = RLE.from_text("1 3 10 1", shape=(5, 2))
    assert regions.areas(rle, um_per_pixel=0.5).tolist() == [0.75, 0.25]
    assert regions.drop_small(rle, 0.5, um_per_pixel=0.5).to_text() == "1 3"
    ring = ~RLE.from_text("5 1", shape=(3, 3))
    assert regions.fill_holes(ring, 0.25, um_per_pixel=0.5).area == 9
    assert regions.fill_holes(ring, 0.25, um_per_pixel=0.6).area == 8


def disks(shape, *centres, radius=10):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return [(y - cy) ** 2 + (x - cx) ** 2 <= radius**2 for cy, cx in centres]


@pytest.mark.parametrize("order", ["F", "C"])
def test_split_instances_cuts_touching_disks_at_the_neck(order):
    single = disks((60, 120), (20, 15), (20, 32), (35, 90), (48, 40))
    rle = RLE.from_mask(np.logical_or.reduce(single), order)
    assert len(regions.components(rle)) == 3
    parts = regions.split_instances(rle)
    assert len(parts) == 4
    truth = [RLE.from_mask(disk) for disk in single]
    for part in parts:
        assert part.order == order
        assert part.shape == (60, 120)
        assert max(part.iou(disk) for disk in truth) > 0.9


@given(hnp.arrays(bool, (12, 14)), st.integers(1, 4))
def test_split_instances_loses_no_pixel_and_gives_none_twice(mask, min_distance):
    rle = RLE.from_mask(mask)
    parts = regions.split_instances(rle, min_distance)
    assert sum(part.area for part in parts) == rle.area
    whole = RLE.empty(rle.shape)
    for part in parts:
        whole |= part
    assert whole == rle


def test_split_instances_leaves_one_disk_whole():
    (disk,) = disks((40, 40), (20, 20))
    assert regions.split_instances(RLE.from_mask(disk)) == [RLE.from_mask(disk)]
    assert regions.split_instances(RLE.empty((40, 40))) == []


def test_split_instances_of_a_mask_that_fills_the_image():
    full = ~RLE.empty((15, 15))
    assert regions.split_instances(full) == [full]


RECT = RLE.from_text("1 2", shape=(4, 6))
REFUSALS = {
    "connectivity is 6: it is 4 (sides) or 8 (sides and corners)": (
        lambda: regions.components(RECT, 6)
    ),
    "area is -1: it is 0 or more": lambda: regions.drop_small(RECT, -1),
    "area is nan: it is 0 or more": lambda: regions.fill_holes(RECT, float("nan")),
    "um_per_pixel is 0: the side of a pixel, in µm, e.g. 0.5": (
        lambda: regions.drop_small(RECT, 1, um_per_pixel=0)
    ),
    "um_per_pixel is -1: the side of a pixel, in µm, e.g. 0.5": (
        lambda: regions.areas(RECT, um_per_pixel=-1)
    ),
    "min_distance is 2.5: it is a whole number, at least 1 pixel": (
        lambda: regions.split_instances(RECT, 2.5)
    ),
    "masks of shape (4, 6) and (6, 4) cannot be combined\n"
    "hint: crop, pad or resize one of them first": (
        lambda: regions.keep_seeded(RECT, RLE.empty((6, 4)))
    ),
    "count is 0: it is a whole number of components, at least 1": (
        lambda: regions.keep_largest(RECT, 0)
    ),
    "count is 1.5: it is a whole number of components, at least 1": (
        lambda: regions.keep_largest(RECT, 1.5)
    ),
    "min_distance is 0: it is a whole number, at least 1 pixel": lambda: regions.split_instances(
        RECT, 0
    ),
}


@pytest.mark.parametrize("message", REFUSALS, ids=str)
def test_refusals(message):
    with pytest.raises(RLEError) as caught:
        REFUSALS[message]()
    assert str(caught.value) == message
