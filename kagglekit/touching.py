"""Instances that touch: a plane that tells them apart in training, and how to grow it back.

A mask of all nuclei cannot say where one ends and the next begins. A second plane can: the core of
each, its rim taken off, so that cores never touch. A network learns both; after prediction every
connected core is one instance, and `grow` gives it the pixels of the mask around it.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from kagglekit import regions
from kagglekit.rle import RLE, from_labels


def cores(instances: Sequence[RLE], shape: tuple[int, int], rim: int = 1) -> RLE:
    """Return the pixels whose surroundings belong to one instance only.

    Args:
        instances: masks of one image that do not overlap.
        shape: (height, width) of the image.
        rim: pixels taken off on every side; the image's border takes off nothing.

    Returns:
        One mask, in which two different instances never touch. An instance too thin to have a core
        keeps its pixels that are near no other.

    Example:
        >>> a, b = RLE.from_text("1 9", (3, 6)), RLE.from_text("10 9", (3, 6))
        >>> cores([a, b], (3, 6)).to_mask().tolist()[0]
        [1, 1, 0, 0, 1, 1]
    """
    labels = np.zeros(shape, np.int32)
    for label, instance in enumerate(instances, start=1):
        if instance.bbox is not None:
            y0, y1, x0, x1 = instance.bbox
            labels[y0:y1, x0:x1][instance.window(y0, y1, x0, x1) > 0] = label
    around = np.ones((2 * rim + 1, 2 * rim + 1), np.uint8)
    own = labels.astype(np.float32)  # exact below 2**24; OpenCV takes no wider integers
    highest = cv2.dilate(own, around)
    inside = (labels > 0) & (highest == own)
    core = inside & (cv2.erode(own, around) == own)
    # Among instances only, without the background: whether another one is near.
    alone = inside & (cv2.erode(np.where(own > 0, own, np.float32(np.inf)), around) == own)
    has_core = np.zeros(len(instances) + 1, bool)
    has_core[labels[core]] = True
    alone &= ~has_core[labels]
    return RLE.from_mask(core | alone)


def grow(seeds: RLE, mask: RLE) -> list[RLE]:
    """Split a mask into one instance per connected seed; each pixel goes to the nearest seed.

    Distances are OpenCV's, sums of steps in a 5 x 5 neighbourhood: within 2 % of the true ones.
    Works inside each connected part of the mask, in a crop of its size. A part without a seed is
    one instance.

    Args:
        seeds: the predicted cores; what lies outside the mask is ignored.
        mask: all instances together, of the same shape and order.

    Returns:
        Instances that do not overlap and together are the mask.

    Example:
        >>> mask = RLE.from_text("1 18", (3, 6))
        >>> [one.area for one in grow(RLE.from_text("2 1 17 1", (3, 6)), mask)]
        [9, 9]
    """
    grown = []
    height, width = mask.shape
    for part in regions.components(mask):
        y0, y1, x0, x1 = part.bbox or (0, 0, 0, 0)
        inside = part.window(y0, y1, x0, x1)
        count, labels = cv2.connectedComponents(
            seeds.window(y0, y1, x0, x1) * inside, connectivity=8
        )
        labels = _nearest(labels) if count > 2 else np.ones_like(labels)
        pieces = from_labels(labels * inside, mask.order).values()
        grown += [piece.pad(y0, height - y1, x0, width - x1) for piece in pieces]
    return grown


def _nearest(labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Give each pixel the label that is nearest, by sums of steps that are nearly Euclid's."""
    _, nearest = cv2.distanceTransformWithLabels(
        (labels == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    at_seed = labels > 0
    by_pixel = np.zeros(nearest.max() + 1, np.int32)
    by_pixel[nearest[at_seed]] = labels[at_seed]
    return by_pixel[nearest]
