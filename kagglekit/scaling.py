"""Between image pixels and model pixels: averaging down, interpolating up.

Model pixel i covers image pixels i*scale to (i+1)*scale, both ways.
"""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

_ROWS_AT_ONCE = 64  # model rows turned at once: bounds memory, changes nothing else

FloatArray = npt.NDArray[np.float32]


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
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return small.reshape(size[1], size[0], channels)


class Upsampler:
    """Finished rows of a probability map in, rows of the full-size map out.

    Bilinear, with pixel centres aligned as OpenCV's INTER_LINEAR and torch's `align_corners=False`;
    beyond the outermost centres the value stays. Every image row depends on two model rows only, so
    the result does not depend on how the rows arrive.

    Args:
        small: (h, w) of the map at network resolution, ceil(full / scale).
        full: (height, width) of the image in pixels.
        scale: image pixels per model pixel.
    """

    def __init__(self, small: tuple[int, int], full: tuple[int, int], scale: int) -> None:
        self._height, self._full, self._scale = small[0], full, scale
        self._fed = 0  # model rows received
        self._given = 0  # image rows returned
        self._context: FloatArray | None = None  # the last two model rows, padded left and right

    def push(self, rows: FloatArray) -> Iterator[FloatArray]:
        """Feed the next model rows; yield every image row that is now determined.

        Args:
            rows: (K, n, w) float32, the next n rows of each plane, n at least 1.

        Yields:
            (K, m, width) float32 blocks of consecutive image rows, top to bottom.
        """
        if self._scale == 1:
            yield rows
            return
        for first in range(0, rows.shape[1], _ROWS_AT_ONCE):
            block = self._turn(rows[:, first : first + _ROWS_AT_ONCE])
            if block.shape[1]:
                yield block

    def _turn(self, rows: FloatArray) -> FloatArray:
        rows = np.pad(rows, ((0, 0), (0, 0), (1, 1)), mode="edge")
        if self._context is None:
            self._context = rows[:, :1]  # above the first row there is a copy of it
        self._fed += rows.shape[1]
        rows = np.concatenate([self._context, rows], axis=1)
        if self._fed == self._height:
            rows = np.concatenate([rows, rows[:, -1:]], axis=1)
        self._context = rows[:, -2:]
        # An image row lies between the centres of two model rows, so the last model row of all that
        # have come is still open at its lower edge: it is context now and turned next time.
        tall = _stretch(rows, self._scale, axis=1)
        wide = _stretch(tall, self._scale, axis=2)
        left = self._full[0] - self._given
        block = wide[:, :left, : self._full[1]]
        self._given += block.shape[1]
        return block


def _stretch(values: FloatArray, scale: int, axis: int) -> FloatArray:
    """Interpolate n+2 samples (one of context at each end) to n*scale along an axis."""
    values = np.moveaxis(values, axis, -1)
    n = values.shape[-1] - 2
    out = np.empty((*values.shape[:-1], n, scale), np.float32)
    for phase in range(scale):
        # Image pixel k*scale + phase has its centre at k + (phase + 0.5) / scale - 0.5.
        at = (phase + 0.5) / scale - 0.5
        low, share = (0, at + 1) if at < 0 else (1, at)
        one, two = values[..., low : low + n], values[..., low + 1 : low + 1 + n]
        out[..., phase] = one + np.float32(share) * (two - one)
    return np.moveaxis(out.reshape(*values.shape[:-1], n * scale), -1, axis)
