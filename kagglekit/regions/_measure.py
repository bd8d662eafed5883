"""How many components a mask has, how large they are and where."""

import numpy as np
from numpy.typing import NDArray

from kagglekit.errors import RLEError
from kagglekit.regions._connect import Connectivity, connect
from kagglekit.rle import RLE
from kagglekit.rle._arrays import Ints, to_toggles


def components(rle: RLE, connectivity: Connectivity = 8) -> list[RLE]:
    """Return one RLE per connected component, each of the mask's full shape.

    Args:
        rle: the mask.
        connectivity: 8 joins pixels that touch at a corner, 4 does not.

    Returns:
        The components, ordered by first pixel.

    Raises:
        RLEError: another connectivity.

    Example:
        >>> mask = RLE.from_text("1 2 6 1 9 1", shape=(3, 3))
        >>> [part.to_text() for part in components(mask)]
        ['1 2 6 1 9 1']
        >>> [part.to_text() for part in components(mask, connectivity=4)]
        ['1 2', '6 1 9 1']
    """
    parts = connect(rle, connectivity)
    return [parts.pick(own) for own in _by_owner(parts.owner, parts.count)]


def areas(
    rle: RLE, connectivity: Connectivity = 8, *, um_per_pixel: float | None = None
) -> NDArray[np.int64] | NDArray[np.float64]:
    """Return the size of each component, ordered as `components`.

    Args:
        rle: the mask.
        connectivity: 8 joins pixels that touch at a corner, 4 does not.
        um_per_pixel: side of a pixel, in µm.

    Returns:
        Pixels, int64; or µm², float64, if `um_per_pixel` is given.

    Raises:
        RLEError: another connectivity, or the side of a pixel is not positive.

    Example:
        >>> areas(RLE.from_text("1 2 6 1 9 1", shape=(3, 3)), connectivity=4)
        array([2, 2])
    """
    return in_unit(connect(rle, connectivity).areas(), um_per_pixel)


def in_unit(sizes: Ints, um_per_pixel: float | None) -> NDArray[np.int64] | NDArray[np.float64]:
    """Return sizes in pixels as they are, or in µm² if the side of a pixel is given.

    Raises:
        RLEError: the side of a pixel is not positive.
    """
    if um_per_pixel is None:
        return sizes
    if not um_per_pixel > 0:
        raise RLEError(f"um_per_pixel is {um_per_pixel!r}: the side of a pixel, in µm, e.g. 0.5")
    return sizes * np.float64(um_per_pixel**2)


def bboxes(rle: RLE, connectivity: Connectivity = 8) -> Ints:
    """Return the bounding box of each component, ordered as `components`.

    Returns:
        (n, 4), int64: rows `y0, y1, x0, x1`, half-open, in pixels.

    Raises:
        RLEError: another connectivity.

    Example:
        >>> bboxes(RLE.from_text("1 2 6 1 9 1", shape=(3, 3)))
        array([[0, 3, 0, 3]])
    """
    parts = connect(rle, connectivity)
    boxes = np.empty((parts.count, 4), np.int64)
    near, far = (boxes[:, :2], boxes[:, 2:]) if rle.order == "F" else (boxes[:, 2:], boxes[:, :2])
    near[:, 0], far[:, 0] = np.iinfo(np.int64).max, np.iinfo(np.int64).max
    near[:, 1], far[:, 1] = 0, 0
    on = parts.starts // parts.line
    begin = parts.starts - on * parts.line
    np.minimum.at(near[:, 0], parts.owner, begin)
    np.maximum.at(near[:, 1], parts.owner, begin + parts.lengths)
    np.minimum.at(far[:, 0], parts.owner, on)
    np.maximum.at(far[:, 1], parts.owner, on + 1)
    return boxes


def label(rle: RLE, connectivity: Connectivity = 8) -> NDArray[np.int32]:
    """Return the label image: (height, width), int32, 0 or the number of the component, from 1.

    This one is as large as the image, four bytes a pixel; the other functions are not.

    Raises:
        RLEError: another connectivity.

    Example:
        >>> label(RLE.from_text("1 2 9 1", shape=(3, 3)))
        array([[1, 0, 0],
               [1, 0, 0],
               [0, 0, 2]], dtype=int32)
    """
    parts = connect(rle, connectivity)
    edges = to_toggles(parts.starts, parts.lengths)
    pixels = rle.shape[0] * rle.shape[1]
    values = np.zeros(len(edges) + 1, np.int32)
    values[1::2] = parts.owner + 1
    flat = np.repeat(values, np.diff(edges, prepend=0, append=pixels))
    if rle.order == "C":
        return flat.reshape(rle.shape)
    return np.ascontiguousarray(flat.reshape(rle.shape[::-1]).T)


def _by_owner(owner: Ints, count: int) -> list[Ints]:
    """Return the pieces of each component, in ascending order."""
    sizes = np.bincount(owner, minlength=count)
    return np.split(np.argsort(owner, kind="stable"), np.cumsum(sizes)[:-1]) if count else []
