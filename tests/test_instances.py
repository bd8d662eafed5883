"""Oracle: dense arrays, painted pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kagglekit.instances import find_overlap, union, without_overlaps
from kagglekit.rle import RLE

SHAPE = (5, 7)


def masks() -> st.SearchStrategy[list[np.ndarray]]:
    pixels = st.lists(st.booleans(), min_size=35, max_size=35)
    mask = pixels.map(lambda values: np.array(values, np.uint8).reshape(SHAPE))
    return st.lists(mask, max_size=4)


@given(masks(), st.sampled_from("FC"))
def test_first_mask_keeps_shared_pixels(dense: list[np.ndarray], order: str) -> None:
    owner = np.zeros(SHAPE, int)
    for number, mask in enumerate(dense, 1):
        owner[(owner == 0) & (mask > 0)] = number
    expected = [owner == number for number in range(1, len(dense) + 1) if (owner == number).any()]

    got = without_overlaps([RLE.from_mask(mask, order=order) for mask in dense])

    assert [rle.to_mask().tolist() for rle in got] == [m.astype(int).tolist() for m in expected]
    assert find_overlap(got) is None


@given(masks())
def test_find_overlap_names_two_masks_that_share_a_pixel(dense: list[np.ndarray]) -> None:
    pair = find_overlap([RLE.from_mask(mask) for mask in dense])
    if pair is None:
        assert np.sum(dense, axis=0, initial=0).max() <= 1
    else:
        assert pair[0] < pair[1]
        assert (dense[pair[0]] & dense[pair[1]]).any()


@given(masks())
def test_union_has_every_pixel(dense: list[np.ndarray]) -> None:
    got = union([RLE.from_mask(mask) for mask in dense], SHAPE)
    expected = np.zeros(SHAPE, np.uint8)
    for mask in dense:
        expected |= mask
    assert got.to_mask().tolist() == expected.tolist()


@pytest.mark.parametrize("order", ["F", "C"])
def test_union_of_nothing_is_empty(order: str) -> None:
    assert union([], SHAPE) == RLE.empty(SHAPE, order)
