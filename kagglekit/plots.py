"""Pictures of an image with its prediction and truth, and curves of numbers.

Masks stay runs: only the rows being drawn are ever decoded, so a 40,000 x 50,000 mask is drawn in a
few megabytes.
"""

from collections.abc import Mapping, Sequence

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
    picture = _as_rgb8(pixels)
    found = _shrunk(predicted, scale)
    true = _shrunk(truth, scale) if truth is not None else np.zeros_like(found)
    for colour, where in (
        (ONLY_PREDICTED, found & ~true),
        (ONLY_TRUE, true & ~found),
        (BOTH, found & true),
    ):
        picture[where] = (0.4 * picture[where] + 0.6 * np.array(colour)).astype(np.uint8)
    return picture


def as_png(picture: Picture) -> bytes:
    """Encode an (h, w, 3) uint8 RGB picture as PNG."""
    _, data = cv2.imencode(".png", picture[:, :, ::-1])  # OpenCV wants BGR
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


def _panel(name: str, values: Sequence[float], width: int, height: int) -> Picture:
    picture = np.full((height, width, 3), 255, np.uint8)
    left, right, top, bottom = 90, width - 20, 30, height - 20
    cv2.rectangle(picture, (left, top), (right, bottom), (200, 200, 200))
    numbers = np.asarray(values, np.float64)
    known = np.isfinite(numbers)
    low, high = (numbers[known].min(), numbers[known].max()) if known.any() else (0.0, 0.0)
    x = np.linspace(left, right, max(len(numbers), 2))[: len(numbers)][known]
    y = bottom - (numbers[known] - low) / (high - low or 1) * (bottom - top)
    points = np.stack([x, y], axis=1).round().astype(np.int32)
    cv2.polylines(picture, [points], False, ONLY_TRUE, 2, cv2.LINE_AA)
    for point in points:
        cv2.circle(picture, [int(point[0]), int(point[1])], 3, ONLY_TRUE, -1, cv2.LINE_AA)
    for text, place in (
        (name, (left, top - 10)),
        (f"{high:.4g}", (8, top + 10)),
        (f"{low:.4g}", (8, bottom)),
    ):
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return picture


def _size(shape: tuple[int, int]) -> str:
    return f"{shape[0]} × {shape[1]} pixels"


def _as_rgb8(pixels: npt.NDArray[np.generic]) -> Picture:
    if pixels.dtype != np.uint8:
        values = pixels.astype(np.float32)
        low, high = float(values.min()), float(values.max())
        pixels = ((values - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)
    return np.repeat(pixels, 3 // pixels.shape[2], axis=2).astype(np.uint8)  # a fresh array


def _shrunk(mask: RLE, scale: int) -> npt.NDArray[np.bool_]:
    """Sample every scale-th pixel of a mask, decoding one strip at a time."""
    height, width = mask.shape
    step = max(1, 1024 // scale) * scale
    strips = [
        mask.window(y0, min(y0 + step, height), 0, width)[::scale, ::scale]
        for y0 in range(0, height, step)
    ]
    return np.concatenate(strips).astype(bool)
