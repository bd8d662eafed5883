"""What the other modules of this room hand each other: arrays of positions and of pixels.

Positions are flat and 0-based. Two forms of one set of runs occur:

- `starts`, `lengths`: what an RLE keeps.
- `toggles`: the positions where a scan of the mask changes between 0 and 1, so that
  `toggles[0::2]` are starts and `toggles[1::2]` are ends (one past the last pixel).

A scan runs along *lines* of `line` pixels each: columns for order "F", rows for order "C".
Everything below is written for lines, so it serves both orders.
"""

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kagglekit.errors import RLEError

Ints: TypeAlias = NDArray[np.int64]
Bytes: TypeAlias = NDArray[np.uint8]
Mask: TypeAlias = NDArray[Any]
Positions: TypeAlias = NDArray[Any]  # int64, or uint32 where that reaches: half the memory
Order: TypeAlias = Literal["F", "C"]
Shape: TypeAlias = tuple[int, int]
Runs: TypeAlias = tuple[Ints, Ints]

NO_INTS: Ints = np.empty(0, np.int64)
NO_INTS.flags.writeable = False


def to_toggles(starts: Ints, lengths: Ints) -> Ints:
    """Return starts and ends, interleaved."""
    toggles = np.empty(2 * len(starts), np.int64)
    toggles[0::2] = starts
    np.add(starts, lengths, out=toggles[1::2])
    return toggles


def from_toggles(toggles: Positions) -> Runs:
    """Return starts and lengths."""
    starts = toggles[0::2].astype(np.int64)
    return starts, toggles[1::2] - starts


def cancel_pairs(toggles: Ints) -> Ints:
    """Remove positions that occur twice: a run that ends where the next one starts goes on.

    `toggles` is sorted, and no position occurs more than twice.
    """
    same = toggles[1:] == toggles[:-1]
    if not same.any():
        return toggles
    keep = np.ones(len(toggles), bool)
    keep[1:] &= ~same
    keep[:-1] &= ~same
    return toggles[keep]


def cut_at_lines(starts: Ints, lengths: Ints, line: int) -> Runs:
    """Cut runs at the ends of lines; runs that stay on one line are given back as they are."""
    if not len(starts) or (starts // line == (starts + lengths - 1) // line).all():
        return starts, lengths
    on, begin, end = pieces(starts, lengths, line)
    return on * line + begin, end - begin


def pieces(starts: Ints, lengths: Ints, line: int) -> tuple[Ints, Ints, Ints]:
    """Cut runs at the ends of lines.

    Returns:
        For each piece its line, and where on that line it begins and ends (half-open).
    """
    ends = starts + lengths
    first = starts // line
    begin = starts - first * line
    count = (ends - 1) // line - first + 1
    if len(count) and count.max() > 1:
        owner = np.repeat(np.arange(len(count)), count)
        nth = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
        first = first[owner] + nth
        begin = np.where(nth == 0, begin[owner], 0)
        ends = np.minimum(ends[owner], (first + 1) * line)
    return first, begin, ends - first * line


def check_shape(shape: Shape, order: str) -> None:
    """Refuse what is not (height, width) and "F" or "C".

    Raises:
        RLEError: with what was given.
    """
    if order not in ("F", "C"):
        raise RLEError(f"order is {order!r}: it is 'F' (down the columns) or 'C' (along the rows)")
    sides = tuple(shape) if isinstance(shape, (tuple, list)) else ()
    if len(sides) != 2 or not all(isinstance(n, (int, np.integer)) and n > 0 for n in sides):
        raise RLEError(
            f"shape is {shape!r}: it is (height, width), two whole numbers of at least 1",
            hint="for a colour image use image.shape[:2]",
        )


def check_window(shape: Shape, y0: int, y1: int, x0: int, x1: int) -> None:
    """Refuse a window that is empty or leaves the mask.

    Raises:
        RLEError: with what was given.
    """
    height, width = shape
    if not (0 <= y0 < y1 <= height and 0 <= x0 < x1 <= width):
        raise RLEError(
            f"window y {y0}:{y1}, x {x0}:{x1} is empty or leaves the mask of shape {shape}",
            hint="clip it to the mask; what lies outside is background",
        )


def integers(values: ArrayLike, name: str) -> Ints:
    """Return a copy of a list or array of integers as int64.

    Raises:
        RLEError: it holds anything else, or has not one dimension.
    """
    array = np.asarray(values)
    if array.ndim != 1 or (len(array) and array.dtype.kind not in "iu"):
        raise RLEError(
            f"{name} have dtype {array.dtype} and shape {array.shape}: "
            "a list or one-dimensional array of integers is needed"
        )
    return array.astype(np.int64)
