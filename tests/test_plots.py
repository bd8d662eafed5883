"""Overlays, pixel by pixel against whole-array arithmetic."""

import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile

from kagglekit import plots
from kagglekit.errors import RLEError
from kagglekit.rle import RLE
from kagglekit.slides import Slide, open_slide

SHAPE = (37, 53)


def slide_of(folder: Path, pixels: np.ndarray[Any, Any]) -> Slide:
    tifffile.imwrite(folder / "a.tiff", pixels)
    return open_slide(folder / "a.tiff")


def masks(rng: np.random.Generator, shape: tuple[int, int] = SHAPE) -> tuple[RLE, RLE]:
    return tuple(RLE.from_mask(rng.random(shape) < 0.5) for _ in range(2))  # type: ignore[return-value]


@pytest.mark.parametrize("max_side", [700, 53, 30, 7])
def test_colours(max_side: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    predicted, truth = masks(rng)
    with slide_of(tmp_path, rng.integers(0, 256, (*SHAPE, 3), np.uint8)) as slide:
        thumbnail, scale = slide.thumbnail(max_side)
        picture = plots.overlay(slide, predicted, truth, max_side)
    assert picture.dtype == np.uint8
    assert max(picture.shape) <= max_side
    found, true = (mask.to_mask()[::scale, ::scale].astype(bool) for mask in (predicted, truth))
    assert picture.shape == (*found.shape, 3)
    for y, x in np.ndindex(found.shape):
        before = thumbnail[y, x].astype(float)
        if not found[y, x] and not true[y, x]:
            expected = before
        else:
            colour = {
                (True, False): (213, 94, 0),
                (False, True): (0, 114, 178),
                (True, True): (0, 158, 115),
            }[bool(found[y, x]), bool(true[y, x])]
            expected = 0.4 * before + 0.6 * np.array(colour)
        assert np.all(np.abs(picture[y, x] - expected) <= 1)


def test_without_truth_everything_is_predicted_only(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    predicted, _ = masks(rng)
    with slide_of(tmp_path, np.zeros((*SHAPE, 3), np.uint8)) as slide:
        picture = plots.overlay(slide, predicted)
        assert np.array_equal(picture.any(axis=2), predicted.to_mask())
        nothing = plots.overlay(slide, RLE.empty(SHAPE), RLE.empty(SHAPE))
    assert not nothing.any()


def test_masks_counted_along_the_rows_are_drawn_alike(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    predicted, truth = masks(rng)
    with slide_of(tmp_path, np.zeros((*SHAPE, 3), np.uint8)) as slide:
        expected = plots.overlay(slide, predicted, truth, 20)
        drawn = plots.overlay(slide, predicted.reorder("C"), truth.reorder("C"), 20)
    assert np.array_equal(drawn, expected)


def test_a_mask_is_drawn_strip_by_strip(tmp_path: Path) -> None:
    """Higher than one strip of 1024 rows, and no multiple of the scale."""
    shape = (2347, 9)
    rng = np.random.default_rng(6)
    predicted, _ = masks(rng, shape)
    with slide_of(tmp_path, np.zeros((*shape, 3), np.uint8)) as slide:
        picture = plots.overlay(slide, predicted, max_side=700)
    assert picture.shape == (587, 3, 3)  # every fourth row and column
    assert np.array_equal(picture.any(axis=2), predicted.to_mask()[::4, ::4])


@pytest.mark.parametrize(
    ("pixels", "low", "high"),
    [
        (np.linspace(1000, 5000, 35 * 20).reshape(35, 20).astype(np.uint16), 0, 255),
        (np.linspace(-1, 1, 35 * 20).reshape(35, 20).astype(np.float32), 0, 255),
        (np.full((35, 20), 700, np.uint16), 0, 0),
        (np.full((35, 20), 7, np.uint8), 7, 7),
    ],
)
def test_grey_and_deep_images(
    pixels: np.ndarray[Any, Any], low: int, high: int, tmp_path: Path
) -> None:
    with slide_of(tmp_path, pixels) as slide:
        picture = plots.overlay(slide, RLE.empty((35, 20)))
    assert picture.shape == (35, 20, 3)
    assert (picture[..., 0] == picture[..., 2]).all()
    assert (picture.min(), picture.max()) == (low, high)
    assert (np.diff(picture[..., 1].ravel().astype(int)) >= 0).all()


@pytest.mark.parametrize("name", ["predicted", "truth"])
def test_a_mask_of_another_shape_is_refused(name: str, tmp_path: Path) -> None:
    given = {"predicted": RLE.empty(SHAPE), name: RLE.empty((53, 37))}
    slide = slide_of(tmp_path, np.zeros((*SHAPE, 3), np.uint8))
    with slide, pytest.raises(RLEError) as caught:
        plots.overlay(slide, **given)
    assert str(caught.value) == (
        f"the slide is 37 × 53 pixels (height × width) and `{name}` 53 × 37 pixels"
    )


def test_png() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (5, 7, 3), np.uint8)
    data = plots.as_png(picture)
    assert data.startswith(b"\x89PNG")
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(decoded[..., ::-1], picture)


def test_curves_rise_where_numbers_do():
    picture = plots.curves({"up": [0.0, 1.0, 2.0], "down": [5.0, float("nan"), 1.0]}, 400, 100)
    assert picture.shape == (200, 400, 3)
    blue = (picture == plots.ONLY_TRUE).all(axis=2)
    for panel, sign in ((blue[:100], -1), (blue[100:], 1)):
        rows, columns = panel.nonzero()
        left = rows[columns < columns.min() + 5].mean()
        right = rows[columns > columns.max() - 5].mean()
        assert sign * (right - left) > 30


def test_a_curve_of_one_number_or_none():
    assert (plots.curves({"one": [0.5]}) == plots.ONLY_TRUE).all(axis=2).any()
    assert not (plots.curves({"none": [float("nan")]}) == plots.ONLY_TRUE).all(axis=2).any()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, 1e300])
def test_odd_numbers_and_channels_do_not_hide_a_picture(channels: int, odd: float) -> None:
    pixels = np.linspace(0, 1, 20 * channels).reshape(4, 5, channels)
    pixels[0, :2] = 0.0
    shown = plots.as_rgb8(pixels)
    pixels[0, 0] = odd
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        marked = plots.as_rgb8(pixels)
    assert marked.shape == (4, 5, 3)
    assert marked.dtype == np.uint8
    assert (marked[1:] == shown[1:]).all()
    assert (marked[0, 0] == (255 if odd > 0 else 0)).all()


def test_a_picture_of_nothing_but_nan() -> None:
    assert not plots.as_rgb8(np.full((4, 5, 1), np.nan)).any()
