"""Cutting touching objects apart."""

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kagglekit.errors import RLEError
from kagglekit.regions._connect import roots
from kagglekit.regions._measure import components
from kagglekit.rle import RLE, from_labels
from kagglekit.rle._arrays import Bytes, Ints


def split_instances(rle: RLE, min_distance: int = 5) -> list[RLE]:
    """Cut each component where it is narrow: one mask per object.

    Every component is cut in a crop of its own, so memory depends on the largest one. Its
    pixels walk uphill on the distance to the background; those that come to one peak are one
    object (a watershed). No pixel is lost: the parts' union is the mask.

    Args:
        rle: the mask.
        min_distance: a peak nearer than this, in pixels, to a higher one is part of its object.

    Returns:
        The objects, each of the mask's full shape: components by first pixel, parts of one
        component in no particular but always the same order.

    Raises:
        RLEError: the distance is not a whole number of at least 1.

    Example:
        >>> import numpy as np
        >>> yy, xx = np.mgrid[:21, :40]
        >>> two = ((xx - 10) ** 2 + (yy - 10) ** 2 < 90) | ((xx - 27) ** 2 + (yy - 10) ** 2 < 90)
        >>> [part.area for part in split_instances(RLE.from_mask(two))]
        [280, 280]
    """
    whole: Any = min_distance
    if not isinstance(whole, Integral) or whole < 1:
        raise RLEError(f"min_distance is {min_distance!r}: it is a whole number, at least 1 pixel")
    found = []
    for part in components(rle):
        box = part.bbox
        if box is None:
            continue
        labels = _split_one(part.window(*box), min_distance)
        if labels is None:
            found.append(part)
            continue
        y0, y1, x0, x1 = box
        around = (y0, rle.shape[0] - y1, x0, rle.shape[1] - x1)
        found += [piece.pad(*around) for piece in from_labels(labels, rle.order).values()]
    return found


def _split_one(mask: Bytes, min_distance: int) -> NDArray[np.int32] | None:
    """Label the objects of one component from 1 on; None if there is only one."""
    import cv2

    # A border of background, so that the crop's own edge counts as one.
    inside = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    height = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Without this the stairs of a slanted edge make ridges with many small peaks.
    height = cv2.GaussianBlur(height, (0, 0), 1.0) * inside
    side = 2 * min_distance + 1
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    peaks = (height >= cv2.dilate(height, disk)) & (inside > 0)
    count, seeds = cv2.connectedComponents(peaks.astype(np.uint8), connectivity=8)
    if count <= 2:
        return None
    labels = seeds.ravel()[_summits(height, peaks, min_distance)]
    return (labels.reshape(inside.shape) * inside)[1:-1, 1:-1].astype(np.int32)


def _summits(height: NDArray[np.float32], peaks: NDArray[np.bool_], reach: int) -> Ints:
    """Return the flat position of the peak that each pixel comes to, walking uphill."""
    width = height.shape[1]
    flat = height.ravel()
    here = np.arange(flat.size)
    uphill, best = here.copy(), flat.copy()
    for step in (-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1):
        beside = np.roll(flat, -step)  # wraps around within the border of background
        uphill[beside > best] = (here + step)[beside > best]
        best = np.maximum(best, beside)
    # A summit beside a higher one is no peak: the walk goes on from there.
    for summit in np.flatnonzero((uphill == here) & ~peaks.ravel() & (flat > 0)):
        y, x = divmod(int(summit), width)
        top, left = max(0, y - reach), max(0, x - reach)
        around = height[top : y + reach + 1, left : x + reach + 1]
        dy, dx = np.unravel_index(int(around.argmax()), around.shape)
        uphill[summit] = (top + dy) * width + left + dx
    return roots(uphill)
