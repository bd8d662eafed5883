"""RLE: round trips, sets and windows against dense masks and a slow loop from the definition."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kagglekit.rle import RLE

masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))
orders = st.sampled_from(["F", "C"])


def text_by_definition(mask, order="F"):
    """Walk the pixels one by one, as the competitions' pages describe it."""
    height, width = mask.shape
    if order == "F":
        pixels = [mask[y, x] for x in range(width) for y in range(height)]
    else:
        pixels = [mask[y, x] for y in range(height) for x in range(width)]
    words, length = [], 0
    for position, pixel in enumerate([*pixels, 0], start=1):
        if pixel:
            length += 1
        elif length:
            words += [str(position - length), str(length)]
            length = 0
    return " ".join(words)


@given(masks, orders)
def test_text_is_what_a_walk_over_the_pixels_says(mask, order):
    assert RLE.from_mask(mask, order).to_text() == text_by_definition(mask, order)


@given(masks, orders)
def test_text_and_mask_come_back(mask, order):
    rle = RLE.from_text(text_by_definition(mask, order), mask.shape, order)
    back = rle.to_mask()
    assert np.array_equal(back, mask)
    assert back.dtype == np.uint8
    assert back.flags.c_contiguous
    assert rle == RLE.from_mask(mask, order)
