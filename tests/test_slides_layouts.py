import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio

from kagglekit.errors import SlideError
from kagglekit.scaling import shrink
from kagglekit.slides import open_slide
from tests import slides_factory, slides_pictures
from tests.slides_refusals import REFUSALS

LAYOUTS = slides_factory.LAYOUTS | slides_pictures.LAYOUTS
SIZES = [(75, 91), (64, 128), (1, 7)]


def test_there_are_enough_layouts():
    assert len(LAYOUTS) >= 80
    assert len(REFUSALS) >= 20


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_reads_as_written(tmp_path, name, seed):
    path, shape = tmp_path / "a b:1.tiff", SIZES[seed]
    expected = LAYOUTS[name](path, slides_factory.picture(shape, seed))
    y, x = shape[0] // 3, shape[1] // 4
    with open_slide(path) as slide:
        assert (slide.shape, slide.channels) == (shape, expected.shape[2])
        assert slide.dtype == expected.dtype.newbyteorder("=")
        np.testing.assert_array_equal(slide.read(0, shape[0], 0, shape[1]), expected)
        np.testing.assert_array_equal(slide.read(y, shape[0], x, shape[1]), expected[y:, x:])


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_averaged_as_its_pixels_are(tmp_path, name):
    path, (height, width) = tmp_path / "a.tiff", SIZES[0]
    expected = LAYOUTS[name](path, slides_factory.picture((height, width)))
    with open_slide(path) as slide:
        pixels = expected.astype(slide.dtype)
        for scale in (2, 3, 4):
            if slide.dtype.name in ("uint8", "uint16", "int16", "float32", "float64"):
                small = slide.read(0, height, 0, width, scale)
                exact = slide.dtype.kind in "ui"  # a sum of floats depends on its order
                np.testing.assert_allclose(
                    small, shrink(pixels, scale), rtol=0, atol=0 if exact else 1e-5
                )
            else:
                with pytest.raises(ValueError, match="cannot be averaged"):
                    slide.read(0, height, 0, width, scale)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", REFUSALS)
def test_what_has_no_one_reading_is_refused_by_name(tmp_path, name, seed):
    path = tmp_path / "a b:1.tiff"
    message = REFUSALS[name](path, slides_factory.picture(SIZES[seed], seed))
    with pytest.raises(SlideError) as raised:
        open_slide(path)
    assert str(raised.value) == f"{path}: {message}"


def test_what_the_hint_for_other_bands_says_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rgb = slides_factory.picture((75, 91))
    path = Path("a.tiff")
    _, hint = REFUSALS["5 bands"](path, rgb).split("\nhint: save the bands you need as .npy: ")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        eval(hint, {"np": np, "rasterio": rasterio})
    with open_slide("a.npy") as slide:
        np.testing.assert_array_equal(slide.read(0, 75, 0, 91), rgb)
