"""Pictures of cells made alike, however they were taken."""

import numpy as np
import numpy.typing as npt

_LEAST = 8  # levels that are stretched to all 256; fewer would be the noise of an empty picture


def even(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Show what is stained bright on a dark ground, whatever the microscope and its light.

    A picture lit from behind, whose median is above 127, is inverted. Then each channel is
    stretched from its 1st to its 99.9th percentile, which takes the cast of the ground away.

    The percentiles are those of what is given, so give whole pictures and not their windows.

    Args:
        pixels: (h, w, C) uint8.

    Returns:
        (h, w, C) uint8.

    Raises:
        ValueError: the pixels are not of that shape and dtype, or there are none.

    Example:
        >>> bright_field = np.full((20, 20, 1), 200, np.uint8)
        >>> bright_field[5:10, 5:10] = 60
        >>> np.unique(even(bright_field)).tolist()
        [0, 255]
    """
    if pixels.ndim != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise ValueError(f"pixels {pixels.shape} {pixels.dtype}: expected (h, w, C) uint8")
    light = pixels.astype(np.float32)
    if np.median(light) > 127:
        light = 255 - light
    low, high = np.percentile(light, (1, 99.9), axis=(0, 1))
    share = (light - low) / np.maximum(high - low, _LEAST)
    stretched: npt.NDArray[np.uint8] = np.rint(255 * share.clip(0, 1)).astype(np.uint8)
    return stretched
