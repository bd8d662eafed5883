"""Windows equal slices of the whole picture, padded and averaged by NumPy."""

import functools
import os
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kagglekit.errors import SlideError
from kagglekit.slides import open_slide
from kagglekit.slides._window import pieces
from tests.slides_damage import LAYOUTS
from tests.slides_factory import RGB, TILED, by_rasterio, picture

SHAPES = [(75, 91), (1, 1), (1, 40), (33, 1), (2, 3), (64, 128)]
KINDS = [
    "tiles, LZW, by pixel",
    "pyramid of 5-D",
    "PNG",
    "npy",
    "one strip, deflate, by band",
    "grey float",
]
MODES = {"reflect": "reflect", "edge": "edge", "constant": "constant"}


@functools.cache
def opened(kind, shape):
    """A slide of one kind and its pixels; the folder stays until the tests end."""
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / "slide"
    expected = LAYOUTS[kind](path, picture(shape, 3))
    slide = open_slide(path)
    slide.folder = folder
    return slide, expected


def padded(pixels, y0, y1, x0, x1, pad):
    """The window cut out of the whole picture, padded as far as it takes."""
    height, width, _ = pixels.shape
    around = (
        (max(-y0, 0), max(y1 - height, 0)),
        (max(-x0, 0), max(x1 - width, 0)),
        (0, 0),
    )
    whole = np.pad(pixels, around, mode=MODES[pad])
    y0, x0 = y0 + around[0][0], x0 + around[1][0]
    return whole[y0 : y0 + y1 - (y0 - around[0][0])][:, x0 : x0 + x1 - (x0 - around[1][0])]


def means(pixels, scale):
    """Average cells; a window that ends inside one repeats its last line."""
    height, width, channels = pixels.shape
    full = np.pad(pixels, ((0, -height % scale), (0, -width % scale), (0, 0)), mode="edge")
    full = full.astype(float).reshape(
        -(-height // scale), scale, -(-width // scale), scale, channels
    )
    return full.mean((1, 3))


@st.composite
def windows(draw, pad):
    shape = draw(st.sampled_from(SHAPES))
    scale = draw(st.sampled_from([1, 1, 2, 3, 4, 7]))
    window = []
    for side in shape:
        reach = 3 * side + 20 if pad else 0
        start = draw(st.integers(-reach // scale, (side - 1 + reach) // scale)) * scale
        stop = draw(st.integers(start + 1, max(side + reach, start + 1)))
        window += [start, stop]
    return shape, tuple(window), scale


def check(kind, drawn, pad):
    shape, window, scale = drawn
    slide, pixels = opened(kind, shape)
    got = slide.read(*window, scale, pad)
    y0, y1, x0, x1 = window
    expected = padded(pixels, *window, pad) if pad else pixels[y0:y1, x0:x1]
    assert got.dtype == slide.dtype
    assert got.shape == (-(-(y1 - y0) // scale), -(-(x1 - x0) // scale), slide.channels)
    if scale == 1:
        np.testing.assert_array_equal(got, expected)
    else:
        tolerance = 0.5 + 1e-6 if got.dtype == np.uint8 else 1e-3
        np.testing.assert_allclose(got, means(expected, scale), rtol=0, atol=tolerance)


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
@settings(max_examples=100)
def test_windows_are_slices_of_the_whole(kind, data):
    check(kind, data.draw(windows(None)), None)


@pytest.mark.parametrize("pad", MODES)
@given(st.data(), st.sampled_from(KINDS))
@settings(max_examples=200)
def test_padded_windows_are_slices_of_the_padded_whole(pad, data, kind):
    check(kind, data.draw(windows(pad)), pad)


@pytest.mark.parametrize("scale", [1, 3, 4, 32])
@pytest.mark.parametrize("pad", [None, "reflect"])
def test_a_window_of_many_pieces_is_one_window(tmp_path, scale, pad, monkeypatch):
    monkeypatch.setattr("kagglekit.slides._window._PIECE_BYTES", 3 * 50 * 40)
    pixels = by_rasterio(tmp_path / "a.tiff", picture((300, 170)), **RGB | TILED)
    window = (0, 300, 0, 170) if pad is None else (-96, 330, -96, 200)
    with open_slide(tmp_path / "a.tiff") as slide:
        cut = pieces(window[::2], window[1::2], slide.block, scale, 3)
        got = slide.read(*window, scale, pad)
    assert len(cut) > 10
    whole = pixels if pad is None else padded(pixels, *window, pad)
    assert np.abs(got - means(whole, scale)).max() <= 0.5 + 1e-6


@given(
    st.tuples(st.integers(0, 300), st.integers(0, 300)),
    st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    st.tuples(st.integers(1, 600), st.integers(1, 600)),
    st.integers(1, 40),
)
def test_pieces_cover_the_window_once_and_start_on_the_scale(start, size, block, scale):
    start = (start[0] * scale, start[1] * scale)
    stop = (start[0] + size[0], start[1] + size[1])
    cut = pieces(start, stop, block, scale, 3)
    assert sum((y1 - y0) * (x1 - x0) for y0, y1, x0, x1 in cut) == size[0] * size[1]
    assert all(y0 % scale == 0 and x0 % scale == 0 for y0, _, x0, _ in cut)
    assert cut == sorted(cut)
    assert (cut[0][0], cut[0][2]) == start
    assert (cut[-1][1], cut[-1][3]) == stop


def test_pieces_of_a_tiled_slide_follow_its_tiles():
    cut = pieces((0, 0), (9_000, 12_000), (512, 512), 4, 3)
    assert all(y0 % 512 == 0 and x0 % 512 == 0 for y0, _, x0, _ in cut)
    assert max((y1 - y0) * (x1 - x0) * 3 for y0, y1, x0, x1 in cut) <= 12 << 20


def windows_read(slide):
    """Note every window that is asked of the file, in order."""
    reader, seen = slide._source.open(), []

    class Noting:
        def read(self, *window, scale):
            seen.append(window)
            return reader.read(*window, scale=scale)

    slide._readers[os.getpid(), threading.get_ident()] = Noting()
    return seen


@pytest.mark.parametrize("most", [0, -1])
def test_a_thumbnail_of_nothing_is_refused(tmp_path, most):
    np.save(tmp_path / "a.npy", np.zeros((4, 5, 3), np.uint8))
    with open_slide(tmp_path / "a.npy") as slide, pytest.raises(ValueError) as raised:
        slide.thumbnail(most)
    assert str(raised.value) == f"max_side={most} must be at least 1 pixel"


@pytest.mark.parametrize("scale", [4, 7])
def test_a_thumbnail_decodes_each_tile_once(tmp_path, monkeypatch, scale):
    monkeypatch.setattr("kagglekit.slides._window._PIECE_BYTES", 3 * 150 * 150)
    by_rasterio(tmp_path / "a.tiff", picture((700, 500)), **RGB | TILED)
    with open_slide(tmp_path / "a.tiff") as slide:
        seen = windows_read(slide)
        slide.thumbnail(-(-700 // scale))
    tiles = [
        (y, x)
        for y0, y1, x0, x1 in seen
        for y in range(y0 // 16, -(-y1 // 16))
        for x in range(x0 // 32, -(-x1 // 32))
    ]
    assert len(seen) > 5
    assert len(tiles) == len(set(tiles)) == -(-700 // 16) * -(-500 // 32)


@pytest.mark.parametrize("kind", ["one strip, LZW, by pixel", "PNG", "JPEG"])
def test_a_thumbnail_of_a_sequential_file_goes_down_once(tmp_path, monkeypatch, kind):
    monkeypatch.setattr("kagglekit.slides._window._PIECE_BYTES", 10_000)
    LAYOUTS[kind](tmp_path / "a", picture((2500, 60)))
    with open_slide(tmp_path / "a") as slide:
        assert slide.sequential
        seen = windows_read(slide)
        slide.thumbnail(250)
    edges = [window[:2] for window in seen]
    assert {window[2:] for window in seen} == {(0, 60)}
    assert [stop for _, stop in edges[:-1]] == [start for start, _ in edges[1:]]
    assert (edges[0][0], edges[-1][1]) == (0, 2500)
    assert len(edges) > 5


def test_thumbnail_is_the_whole_image_reduced(tmp_path):
    pixels = by_rasterio(tmp_path / "a.tiff", picture((700, 40)), **RGB | TILED)
    with open_slide(tmp_path / "a.tiff") as slide:
        small, scale = slide.thumbnail(100)
    assert (small.shape, scale) == ((100, 6, 3), 7)
    assert np.abs(small - means(pixels, 7)).max() <= 0.5 + 1e-6


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ((-1, 5, 0, 5), "window rows -1-5, columns 0-5 is not inside the image, 75 rows and 91 columns"),
        ((0, 76, 0, 5), "window rows 0-76, columns 0-5 is not inside the image, 75 rows and 91 columns"),
        ((5, 5, 0, 5), "window rows 5-5, columns 0-5 is empty"),
        ((0, 5, 2, 8, 4), "window must start at multiples of scale=4, not at (0, 2)"),
        ((0, 5, 0, 8, 0), "scale=0 must be a whole number of at least 1"),
        ((0, 6, 0, 8, 2.0), "scale=2.0 must be a whole number of at least 1"),
        ((0, 6, 0, 9, 1.5), "scale=1.5 must be a whole number of at least 1"),
        ((-3, 5, 0, 8, 2, "edge"), "window must start at multiples of scale=2, not at (-3, 0)"),
        ((5, 5, 0, 8, 1, "edge"), "window rows 5-5, columns 0-8 is empty"),
        ((0, 5, 0, 8, 1, "wrap"), "pad='wrap'; expected None, 'reflect', 'edge' or 'constant'"),
    ],
)  # fmt: skip
def test_windows_that_are_refused(tmp_path, window, message):
    by_rasterio(tmp_path / "a.tiff", picture((75, 91)), **RGB)
    with open_slide(tmp_path / "a.tiff") as slide, pytest.raises(ValueError) as raised:
        slide.read(*window)
    assert str(raised.value) == message


def test_numbers_that_cannot_be_averaged(tmp_path):
    LAYOUTS["tiles of int64, LZW"](tmp_path / "a.tiff", picture((75, 91)))
    with open_slide(tmp_path / "a.tiff") as slide, pytest.raises(ValueError) as raised:
        slide.read(0, 75, 0, 91, 2)
    assert str(raised.value) == (
        "int64 cannot be averaged; read at scale=1, or save it as one of "
        "uint8, uint16, int16, float32, float64"
    )


@pytest.mark.parametrize("channels", [5, 9, 65, 128])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("scale", [1, 2, 3])
def test_an_array_may_have_many_channels(tmp_path, channels, dtype, scale):
    pixels = np.random.default_rng(0).integers(0, 200, (129, 130, channels)).astype(dtype)
    np.save(tmp_path / "a.npy", pixels)
    with open_slide(tmp_path / "a.npy") as slide:
        found = slide.read(-6, 129, 0, 130, scale, "reflect")
    padded = np.pad(pixels, ((6, -135 % scale), (0, -130 % scale), (0, 0)), "reflect")
    if -135 % scale:  # where the image ends inside a cell, its last row and column are repeated
        padded[135:] = padded[134]
    if -130 % scale:
        padded[:, 130:] = padded[:, 129:130]
    rows, columns = padded.shape[0] // scale, padded.shape[1] // scale
    means = padded.reshape(rows, scale, columns, scale, channels).astype(float).mean((1, 3))
    assert found.dtype == dtype
    assert np.abs(found - means).max() <= (0.5 if dtype != np.float32 else 1e-4)


@pytest.mark.parametrize("shape", [(20, 300, 400), (100, 100, 129), (9, 400, 10)])
def test_what_cannot_be_channels_is_refused(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
    with pytest.raises(
        SlideError, match=r"expected \(height, width\) or \(height, width, channels\)"
    ):
        open_slide(tmp_path / "a.npy")


@pytest.mark.parametrize("kind", [np.uint8, np.uint32, np.int64])
def test_places_may_be_numpy_s_numbers(tmp_path, kind):
    pixels = np.arange(230 * 251 * 3, dtype=np.uint8).reshape(230, 251, 3)
    np.save(tmp_path / "a.npy", pixels)
    with open_slide(tmp_path / "a.npy") as slide:
        found = slide.read(kind(2), kind(230), kind(0), kind(251), kind(2), "reflect")
        assert np.array_equal(found, slide.read(2, 230, 0, 251, 2, "reflect"))
        assert np.array_equal(slide.read(kind(9), kind(30), kind(7), kind(90)), pixels[9:30, 7:90])
