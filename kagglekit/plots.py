"""Pictures of an image with its prediction and truth, and curves of numbers.

Masks stay runs: only the rows being drawn are ever decoded, so a 40,000 x 50,000 mask is drawn in a
few megabytes.
"""

import colorsys
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from kagglekit.errors import RLEError
from kagglekit.rle import RLE
from kagglekit.slides import Slide

# Colour-blind safe (Okabe and Ito): what only the prediction has, only the truth has, both have.
ONLY_PREDICTED = (213, 94, 0)
ONLY_TRUE = (0, 114, 178)
BOTH = (0, 158, 115)

Picture = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

_GOLDEN = 0.618034  # of a circle of hues: multiples of it never crowd


def overlay(slide: Slide, predicted: RLE, truth: RLE | None = None, max_side: int = 700) -> Picture:
    """Draw prediction and truth over a slide's thumbnail.

    Args:
        slide: the image; 16-bit and float ones are stretched to their own range.
        predicted: the mask, of the slide's shape.
        truth: the true mask, if known.
        max_side: longer side of the picture in pixels.

    Returns:
        (h, w, 3) uint8 RGB. Vermilion is predicted only, blue is true only, green is both.

    Raises:
        RLEError: a mask has another shape than the slide.
    """
    for name, mask in (("predicted", predicted), ("truth", truth)):
        if mask is not None and tuple(mask.shape) != tuple(slide.shape):
            raise RLEError(
                f"the slide is {_size(slide.shape)} (height × width) and `{name}` "
                f"{_size(mask.shape)}"
            )
    pixels, scale = slide.thumbnail(max_side)
    found = sampled(predicted, scale)
    true = sampled(truth, scale) if truth is not None else np.zeros_like(found)
    return differences(as_rgb8(pixels), [found], [true])


def differences(picture: Picture, predicted: Sequence[Mask], truth: Sequence[Mask]) -> Picture:
    """Paint where prediction and truth agree and differ.

    Args:
        picture: (h, w, 3) uint8 RGB.
        predicted: (h, w) bool masks; where there are several kinds of things, one for each kind.
        truth: the true ones, of the same kinds in the same order.

    Returns:
        A new picture. Vermilion is predicted only, blue is true only, green is both; something
        that is taken for another kind is predicted only.
    """
    drawn = picture.copy()
    pairs = list(zip(predicted, truth, strict=True))
    for colour, where in (
        (BOTH, [found & true for found, true in pairs]),
        (ONLY_TRUE, [true & ~found for found, true in pairs]),
        (ONLY_PREDICTED, [found & ~true for found, true in pairs]),
    ):
        painted = np.any(where, axis=0)
        drawn[painted] = (0.4 * picture[painted] + 0.6 * np.array(colour)).astype(np.uint8)
    return drawn


def in_colours(masks: Sequence[Mask], shape: tuple[int, int]) -> Picture:
    """Draw masks on black: a single one white, of several each in a colour of its own.

    Args:
        masks: (h, w) bool; of two that overlap the later is seen.
        shape: (h, w), also of no masks.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    picture = np.zeros((*shape, 3), np.uint8)
    for place, mask in enumerate(masks):
        hue = place * _GOLDEN % 1.0  # neighbours in the list are far apart in colour
        colour = colorsys.hsv_to_rgb(hue, 0.55, 1.0) if len(masks) > 1 else (1.0, 1.0, 1.0)
        picture[mask] = np.multiply(colour, 255).round()
    return picture


def as_png(picture: Picture) -> bytes:
    """Encode an (h, w, 3) uint8 RGB picture as PNG."""
    _, data = cv2.imencode(".png", picture[:, :, ::-1])  # OpenCV wants BGR
    return data.tobytes()


def as_jpeg(picture: Picture) -> bytes:
    """Encode an (h, w, 3) uint8 RGB picture as JPEG, its colours as sharp as its brightness."""
    sharp = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    _, data = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88, *sharp])
    return data.tobytes()


def curves(series: Mapping[str, Sequence[float]], width: int = 640, height: int = 160) -> Picture:
    """Draw numbers over their place, a panel for each series, one under the other.

    Each panel has its own scale, whose ends stand at its left; what is not a number is left out.

    Args:
        series: at least one, by name.
        width: of the picture in pixels.
        height: of a panel in pixels.

    Returns:
        (panels × height, width, 3) uint8 RGB.

    Example:
        >>> curves({"loss": [0.9, 0.5, 0.4], "dice": [0.2, 0.6, 0.7]}).shape
        (320, 640, 3)
    """
    panels = [_panel(name, values, width, height) for name, values in series.items()]
    return np.concatenate(panels)


def plateau(
    name: str,
    values: Sequence[float],
    scores: Sequence[float],
    span: tuple[float, float],
    chosen: float,
    width: int = 640,
    height: int = 200,
) -> Picture:
    """Draw scores over the values of a parameter, with the values that are as good as the best.

    Values stand at equal distances, whatever they are, so that sizes can be seen beside each other.

    Args:
        name: the panel's title.
        values: ascending.
        scores: of each.
        span: the lowest and the highest value of the plateau, drawn green.
        chosen: the value that is drawn as an upright line and written beside the name.
        width: in pixels.
        height: in pixels.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    places = np.linspace(0, 1, len(values)) if len(values) > 1 else np.zeros(1)
    first, last, middle = (float(places[list(values).index(value)]) for value in (*span, chosen))
    picture, (left, right, top, bottom) = _frame(width, height)
    x0, x1, x = (round(left + place * (right - left)) for place in (first, last, middle))
    picture[top + 1 : bottom, x0 : x1 + 1] = (217, 240, 231)
    cv2.line(picture, (x, top), (x, bottom), ONLY_PREDICTED, 2, cv2.LINE_AA)
    _line(picture, scores, (left, right, top, bottom))
    _write(
        picture, f"{name} = {chosen:.4g}, as good: {span[0]:.4g} to {span[1]:.4g}", (left, top - 10)
    )
    _write(picture, f"{values[0]:.4g}", (left, bottom + 16))
    _write(picture, f"{values[-1]:.4g}", (right - 50, bottom + 16))
    return picture


def _panel(name: str, values: Sequence[float], width: int, height: int) -> Picture:
    picture, box = _frame(width, height)
    _line(picture, values, box)
    _write(picture, name, (box[0], box[2] - 10))
    return picture


def _frame(width: int, height: int) -> tuple[Picture, tuple[int, int, int, int]]:
    """Return a white picture with a grey rectangle, and its left, right, top and bottom."""
    picture = np.full((height, width, 3), 255, np.uint8)
    left, right, top, bottom = 90, width - 20, 30, height - 20
    cv2.rectangle(picture, (left, top), (right, bottom), (200, 200, 200))
    return picture, (left, right, top, bottom)


def _line(picture: Picture, values: Sequence[float], box: tuple[int, int, int, int]) -> None:
    """Draw numbers as a line through points, with the ends of their range beside it."""
    left, right, top, bottom = box
    numbers = np.asarray(values, np.float64)
    known = np.isfinite(numbers)
    low, high = (numbers[known].min(), numbers[known].max()) if known.any() else (0.0, 0.0)
    x = np.linspace(left, right, max(len(numbers), 2))[: len(numbers)][known]
    y = bottom - (numbers[known] - low) / (high - low or 1) * (bottom - top)
    points = np.stack([x, y], axis=1).round().astype(np.int32)
    cv2.polylines(picture, [points], False, ONLY_TRUE, 2, cv2.LINE_AA)
    for point in points:
        cv2.circle(picture, [int(point[0]), int(point[1])], 3, ONLY_TRUE, -1, cv2.LINE_AA)
    _write(picture, f"{high:.4g}", (8, top + 10))
    _write(picture, f"{low:.4g}", (8, bottom))


def _write(picture: Picture, text: str, place: tuple[int, int]) -> None:
    cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)


def _size(shape: tuple[int, int]) -> str:
    return f"{shape[0]} × {shape[1]} pixels"


def as_rgb8(pixels: npt.NDArray[Any]) -> Picture:
    """Make pixels of any kind visible: (h, w, C), other than uint8 stretched to their range.

    Of two channels the first is shown as grey, of four the first three; nan as the lowest value.

    Returns:
        A fresh (h, w, 3) uint8 array.
    """
    pixels = pixels[:, :, : 3 if pixels.shape[2] >= 3 else 1]
    if pixels.dtype != np.uint8:
        with np.errstate(over="ignore"):
            values = pixels.astype(np.float32)
        known = values[np.isfinite(values)]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
        values = np.nan_to_num(values.astype(np.float64), nan=low, posinf=high, neginf=low)
        pixels = ((values - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)
    return np.repeat(pixels, 3 // pixels.shape[2], axis=2).astype(np.uint8)  # a fresh array


def sampled(mask: RLE, scale: int) -> Mask:
    """Return every scale-th pixel of a mask, (h, w) bool, decoding one strip at a time."""
    height, width = mask.shape
    step = max(1, 1024 // scale) * scale
    strips = [
        mask.window(y0, min(y0 + step, height), 0, width)[::scale, ::scale]
        for y0 in range(0, height, step)
    ]
    return np.concatenate(strips).astype(bool)
