"""Where tissue is, on a thumbnail: what is coloured, or changes from pixel to pixel.

Thresholds after Otsu ("A threshold selection method from gray-level histograms", 1979) on the
saturation, as CLAM does (Lu et al., Nature Biomedical Engineering 5, 2021), and on the local
variation, which also sees fluorescence. A wrong "tissue" costs time and a wrong "background" costs
score, so a threshold may never be high enough to split tissue from tissue.
"""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

# In grey levels of 256. Below the first of each pair it is the noise of a camera or of JPEG; above
# the second nothing empty ever is, whatever Otsu says.
_SATURATION = (8, 20)
_VARIATION = (2, 5)
_NEAR = 5  # side in pixels of the square in which variation is measured
_MARGIN = 2  # pixels that tissue is grown by
_LARGEST_HOLE = 1 / 16  # of the picture


def tissue_mask(thumbnail: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Tell tissue from empty slide, whether bright, dark or both.

    What is flat and colourless is background, of whatever brightness. Everything else is tissue,
    with a margin of two pixels and with its smaller holes: the flat inside of a bright nucleus is
    tissue.

    Args:
        thumbnail: (h, w, C) of any real dtype, as `Slide.thumbnail` returns it; uint8 counts as it
            is, other dtypes are stretched to their own range.

    Returns:
        (h, w) bool, True where tissue is or may be.

    Raises:
        ValueError: not three axes.

    Example:
        >>> picture = np.full((100, 100, 3), 240, np.uint8)
        >>> picture[40:60, 40:60] = (200, 120, 170)
        >>> mask = tissue_mask(picture)
        >>> bool(mask[50, 50]), bool(mask[5, 5])
        (True, False)
    """
    if thumbnail.ndim != 3:
        raise ValueError(f"a thumbnail of shape {thumbnail.shape}; expected (h, w, channels)")
    pixels = _as_levels(thumbnail)
    saturation = pixels.max(axis=2) - pixels.min(axis=2)
    variation = np.max([_variation(pixels[:, :, i]) for i in range(pixels.shape[2])], axis=0)
    tissue = (saturation > _threshold(saturation, *_SATURATION)) | (
        variation > _threshold(variation, *_VARIATION)
    )
    size = 2 * _MARGIN + 1
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    grown = cv2.dilate(tissue.astype(np.uint8), ellipse)
    return _without_holes(grown.astype(bool))


def _as_levels(thumbnail: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Turn any dtype into grey levels, 0 to 255; what is not a number is 0."""
    if thumbnail.dtype == np.uint8:
        return thumbnail.astype(np.float32)
    values = np.nan_to_num(thumbnail.astype(np.float64), posinf=0, neginf=0)
    low, high = (float(level) for level in np.quantile(values, (0, 0.999)))
    return ((values - low) * (255 / max(high - low, 1e-12))).clip(0, 255).astype(np.float32)


def _variation(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Standard deviation within a small square around each pixel."""
    mean = cv2.blur(plane, (_NEAR, _NEAR))
    square = cv2.blur(plane * plane, (_NEAR, _NEAR))
    deviation: npt.NDArray[np.float32] = np.sqrt(np.maximum(square - mean * mean, 0))
    return deviation


def _threshold(values: npt.NDArray[np.float32], noise: float, certain: float) -> float:
    levels = values.clip(0, 255).astype(np.uint8)
    otsu, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return float(min(max(otsu, noise), certain))


def _without_holes(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    _, labels, stats, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8))
    small = stats[:, cv2.CC_STAT_AREA] <= mask.size * _LARGEST_HOLE
    outer = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    small[np.union1d(outer, [0])] = False  # label 0 is what is not background
    filled: npt.NDArray[np.bool_] = mask | small[labels]
    return filled
