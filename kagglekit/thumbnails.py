"""What an image of any competition looks like, small: also where it is a folder or an array."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kagglekit import plots, slides
from kagglekit.competitions import Data


def thumbnail(data: Data, path: Path, max_side: int = 700) -> tuple[plots.Picture, int]:
    """Show an image of any competition in three colours.

    An image that is a folder of layers is shown by three of them, from a quarter, half and three
    quarters of the way through, as red, green and blue; of an array with more channels than
    colours, as of moments in time, the middle one is shown.

    Args:
        data: the competition's folder.
        path: the image, as `Data.test_images` gives it.
        max_side: the longer side of the picture is at most this many pixels.

    Returns:
        (h, w, 3) uint8 RGB, and image pixels per picture pixel.

    Raises:
        SlideError: the image, or a layer, cannot be opened.
        DataError: a folder holds no layers.
    """
    if not data.profile.tree.layers:
        pixels, scale = _read(path, max_side)
        return plots.as_rgb8(pixels), scale
    layers = list(data.layers(path).values())
    quarters = [layers[len(layers) * quarter // 4] for quarter in (1, 2, 3)]
    read = [_read(layer, max_side) for layer in quarters]
    return np.dstack([plots.as_rgb8(pixels)[..., 0] for pixels, _ in read]), read[0][1]


def _read(path: Path, max_side: int) -> tuple[npt.NDArray[Any], int]:
    if path.suffix == ".npy":  # also with more channels than a picture may have
        array = np.load(path, mmap_mode="r")
        scale = max(1, -(-max(array.shape[:2]) // max_side))
        pixels = np.atleast_3d(array[::scale, ::scale])
        middle = pixels.shape[2] // 2
        return (pixels if pixels.shape[2] == 3 else pixels[..., middle : middle + 1]), scale
    with slides.open_slide(path) as slide:
        return slide.thumbnail(max_side)
