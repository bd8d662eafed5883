"""From image pixels to model pixels: averaging.

Model pixel i covers image pixels i*scale to (i+1)*scale.
"""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

_SUMS_FIT = range(3, 17)  # scales at which a cell of bytes adds up to 16 bits; OpenCV is fast at 2
_IN_CACHE = 1 << 19  # bytes averaged at a time


def shrink(pixels: npt.NDArray[Any], scale: int) -> npt.NDArray[Any]:
    """Average cells of scale x scale pixels.

    Args:
        pixels: (h, w, C), any dtype that OpenCV resizes: uint8, uint16, float32, float64.
        scale: side of a cell in pixels. Where the image ends inside a cell, its last row or column
            is repeated.

    Returns:
        (ceil(h/scale), ceil(w/scale), C), same dtype, rounded for integers.

    Example:
        >>> shrink(np.array([[[0], [10]], [[20], [30]]], np.uint8), 2).tolist()
        [[[15]]]
    """
    height, width, channels = pixels.shape
    missing = (-height % scale, -width % scale)
    if any(missing):
        pixels = np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
    size = (pixels.shape[1] // scale, pixels.shape[0] // scale)  # OpenCV wants (w, h)
    if pixels.dtype == np.uint8 and scale in _SUMS_FIT:
        return _averaged(pixels, scale)
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return small.reshape(size[1], size[0], channels)


def _averaged(pixels: npt.NDArray[Any], scale: int) -> npt.NDArray[np.uint8]:
    """Average whole cells of bytes: what OpenCV does, to the last bit, in less time."""
    height, width, channels = pixels.shape[0] // scale, pixels.shape[1] // scale, pixels.shape[2]
    means = np.empty((height, width, channels), np.uint8)
    at_once = max(1, _IN_CACHE // (scale * pixels.shape[1] * channels))
    for y in range(0, height, at_once):
        cells = pixels[y * scale : (y + at_once) * scale]
        sums = _sums(cells.reshape(len(cells) // scale, scale, -1), scale, channels)
        # Halves are rounded to the even neighbour.
        means[y : y + at_once] = cv2.convertScaleAbs(sums, alpha=1 / scale**2).reshape(sums.shape)
    return means


def _sums(rows: npt.NDArray[Any], scale: int, channels: int) -> npt.NDArray[np.uint16]:
    """Add up cells: of (h, scale, width * channels) bytes make (h, width / scale, channels).

    All sums of `scale` neighbours along a row are made, though one in `scale` is wanted: numbers
    that lie side by side are added many at a time.
    """
    down = rows[:, 0].astype(np.uint16)
    for k in range(1, scale):
        down += rows[:, k]
    length = down.shape[1] - (scale - 1) * channels
    along = down[:, :length].copy()
    for k in range(channels, scale * channels, channels):
        along += down[:, k : k + length]
    sums = [along[:, channel :: scale * channels] for channel in range(channels)]
    return np.stack(sums, axis=2)
