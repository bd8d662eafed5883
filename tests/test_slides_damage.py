import gc
import mmap  # noqa: F401 - NumPy imports it when it maps a file, for which there is no room then
import os
import resource
import struct
from concurrent.futures import ThreadPoolExecutor
from zlib import crc32

import numpy as np
import pytest

from kagglekit.errors import SlideError
from kagglekit.slides import open_slide
from tests import slides_damage
from tests.slides_damage import DAMAGE, tags, tiff
from tests.slides_factory import LAYOUTS, picture


def read_all(path):
    with open_slide(path) as slide:
        height, width = slide.shape
        slide.read(height - 1, height, 0, width)
        slide.read(0, height, 0, width)


def test_there_are_enough_damages():
    assert len(DAMAGE) >= 30


@pytest.mark.parametrize("name", DAMAGE)
def test_a_bad_file_is_one_typed_error_that_names_file_and_cause(tmp_path, name):
    path = tmp_path / "slide.tiff"
    words = DAMAGE[name](path)
    with pytest.raises(SlideError) as raised:
        read_all(path)
    text = str(raised.value)
    assert text.startswith(f"{path}: ")
    assert words in text
    assert "\nhint: " in text


def test_no_permission(tmp_path):
    path = tmp_path / "slide.tiff"
    LAYOUTS["5-D"](path, picture((75, 91)))
    path.chmod(0)
    if os.geteuid() == 0:
        os.seteuid(65534)  # root may read everything
    try:
        with pytest.raises(SlideError) as raised:
            open_slide(path)
    finally:
        os.seteuid(os.getuid())
    assert str(raised.value) == f"{path}: cannot open: Permission denied\nhint: check the path"


def test_the_whole_message(tmp_path):
    path = tmp_path / "slide.tiff"
    LAYOUTS["tiles, LZW, by pixel"](path, picture((75, 91)))
    path.write_bytes(path.read_bytes()[:23_000])
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read(0, 64, 0, 91), picture((75, 91))[:64])
        with pytest.raises(SlideError) as raised:
            slide.read(64, 75, 0, 91)
    assert str(raised.value) == (
        f"{path}: cannot read rows 64-75, columns 0-91: TIFFFillTile:Read error at row "
        "32, col 32, tile 12; got 1095 bytes, expected 1285\n"
        "hint: the file is 23,000 bytes; its index needs 25,533: it was probably cut off, "
        "fetch it again"
    )


def test_a_file_that_goes_away(tmp_path):
    path = tmp_path / "slide.tiff"
    LAYOUTS["5-D"](path, picture((75, 91)))
    with open_slide(path) as slide:
        path.unlink()
        with pytest.raises(SlideError) as raised:
            slide.read(0, 2, 0, 3)
    assert str(raised.value).endswith(
        "\nhint: the file cannot be found any more: No such file or directory"
    )


def test_a_file_that_is_replaced(tmp_path):
    path = tmp_path / "slide.tiff"
    LAYOUTS["5-D"](path, picture((75, 91)))
    before = picture((75, 91))[:20]
    with open_slide(path) as slide, ThreadPoolExecutor(1) as another_thread:
        np.testing.assert_array_equal(slide.read(0, 20, 0, 91), before)
        LAYOUTS["5-D"](tmp_path / "new.tiff", 255 - picture((75, 91)))
        (tmp_path / "new.tiff").replace(path)
        np.testing.assert_array_equal(slide.read(0, 20, 0, 91), before)  # the file it has open
        with pytest.raises(SlideError) as raised:
            another_thread.submit(slide.read, 20, 75, 0, 91).result()
    assert str(raised.value) == (
        f"{path}: cannot read rows 20-75, columns 0-91: the file is another one now\n"
        "hint: the file has changed since the slide was opened: open it again"
    )
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read(0, 20, 0, 91), 255 - before)


def test_a_file_that_is_overwritten_while_it_is_read(tmp_path):
    path = tmp_path / "slide.tiff"
    LAYOUTS["tiles, LZW, by pixel"](path, picture((75, 91)))
    with open_slide(path) as slide:
        slide.read(0, 16, 0, 91)
        path.write_bytes(bytes(3000))
        with pytest.raises(SlideError) as raised:
            slide.read(1, 75, 0, 91)
    assert str(raised.value).endswith(
        "\nhint: the file has changed since the slide was opened: open it again"
    )


@pytest.mark.parametrize("kind", ["slide.tiff", "slide.png", "slide.npy"])
def test_too_many_open_files(tmp_path, kind):
    path = tmp_path / kind
    if kind == "slide.npy":
        np.save(path, picture((75, 91)))
    else:
        layout = "5-D" if kind == "slide.tiff" else "PNG"
        slides_damage.LAYOUTS[layout](path, picture((75, 91)))
    slide = open_slide(path)
    gc.collect()  # a file that is closed meanwhile would leave room for another
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with path.open("rb") as file:
        next_one = file.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (next_one, limits[1]))
    try:
        with pytest.raises(SlideError) as reading:
            slide.read(0, 75, 0, 91)
        with pytest.raises(SlideError) as opening:
            open_slide(path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    for raised in (reading, opening):
        assert "Too many open files" in str(raised.value)
        assert raised.value.hint == (
            "this process has as many files open as it may: close some, "
            "or allow it more (ulimit -n)"
        )
    np.testing.assert_array_equal(slide.read(0, 75, 0, 91), picture((75, 91)))


def test_a_null_byte_in_the_name():
    with pytest.raises(SlideError, match="cannot open: .*null"):
        open_slide("a\0b.tiff")


def test_a_picture_that_is_larger_than_memory_opens_and_reads_by_windows(tmp_path):
    path = tmp_path / "bomb.tiff"
    side = 100_000
    nothing = (4, [0] * side)
    path.write_bytes(tiff(tags(side, side, strip_rows=1) | {273: nothing, 279: nothing}))
    with open_slide(path) as slide:
        assert slide.shape == (side, side)
        assert not slide.read(side - 9, side, side - 8, side).any()
        with pytest.raises(SlideError) as raised:
            slide.read(0, side, 0, side)
    start = f"{path}: rows 0-100000, columns 0-100000 need 27.9 GiB and "
    assert str(raised.value).startswith(start)
    assert str(raised.value).endswith("free\nhint: read smaller windows, or with scale")


def test_an_interlaced_png_that_is_larger_than_memory(tmp_path):
    path = tmp_path / "bomb.png"
    slides_damage.LAYOUTS["PNG, interlaced"](path, picture((75, 91)))
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    data[29:33] = struct.pack(">I", crc32(data[12:29]))
    path.write_bytes(data)
    with pytest.raises(SlideError, match=r"one stored block is 60,000 x 60,000 pixels, 10\.1 GiB"):
        open_slide(path)


def test_a_chain_of_pages_that_bites_its_tail(tmp_path):
    path = tmp_path / "loop.tiff"
    pixels = picture((9, 9)).tobytes()
    content = tiff(tags(9, 9), following=8)
    path.write_bytes(content.ljust(500, b"\0") + pixels)
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read(0, 9, 0, 9), picture((9, 9)))


def test_a_gif_whose_pixels_are_beyond_its_palette(tmp_path):
    path = tmp_path / "a.gif"
    slides_damage.LAYOUTS["GIF of 4 colours"](path, picture((75, 91)))
    data = bytearray(path.read_bytes())
    assert data[10] & 7 == 1  # 4 entries
    data[10] &= ~1  # 2 entries: their last six bytes are taken for the next block
    path.write_bytes(data)
    with pytest.raises(SlideError):
        read_all(path)
