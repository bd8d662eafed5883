"""What Dice is made of, at 255 thresholds by one look at an image."""

import numpy as np
import numpy.typing as npt
import torch

from kagglekit.inference._combine import Stretch
from kagglekit.inference._stored import strips
from kagglekit.metrics import DiceSums
from kagglekit.rle import RLE
from kagglekit.tune._store import Prob

THRESHOLDS = tuple((k + 0.5) / 255 for k in range(255))
"""Between any two values that a byte can hold, one threshold; no value lies on one."""

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
    stretch = Stretch(0, prob.shape, prob.scale, 0)
    largest = 255 if prob.values.dtype == np.uint8 else 1
    at, width = 0, prob.shape[1]
    for rows in strips(prob.values):
        stretch.push(rows)
        stop = stretch.ready
        values = stretch.take(at, stop)
        level = (values[plane] * (255 / largest) - 0.5).ceil_().clamp_(0, 255).to(torch.uint8)
        if exclusive:
            level[values.argmax(0) != plane] = 0
        pixels, mask = level.numpy(), truth.window(at, stop, 0, width).astype(bool)
        every += np.bincount(pixels.ravel(), minlength=256)
        inside += np.bincount(pixels[mask], minlength=256)
        at = stop
    both, pred = _above(inside), _above(every)
    return [DiceSums(int(b), int(p), truth.area) for b, p in zip(both, pred, strict=True)]


def _above(histogram: Counts) -> Counts:
    """Return how many pixels are above each threshold."""
    return histogram[::-1].cumsum()[::-1][1:]
