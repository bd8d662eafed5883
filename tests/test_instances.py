"""Oracle: dense arrays, painted pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kagglekit.errors import RLEError
from kagglekit.instances import find_overlap, overlaps, union, without_overlaps
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
def test_what_must_go_so_that_none_overlaps(dense: list[np.ndarray]) -> None:
    stays: dict[int, np.ndarray] = {}
    goes = []
    for place, mask in enumerate(dense):
        if any((mask & other).any() for other in stays.values()):
            goes.append(place)
        else:
            stays[place] = mask
    got = overlaps([RLE.from_mask(mask) for mask in dense])
    assert [place for _, place in got] == goes
    assert all(first in stays and (stays[first] & dense[place]).any() for first, place in got)


def test_many_masks_are_told_apart() -> None:
    """So many that runs lie in several lists, and lists are joined."""
    rng = np.random.default_rng(0)
    dense = []
    for _ in range(300):
        mask = np.zeros((60, 70), np.uint8)
        y, x = rng.integers(0, 55), rng.integers(0, 62)
        mask[y : y + 5, x : x + 8] = rng.random((5, 8)) < 0.8
        dense.append(mask)
    owner = np.zeros((60, 70), int)
    for number, mask in enumerate(dense, 1):
        owner[(owner == 0) & (mask > 0)] = number
    got = without_overlaps([RLE.from_mask(mask) for mask in dense])
    left = [number for number in range(1, 301) if (owner == number).any()]
    assert len(got) == len(left) < 300
    for rle, number in zip(got, left, strict=True):
        assert np.array_equal(rle.to_mask() > 0, owner == number)


def test_masks_that_only_touch_do_not_overlap() -> None:
    a, b, c = (RLE.from_text(text, SHAPE) for text in ("1 3", "4 2", "3 1"))
    assert overlaps([a, b, c]) == [(0, 2)]
    assert without_overlaps([a, b, c]) == [a, b]


def test_masks_in_two_orders_meet() -> None:
    mask = np.zeros((4, 5), bool)
    mask[1, 0] = True
    a, b = RLE.from_mask(mask), RLE.from_mask(mask, "C")
    assert find_overlap([a, b]) == (0, 1)
    assert without_overlaps([a, b]) == [a]
    assert overlaps([a, b]) == [(0, 1)]


@pytest.mark.parametrize("ask", [find_overlap, overlaps, without_overlaps])
def test_masks_of_one_image_have_one_shape(ask) -> None:
    with pytest.raises(RLEError, match=r"^masks of one image are \(4, 5\) and \(9, 9\) pixels$"):
        ask([RLE.from_text("1 3", (4, 5)), RLE.from_text("1 3", (9, 9))])


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


def test_union_s_shape_is_the_image_s() -> None:
    with pytest.raises(
        RLEError, match=r"^the image is \(9, 9\) pixels and its masks are \(4, 5\)$"
    ):
        union([RLE.empty((4, 5))], (9, 9))


@pytest.mark.parametrize("order", ["F", "C"])
def test_union_of_nothing_is_empty(order: str) -> None:
    assert union([], SHAPE) == RLE.empty(SHAPE, order)


@pytest.mark.parametrize("text", ["1 2", "2 2"])
def test_masks_come_in_the_order_of_the_first_with_and_without_overlaps(text):
    masks = [RLE.from_text("1 1", (2, 3), "C"), RLE.from_text(text, (2, 3), "F")]
    assert [mask.order for mask in without_overlaps(masks)] == ["C", "C"]
