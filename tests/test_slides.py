import multiprocessing
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rasterio
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kagglekit.errors import SlideError
from kagglekit.slides import open_slide

SHAPE = (75, 91)


def picture(shape=SHAPE, channels=3, dtype=np.uint8):
    rng = np.random.default_rng(7)
    return rng.integers(0, np.iinfo(dtype).max, (*shape, channels), dtype, endpoint=True)


def by_rasterio(path, pixels, driver="GTiff", **options):
    height, width, channels = pixels.shape
    with rasterio.open(
        path, "w", driver=driver, height=height, width=width, count=channels,
        dtype=pixels.dtype, **options,
    ) as file:  # fmt: skip
        file.write(pixels.transpose(2, 0, 1))


TILED = {"tiled": True, "blockxsize": 32, "blockysize": 16}
LAYOUTS = {
    "striped": ({}, 3),
    "one strip": ({"blockysize": SHAPE[0]}, 3),
    "tiled": (TILED, 3),
    "tiled LZW": (TILED | {"compress": "lzw", "predictor": 2}, 3),
    "tiled deflate": (TILED | {"compress": "deflate"}, 3),
    "bands apart": (TILED | {"interleave": "band"}, 3),
    "BigTIFF": (TILED | {"BIGTIFF": "YES"}, 3),
    "big endian": ({"ENDIANNESS": "BIG"}, 3),
    "RGBA": ({"photometric": "rgb", "alpha": "yes"}, 4),
    "grey": ({}, 1),
}


@pytest.fixture
def noisy_writer():
    """rasterio warns that our test files lie nowhere on Earth."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        yield


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_layout_reads_as_written(tmp_path, noisy_writer, name, dtype):
    options, channels = LAYOUTS[name]
    pixels = picture(channels=channels, dtype=dtype)
    by_rasterio(tmp_path / "a.tiff", pixels, **options)
    expected = pixels[:, :, :3]
    with open_slide(tmp_path / "a.tiff") as slide:
        assert (slide.shape, slide.channels, slide.dtype) == (SHAPE, expected.shape[2], dtype)
        assert np.array_equal(slide.read(0, 75, 0, 91), expected)
        assert np.array_equal(slide.read(17, 50, 3, 91), expected[17:50, 3:91])


@pytest.mark.parametrize("tile", [None, (16, 32)], ids=["striped", "tiled"])
def test_five_dimensional_slides_of_hubmap(tmp_path, tile):
    pixels = picture()
    five = pixels.transpose(2, 0, 1)[None, None]  # (1, 1, 3, H, W), as tifffile writes it: 3 pages
    tifffile.imwrite(tmp_path / "a.tiff", five, photometric="minisblack", tile=tile)
    with open_slide(tmp_path / "a.tiff") as slide:
        assert (slide.shape, slide.channels) == (SHAPE, 3)
        assert np.array_equal(slide.read(5, 70, 1, 90), pixels[5:70, 1:90])


def test_planar_pages_of_one_file(tmp_path):
    pixels = picture()
    planes = pixels.transpose(2, 0, 1)
    tifffile.imwrite(tmp_path / "a.tiff", planes, photometric="rgb", planarconfig="separate")
    with open_slide(tmp_path / "a.tiff") as slide:
        assert np.array_equal(slide.read(0, 75, 0, 91), pixels)


@pytest.mark.parametrize(("driver", "suffix"), [("PNG", "png"), ("JPEG", "jpg")])
def test_small_pictures(tmp_path, noisy_writer, driver, suffix):
    pixels = np.full((*SHAPE, 3), 90, np.uint8)  # flat, so that JPEG changes nothing
    by_rasterio(tmp_path / f"a.{suffix}", pixels, driver)
    with open_slide(tmp_path / f"a.{suffix}") as slide:
        assert np.array_equal(slide.read(0, 75, 0, 91), pixels)


def test_the_name_does_not_matter_the_content_does(tmp_path, noisy_writer):
    pixels = picture()
    by_rasterio(tmp_path / "a.png", pixels, "PNG")
    (tmp_path / "a.png").rename(tmp_path / "a.tiff")
    with open_slide(tmp_path / "a.tiff") as slide:
        assert np.array_equal(slide.read(0, 75, 0, 91), pixels)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), st.sampled_from([1, 2, 3, 4, 7]))
def test_a_scaled_window_is_the_average_of_its_cells(tmp_path, noisy_writer, data, scale):
    path = tmp_path / "a.tiff"
    if not path.exists():
        by_rasterio(path, picture(), **TILED)
    y0 = data.draw(st.integers(0, 74 // scale)) * scale
    x0 = data.draw(st.integers(0, 90 // scale)) * scale
    y1, x1 = data.draw(st.integers(y0 + 1, 75)), data.draw(st.integers(x0 + 1, 91))
    with open_slide(path) as slide:
        got = slide.read(y0, y1, x0, x1, scale)
    window = picture()[y0:y1, x0:x1].astype(float)
    full = np.pad(window, ((0, -(y1 - y0) % scale), (0, -(x1 - x0) % scale), (0, 0)), mode="edge")
    cells = full.reshape(full.shape[0] // scale, scale, full.shape[1] // scale, scale, 3)
    assert np.abs(got - cells.mean((1, 3))).max() <= 0.5 + 1e-6
    assert got.dtype == np.uint8


def test_neighbouring_windows_average_the_same_pixels(tmp_path, noisy_writer):
    by_rasterio(tmp_path / "a.tiff", picture(), **TILED)
    with open_slide(tmp_path / "a.tiff") as slide:
        whole = slide.read(0, 75, 0, 91, 4)
        halves = [slide.read(0, 75, 0, 44, 4), slide.read(0, 75, 44, 91, 4)]
    assert np.array_equal(np.concatenate(halves, axis=1), whole)


def test_thumbnail_is_the_whole_image_reduced(tmp_path, noisy_writer):
    by_rasterio(tmp_path / "a.tiff", picture((700, 40)), **TILED)
    with open_slide(tmp_path / "a.tiff") as slide:
        small, scale = slide.thumbnail(100)
        assert scale == 7
        assert np.array_equal(small, slide.read(0, 700, 0, 40, 7))


def read_many(slide, seed):
    """Return how many of 50 random windows differ from the truth."""
    rng, pixels, wrong = np.random.default_rng(seed), picture((400, 300)), 0
    for _ in range(50):
        y, x = rng.integers(0, 336), rng.integers(0, 236)
        got = slide.read(int(y), int(y) + 64, int(x), int(x) + 64)
        wrong += not np.array_equal(got, pixels[y : y + 64, x : x + 64])
    return wrong


@pytest.mark.parametrize("options", [{}, TILED | {"compress": "lzw"}], ids=["raw", "lzw"])
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_get_handles_of_their_own(tmp_path, noisy_writer, options, method):
    by_rasterio(tmp_path / "a.tiff", picture((400, 300)), **options)
    with open_slide(tmp_path / "a.tiff") as slide:
        assert read_many(slide, 0) == 0  # the parent's handle is open and used before the fork
        with multiprocessing.get_context(method).Pool(3) as pool:
            assert pool.starmap(read_many, [(slide, seed) for seed in range(3)]) == [0, 0, 0]


def own_handle(slide):
    """Read here, and return whether the handle that was used was opened here."""
    slide.read(0, 1, 0, 1)
    return (os.getpid(), threading.get_ident()) in slide._handles


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_worker_never_reads_through_its_parents_handle(tmp_path, noisy_writer, method):
    # Wrong pixels come now and then only; what makes them impossible can be seen every time.
    by_rasterio(tmp_path / "a.tiff", picture())
    with open_slide(tmp_path / "a.tiff") as slide:
        assert own_handle(slide)
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(own_handle, [slide, slide]) == [True, True]


def test_threads_get_handles_of_their_own(tmp_path, noisy_writer):
    by_rasterio(tmp_path / "a.tiff", picture((400, 300)))
    together = threading.Barrier(4)

    def work(seed):
        together.wait()
        return read_many(slide, seed), own_handle(slide)

    with open_slide(tmp_path / "a.tiff") as slide, ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [(0, True)] * 4
        handles = [handle for [handle] in slide._handles.values()]
        assert len(handles) == len({id(handle) for handle in handles}) == 4


def test_a_pickled_slide_opens_again(tmp_path, noisy_writer):
    by_rasterio(tmp_path / "a.tiff", picture((400, 300)))
    with open_slide(tmp_path / "a.tiff") as slide:
        read_many(slide, 0)
        again = pickle.loads(pickle.dumps(slide))  # noqa: S301
    with again:
        assert read_many(again, 1) == 0


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ((-1, 5, 0, 5), "window rows -1-5, columns 0-5 is not inside the image, 75 rows and 91 columns"),
        ((0, 76, 0, 5), "window rows 0-76, columns 0-5 is not inside the image, 75 rows and 91 columns"),
        ((5, 5, 0, 5), "window rows 5-5, columns 0-5 is not inside the image, 75 rows and 91 columns"),
        ((0, 5, 2, 8, 4), "window must start at multiples of scale=4, not at (0, 2)"),
        ((0, 5, 0, 8, 0), "window must start at multiples of scale=0, not at (0, 0)"),
    ],
)  # fmt: skip
def test_windows_that_are_refused(tmp_path, noisy_writer, window, message):
    by_rasterio(tmp_path / "a.tiff", picture())
    with open_slide(tmp_path / "a.tiff") as slide, pytest.raises(ValueError) as raised:
        slide.read(*window)
    assert str(raised.value) == message


def test_missing_file(tmp_path):
    with pytest.raises(SlideError) as raised:
        open_slide(tmp_path / "no.tiff")
    assert str(raised.value) == f"{tmp_path / 'no.tiff'}: cannot open: No such file or directory"


def test_named_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "a.tiff")
    with pytest.raises(SlideError) as raised:
        open_slide(tmp_path / "a.tiff")
    assert str(raised.value) == f"{tmp_path / 'a.tiff'}: not a regular file"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty\nhint: download it again"),
        (b"<!DOCTYPE html>", "not a TIFF, PNG or JPEG: it is an HTML page (a failed download?)"),
        (
            b"version https://git-lfs",
            "not a TIFF, PNG or JPEG: it is a git-lfs pointer: the image itself was never fetched",
        ),
        (
            b"<VRTDataset>",
            "not a TIFF, PNG or JPEG: it is a GDAL VRT, which points to other files",
        ),
        (b"hello world", "not a TIFF, PNG or JPEG: its first bytes are b'hell'"),
    ],
)
def test_files_that_are_no_images(tmp_path, content, message):
    (tmp_path / "a.tiff").write_bytes(content)
    with pytest.raises(SlideError) as raised:
        open_slide(tmp_path / "a.tiff")
    assert str(raised.value) == f"{tmp_path / 'a.tiff'}: {message}"


def test_a_header_without_image(tmp_path):
    (tmp_path / "a.tiff").write_bytes(b"II*\0\x08\0\0\0")
    with pytest.raises(SlideError, match=r"a\.tiff: cannot open: "):
        open_slide(tmp_path / "a.tiff")


def test_a_cut_off_file_names_file_place_and_remedy(tmp_path, noisy_writer):
    path = tmp_path / "a.tiff"
    by_rasterio(path, picture(), **TILED, compress="lzw")
    path.write_bytes(path.read_bytes()[:-4000])
    with open_slide(path) as slide, pytest.raises(SlideError) as raised:
        slide.read(40, 75, 0, 91)
    text = str(raised.value)
    assert text.startswith(f"{path}: cannot read rows 40-75, columns 0-91: ")
    assert text.endswith(
        "\nhint: the file is damaged or cut off; compare its size with the original's"
    )


def test_palettes_are_refused(tmp_path, noisy_writer):
    path = tmp_path / "a.tiff"
    with rasterio.open(
        path, "w", driver="GTiff", height=4, width=4, count=1, dtype="uint8", photometric="palette"
    ) as file:
        file.write(np.zeros((1, 4, 4), np.uint8))
        file.write_colormap(1, {0: (255, 0, 0, 255)})
    with pytest.raises(SlideError) as raised:
        open_slide(path)
    assert str(raised.value) == (
        f"{path}: its pixels are palette indices, not colours\nhint: convert it to RGB first"
    )


@pytest.mark.parametrize(
    ("pages", "message"),
    [
        (2, "2 page(s) of 1 band(s)"),
        (5, "5 page(s) of 1 band(s)"),
    ],
)
def test_page_counts_that_are_no_colours(tmp_path, pages, message):
    path = tmp_path / "a.tiff"
    tifffile.imwrite(path, np.zeros((pages, 8, 8), np.uint8), photometric="minisblack")
    with pytest.raises(SlideError) as raised:
        open_slide(path)
    assert str(raised.value) == (
        f"{path}: {message}; expected one page of 1 (grey), 3 (RGB) or 4 (RGBA) bands, "
        "or three pages of 1"
    )


def test_three_pages_of_different_sizes(tmp_path):
    path = tmp_path / "a.tiff"
    with tifffile.TiffWriter(path) as file:
        for size in (8, 8, 4):
            file.write(np.zeros((size, size), np.uint8), photometric="minisblack")
    with pytest.raises(SlideError) as raised:
        open_slide(path)
    assert str(raised.value) == (
        f"{path}: three pages that do not match: "
        "1 band(s) of 8 x 8, 1 band(s) of 8 x 8, 1 band(s) of 4 x 4"
    )
