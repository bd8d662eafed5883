"""Training tiles: pixels of a slide and its masks, cut at the resolution the model sees."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kagglekit.rle import RLE
from kagglekit.scaling import shrink
from kagglekit.slides import Slide
from kagglekit.tiling import make_grid


def cut(
    slide: Slide, masks: Sequence[RLE], window: int, scale: int = 1, min_overlap: int = 0
) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]:
    """Cut a slide and its masks into equal tiles that cover it.

    Args:
        slide: the image.
        masks: one mask per plane that the model will predict, of the slide's shape.
        window: side of a tile in model pixels. A slide smaller than that is mirrored to fill it.
        scale: image pixels per model pixel; pixels are averaged, and a mask pixel is 1 where at
            least half of what it covers is.
        min_overlap: fewest model pixels that neighbours share.

    Returns:
        Pixels (N, window, window, channels) as stored, and masks (N, K, window, window) uint8, 0
        or 1.

    Raises:
        ValueError: a mask's shape is not the slide's.
    """
    for mask in masks:
        if mask.shape != slide.shape:
            raise ValueError(f"a mask is {mask.shape}, the slide {slide.shape}")
    height, width = slide.shape
    small = (-(-height // scale), -(-width // scale))
    pixels, planes = [], []
    for y0, y1, x0, x1 in make_grid(small, window, min_overlap).tolist():
        box = (y0 * scale, min(y1 * scale, height), x0 * scale, min(x1 * scale, width))
        pixels.append(_fill(slide.read(*box, scale), window))
        stacked = np.stack([mask.window(*box) * np.uint8(255) for mask in masks], axis=2)
        plane = _fill(shrink(stacked, scale), window) >= 128
        planes.append(plane.transpose(2, 0, 1).astype(np.uint8))
    return np.stack(pixels), np.stack(planes)


def _fill(pixels: npt.NDArray[Any], window: int) -> npt.NDArray[Any]:
    missing = (window - pixels.shape[0], window - pixels.shape[1])
    return np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="reflect")
