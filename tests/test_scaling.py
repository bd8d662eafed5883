import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kagglekit.scaling import shrink


@given(st.integers(1, 17), st.integers(1, 17), st.integers(1, 5), st.sampled_from([1, 3, 4]))
def test_shrink_averages_cells_and_repeats_the_edge(height, width, scale, channels):
    pixels = np.random.default_rng(height * 31 + width).random(
        (height, width, channels), np.float32
    )
    small = shrink(pixels, scale)
    for y in range(-(-height // scale)):
        for x in range(-(-width // scale)):
            rows = np.minimum(np.arange(y * scale, (y + 1) * scale), height - 1)
            columns = np.minimum(np.arange(x * scale, (x + 1) * scale), width - 1)
            cell = pixels[np.ix_(rows, columns)].mean((0, 1))
            np.testing.assert_allclose(small[y, x], cell, atol=1e-6)
    assert small.shape == (-(-height // scale), -(-width // scale), channels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_shrink_keeps_the_dtype_and_rounds(dtype):
    assert shrink(np.array([[[1], [2]], [[2], [2]]], dtype), 2).tolist() == [[[2]]]
