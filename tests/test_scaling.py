import cv2
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


@pytest.mark.parametrize("scale", range(2, 20))
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_bytes_are_averaged_as_opencv_does(scale, channels):
    """Halves among them, which it rounds to the even neighbour for all scales but 2."""
    rng = np.random.default_rng(scale)
    for rows, columns in ((1, 1), (7, 40), (1, 67)):
        for most in (2, 256):
            shape = (rows * scale, columns * scale, channels)
            pixels = rng.integers(0, most, shape, np.uint8)
            small = cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA)
            assert np.array_equal(shrink(pixels, scale), small.reshape(rows, columns, channels))
    white = np.full((2 * scale, 3 * scale, channels), 255, np.uint8)
    assert (shrink(white, scale) == 255).all()


def test_a_part_of_a_picture_is_averaged_too():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    part = pixels[4:32:2, 3:51:3]
    assert np.array_equal(shrink(part, 4), shrink(part.copy(), 4))
