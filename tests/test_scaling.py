from itertools import product

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kagglekit.scaling import shrink, shrink_planes


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
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_planes_of_bytes_are_averaged_as_opencv_does(scale, channels):
    """Halves among them, which it rounds to the even neighbour for all scales but 2."""
    rng = np.random.default_rng(scale)
    for rows, columns in ((1, 1), (7, 40), (1, 67), (300, 210)):
        for most in (2, 256):
            shape = (channels, rows * scale, columns * scale)
            planes = rng.integers(0, most, shape, np.uint8)
            small = [
                cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_AREA) for plane in planes
            ]
            assert np.array_equal(shrink_planes(planes, scale), small)
    white = np.full((channels, 2 * scale, 3 * scale), 255, np.uint8)
    assert (shrink_planes(white, scale) == 255).all()


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 9),
    st.sampled_from([1, 3]),
    st.sampled_from([np.uint8, np.uint16, np.int16, np.float32, np.float64]),
)
def test_planes_are_averaged_as_pixels_are(height, width, scale, channels, dtype):
    rng = np.random.default_rng(height * 41 + width)
    pixels = (rng.random((height, width, channels)) * 250).astype(dtype)
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    small = shrink_planes(planes, scale)
    assert small.dtype == dtype
    exact = np.dtype(dtype).kind in "ui"  # a sum of floats depends on its order
    wanted = shrink(pixels, scale)
    np.testing.assert_allclose(small.transpose(1, 2, 0), wanted, 0, 0 if exact else 1e-4)


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [
        *product([np.uint16, np.float32, np.float64], [16, 17, 50, 256, 1024]),
        *product([np.uint8], [50, 256, 1024, 2901, 2902]),
    ],
)
def test_large_cells_are_averaged_as_exactly_as_small_ones(dtype, scale):
    """OpenCV's sums in float32 lose a quarter of a per cent of a million pixels."""
    rng = np.random.default_rng(scale)
    most = 255 if dtype == np.uint8 else 60_000
    even = np.full((scale, 2 * scale, 2), most, dtype)
    grainy = rng.integers(0, most, even.shape).astype(dtype)
    for pixels in (even, grainy):
        cells = pixels.reshape(scale, 2, scale, 2).astype(np.float64).mean((0, 2))
        wanted = cells if np.dtype(dtype).kind == "f" else cells.round()
        small = shrink(pixels, scale)
        planes = shrink_planes(np.ascontiguousarray(pixels.transpose(2, 0, 1)), scale)
        np.testing.assert_allclose(small[0], wanted, 1e-6)
        np.testing.assert_allclose(planes[:, 0].T, wanted, 1e-6)
        assert small.dtype == planes.dtype == dtype


@pytest.mark.parametrize("scale", [3, 4, 8])
def test_a_part_of_planes_is_averaged_too(scale):
    planes = np.random.default_rng(0).integers(0, 256, (3, 40, 60), np.uint8)
    part = planes[::2, 3:27, 5:53]
    assert np.array_equal(shrink_planes(part, scale), shrink_planes(part.copy(), scale))
