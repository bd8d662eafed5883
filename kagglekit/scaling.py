"""From image pixels to model pixels: averaging.

Model pixel i covers image pixels i*scale to (i+1)*scale.
"""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from kagglekit import speed

_COST = 0.4  # nanoseconds a value: averaging bytes with OpenCV
_NARROW = range(3, 17)  # scales at which a cell's sum fits 16 bits; OpenCV is as fast at 2


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
    if pixels.dtype == np.uint8 and scale in _NARROW and pixels.flags.c_contiguous:
        average = speed.compiled("average", _COST * pixels.size)
        if average is not None:
            small = np.empty((size[1], size[0], channels), np.uint8)
            average(pixels.reshape(len(pixels), -1), small.reshape(len(small), -1), scale, channels)
            return small
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return small.reshape(size[1], size[0], channels)


def expect_pixels(values: int) -> None:
    """Say how much is going to be averaged in all, so that fast loops are used from the start.

    Args:
        values: pixels times channels.

    Example:
        >>> expect_pixels(2_000)
    """
    speed.expect("average", _COST * values)
