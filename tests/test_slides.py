"""What a slide is, on one small file; its parts have files of their own, `test_slides_*.py`."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kagglekit
from kagglekit.slides import Slide, SlideError, open_slide
from tests.slides_factory import RGB, TILED, by_rasterio, picture


def test_what_a_slide_says_of_itself(tmp_path):
    path = tmp_path / "a.tiff"
    by_rasterio(path, picture((75, 91)), **RGB | TILED)
    with open_slide(str(path)) as slide:
        assert isinstance(slide, Slide)
        assert slide.path == path
        assert (slide.shape, slide.channels, slide.dtype) == ((75, 91), 3, np.uint8)
        assert (slide.block, slide.sequential) == ((16, 32), False)
        assert repr(slide) == "Slide(a.tiff, shape=(75, 91), channels=3)"
        pixels = slide.read(3, 70, 5, 90)
        assert pixels.flags.c_contiguous
        np.testing.assert_array_equal(pixels, picture((75, 91))[3:70, 5:90])


def test_the_name_does_not_matter_the_content_does(tmp_path):
    by_rasterio(tmp_path / "a.tiff", picture((75, 91)), "PNG")
    with open_slide(tmp_path / "a.tiff") as slide:
        np.testing.assert_array_equal(slide.read(0, 75, 0, 91), picture((75, 91)))


def test_neighbouring_windows_average_the_same_pixels(tmp_path):
    by_rasterio(tmp_path / "a.tiff", picture((75, 91)), **RGB | TILED)
    with open_slide(tmp_path / "a.tiff") as slide:
        whole = slide.read(0, 75, 0, 91, 4)
        halves = [slide.read(0, 75, 0, 44, 4), slide.read(0, 75, 44, 91, 4)]
    np.testing.assert_array_equal(np.concatenate(halves, axis=1), whole)


def test_one_error_for_whatever_is_wrong(tmp_path):
    with pytest.raises(SlideError) as raised:
        open_slide(tmp_path / "no.tiff")
    assert isinstance(raised.value, OSError)
    assert raised.value.exit_code == 4


def test_neither_torch_nor_tifffile_is_imported():
    code = "import sys, kagglekit.slides; print([m for m in ('torch', 'tifffile') if m in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(kagglekit.__file__).parents[1],
        capture_output=True,
        text=True,
    )
    assert run.stdout.strip() == "[]", run.stderr


def test_a_name_that_is_not_utf8_is_the_reason(tmp_path):
    by_rasterio(tmp_path / "a.tiff", picture((75, 91)), **RGB | TILED)
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.tiff"))
    (tmp_path / "a.tiff").rename(path)
    with pytest.raises(SlideError) as raised:
        open_slide(path)
    assert str(raised.value) == (
        f"{path}: its name is not UTF-8, and GDAL takes no other\nhint: rename it"
    )
