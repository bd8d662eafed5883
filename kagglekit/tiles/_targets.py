"""What else a network can be asked about instances: where they meet, and how deep a pixel lies.

The mask of all together is `instances.union`, their cores are `touching.cores`.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from kagglekit.rle import RLE


def borders(instances: Sequence[RLE], shape: tuple[int, int], reach: int = 2) -> RLE:
    """Return the pixels from which two instances are within reach.

    Where instances meet or nearly do, that is a line between them, of their own pixels and of the
    background's; elsewhere nothing. The mask without it falls apart into seeds for
    `touching.grow`.

    Args:
        instances: masks of one image that do not overlap.
        shape: (height, width) of the image.
        reach: how far, in pixels, along the rows and down the columns.

    Example:
        >>> a, b = RLE.from_text("1 6", (3, 6)), RLE.from_text("10 9", (3, 6))
        >>> borders([a, b], (3, 6), reach=1).to_mask().tolist()[0]
        [0, 0, 1, 0, 0, 0]
    """
    labels = np.zeros(shape, np.float32)  # exact below 2**24; OpenCV takes no wider integers
    for label, instance in enumerate(instances, start=1):
        if instance.bbox is not None:
            y0, y1, x0, x1 = instance.bbox
            labels[y0:y1, x0:x1][instance.window(y0, y1, x0, x1) > 0] = label
    around = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    highest = cv2.dilate(labels, around)
    lowest = cv2.erode(np.where(labels > 0, labels, np.float32(np.inf)), around)
    return RLE.from_mask((highest > 0) & (lowest < highest))


def distances(instances: Sequence[RLE], shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Return how deep each pixel lies in its instance, relative to that instance's deepest.

    Args:
        instances: masks of one image that do not overlap.
        shape: (height, width) of the image.

    Returns:
        (height, width) float32: 0 outside, in (0, 1] inside, 1 at the deepest. The image's border
        is an edge like any other.

    Example:
        >>> distances([RLE.from_text("1 15", (3, 5))], (3, 5))[1].tolist()
        [0.5, 1.0, 1.0, 1.0, 0.5]
    """
    depth = np.zeros(shape, np.float32)
    for instance in instances:
        if instance.bbox is None:
            continue
        y0, y1, x0, x1 = instance.bbox
        inside = instance.window(y0, y1, x0, x1)
        deep = cv2.distanceTransform(np.pad(inside, 1), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        own = deep[1:-1, 1:-1]
        depth[y0:y1, x0:x1] += own / own.max()
    return depth
