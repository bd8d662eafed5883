"""Masks without what is too small, and without holes."""

from numbers import Integral
from typing import Any

import numpy as np

from kagglekit.errors import RLEError
from kagglekit.regions._connect import Connectivity, connect
from kagglekit.regions._measure import in_unit
from kagglekit.rle import RLE
from kagglekit.rle._arrays import cut_at_lines


def drop_small(
    rle: RLE,
    min_area: float,
    connectivity: Connectivity = 8,
    *,
    um_per_pixel: float | None = None,
) -> RLE:
    """Remove the components smaller than `min_area`; one of exactly that size stays.

    Args:
        rle: the mask.
        min_area: in pixels, or in µm² if `um_per_pixel` is given.
        connectivity: 8 joins pixels that touch at a corner, 4 does not.
        um_per_pixel: side of a pixel, in µm.

    Raises:
        RLEError: the area or the pixel size cannot be one, or another connectivity.

    Example:
        >>> drop_small(RLE.from_text("1 2 9 1", shape=(3, 3)), min_area=2).to_text()
        '1 2'
    """
    parts = connect(rle, connectivity)
    return parts.only(in_unit(parts.areas(), um_per_pixel) >= checked(min_area))


def keep_largest(rle: RLE, count: int = 1, connectivity: Connectivity = 8) -> RLE:
    """Keep the `count` largest components; of equal ones the first.

    Raises:
        RLEError: the count is not a whole number of at least 1, or another connectivity.

    Example:
        >>> keep_largest(RLE.from_text("1 2 9 1", shape=(3, 3))).to_text()
        '1 2'
    """
    whole: Any = count
    if not isinstance(whole, Integral) or whole < 1:
        raise RLEError(f"count is {count!r}: it is a whole number of components, at least 1")
    parts = connect(rle, connectivity)
    chosen = np.zeros(parts.count, bool)
    chosen[np.argsort(-parts.areas(), kind="stable")[:count]] = True
    return parts.only(chosen)


def keep_seeded(rle: RLE, seeds: RLE, connectivity: Connectivity = 8) -> RLE:
    """Keep the components that contain a pixel of another mask: a double threshold.

    Known as hysteresis thresholding: `rle` is what exceeds a low threshold, `seeds` a high one.

    Raises:
        RLEError: the shapes differ, or another connectivity.

    Example:
        >>> wide, sure = RLE.from_text("1 2 9 1", shape=(3, 3)), RLE.from_text("2 1", shape=(3, 3))
        >>> keep_seeded(wide, sure).to_text()
        '1 2'
    """
    parts = connect(rle, connectivity)
    inside = (rle & seeds).reorder(rle.order)
    chosen = np.zeros(parts.count, bool)
    # A run of both masks may reach over the end of a line: each of its pieces has its own piece.
    starts, _ = cut_at_lines(inside.starts, inside.lengths, parts.line)
    chosen[parts.owner[np.searchsorted(parts.starts, starts, side="right") - 1]] = True
    return parts.only(chosen)


def fill_holes(
    rle: RLE, max_area: float | None = None, *, um_per_pixel: float | None = None
) -> RLE:
    """Fill background that the mask encloses.

    A hole is a 4-connected part of the background that does not touch the image's border.

    Args:
        rle: the mask.
        max_area: fill only holes of at most this size, in pixels, or in µm² if `um_per_pixel`
            is given; None fills all.
        um_per_pixel: side of a pixel, in µm.

    Raises:
        RLEError: the area or the pixel size cannot be one.

    Example:
        >>> ring = ~RLE.from_text("5 1", shape=(3, 3))
        >>> fill_holes(ring).area
        9
    """
    parts = connect(~rle, 4)
    hole = np.ones(parts.count, bool)
    if max_area is not None:
        hole = in_unit(parts.areas(), um_per_pixel) <= checked(max_area)
    last = rle.shape[0] * rle.shape[1] // parts.line - 1
    on = parts.starts // parts.line
    begin = parts.starts - on * parts.line
    border = (begin == 0) | (begin + parts.lengths == parts.line) | (on == 0) | (on == last)
    hole[parts.owner[border]] = False
    return rle | parts.only(hole)


def checked(area: float) -> float:
    """Return an area.

    Raises:
        RLEError: it is negative or no number.
    """
    if not area >= 0:
        raise RLEError(f"area is {area!r}: it is 0 or more")
    return area
