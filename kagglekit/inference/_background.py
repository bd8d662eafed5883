"""Which windows cannot hold anything: empty glass, or the black around a scan."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

_CELL = 8  # pixels averaged: grain of the camera and of JPEG goes, what a model could find stays
_FLAT = 6 / 255  # largest difference within a channel, as a share of the brightest value
_SPECK = 56 / 255  # largest difference between any two numbers: more is no grain
_RESIZED = ("uint8", "uint16", "int16", "float32", "float64")  # by OpenCV
_WHITE, _GREY, _BLACK = 200 / 255, 20 / 255, 6 / 255
_GRAIN = 16 / 255  # of what is black, the brightest pixel


def is_background(pixels: npt.NDArray[Any], max_value: float) -> bool:
    """Tell whether a window shows nothing but evenly lit glass or black.

    When unsure it says no: a window is background only if all its 8 x 8 cells have the same
    colour, no pixel differs much from the rest, and that colour is a near-white grey or black. Of
    more than 8 bits only 0 is black: cameras of 12 bits, and fluorescence, fill the lowest part of
    65,535 with what there is to see.

    Args:
        pixels: (h, w, C), in [0, max_value].
        max_value: the brightest value.

    Example:
        >>> is_background(np.full((64, 64, 3), 243, np.uint8), max_value=255)
        True
    """
    height, width, channels = pixels.shape
    darkest, brightest = float(pixels.min()), float(pixels.max())
    if not brightest - darkest <= _SPECK * max_value:
        return False
    if darkest == brightest == 0:
        return True
    can_be_black = pixels.dtype == np.uint8 and brightest <= _GRAIN * max_value
    size = (max(1, width // _CELL), max(1, height // _CELL))  # OpenCV wants (w, h)
    if pixels.dtype.name not in _RESIZED:
        pixels = pixels.astype(np.float64)
    fours = (pixels[..., k : k + 4] for k in range(0, channels, 4))  # OpenCV averages no more
    small = np.concatenate(
        [
            cv2.resize(four, size, interpolation=cv2.INTER_AREA).reshape(*size[::-1], -1)
            for four in fours
        ],
        axis=2,
    )
    low, high = small.min((0, 1)) / max_value, small.max((0, 1)) / max_value
    flat = (high - low).max() <= _FLAT
    white = low.min() >= _WHITE and high.max() - low.min() <= _GREY
    return bool(flat and (white or (can_be_black and high.max() <= _BLACK)))
