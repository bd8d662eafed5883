"""RLEs made of the pixels that differ from the one above."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kagglekit.rle import RLE, RLEError, from_changes

masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))


@given(masks, st.sampled_from([np.uint32, np.int64]), st.randoms(use_true_random=False))
def test_any_order_and_any_arrays_of_changes_give_the_mask(mask, dtype, random):
    y, x = np.nonzero(mask[1:] != mask[:-1])
    positions = (x * len(mask) + y + 1).tolist()
    random.shuffle(positions)
    cut = random.randint(0, len(positions))
    changes = [np.array(part, dtype) for part in (positions[:cut], positions[cut:])]
    assert from_changes(mask.shape, changes, mask[0], mask[-1]) == RLE.from_mask(mask)
    assert changes == []  # not kept twice


def test_a_mask_beyond_the_reach_of_32_bits():
    shape = (70_000, 80_000)
    last_column = np.array([79_999 * 70_000 + 5, 79_999 * 70_000 + 9])
    rows = np.zeros((2, 80_000), bool)
    mask = from_changes(shape, [last_column], *rows)
    assert mask == RLE([79_999 * 70_000 + 5], [4], shape)


def test_rows_of_another_width():
    with pytest.raises(RLEError) as raised:
        from_changes((4, 3), [], np.zeros(2, bool), np.zeros(3, bool))
    assert str(raised.value) == ("the first row has 2 pixels and the last 3: the mask has 3")
