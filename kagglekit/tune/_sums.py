"""What Dice is made of, at 255 thresholds by one look at an image."""

import cv2
import numpy as np
import numpy.typing as npt
import torch

from kagglekit.inference._stored import enlarged
from kagglekit.metrics import DiceSums
from kagglekit.rle import RLE
from kagglekit.tune._store import Prob

THRESHOLDS = tuple((k + 0.5) / 255 for k in range(255))
"""Between any two values that a byte can hold, one threshold; no value lies on one."""

_AT_ONCE = 64  # rows: of an image a quarter of a million pixels wide they are 16 million pixels

Counts = npt.NDArray[np.int64]


def dice_sums(prob: Prob, plane: int, truth: RLE, exclusive: bool) -> list[DiceSums]:
    """Count the pixels that Dice is made of, at each of `THRESHOLDS`.

    The map is enlarged a few rows at a time, as the prediction enlarges it; of each pixel only the
    number of thresholds below it is kept, in two histograms: of all pixels and of the true ones.

    Args:
        prob: the map.
        plane: which of its planes.
        truth: the true mask, of the image's shape.
        exclusive: a pixel belongs only to the plane with the highest probability there.
    """
    every, inside = np.zeros(256, np.int64), np.zeros(256, np.int64)
    width, is_bytes = prob.shape[1], prob.values.dtype == np.uint8
    for top, values in enlarged(prob.values, prob.shape, prob.scale):
        value = values[plane] if is_bytes else values[plane] * 255
        level = (value - 0.5).ceil_().to(torch.uint8)
        if exclusive:
            level[values.argmax(0) != plane] = 0
        pixels, mask = level.numpy(), truth.window(top, top + len(level), 0, width)
        every += _histogram(pixels, None)
        inside += _histogram(pixels, mask)
    both, pred = _above(inside), _above(every)
    return [DiceSums(int(b), int(p), truth.area) for b, p in zip(both, pred, strict=True)]


def _histogram(pixels: npt.NDArray[np.uint8], mask: npt.NDArray[np.uint8] | None) -> Counts:
    """Count the values of some rows; OpenCV's float32 counts are exact up to 16 million pixels."""
    counts = np.zeros(256, np.int64)
    for row in range(0, len(pixels), _AT_ONCE):
        part = slice(row, row + _AT_ONCE)
        chosen = None if mask is None else mask[part]
        found = cv2.calcHist([pixels[part]], [0], chosen, [256], [0, 256])
        counts += found.ravel().astype(np.int64)
    return counts


def _above(histogram: Counts) -> Counts:
    """Return how many pixels are above each threshold."""
    return histogram[::-1].cumsum()[::-1][1:]
