"""From runs to pixels."""

import numpy as np

from kagglekit.rle._arrays import Bytes, Ints, to_toggles
from kagglekit.rle._geometry import Span, between, crop, turn
from kagglekit.speed import compiled


def paint_along(starts: Ints, lengths: Ints, line: int, lines: int) -> Bytes:
    """Return the mask with its lines end to end in memory: shape (lines, line), uint8 0/1."""
    toggles = to_toggles(starts, lengths)
    gaps = np.diff(toggles, prepend=0, append=line * lines)
    values = np.zeros(len(gaps), np.uint8)
    values[1::2] = 1
    return np.repeat(values, gaps).reshape(lines, line)


def paint_across(starts: Ints, lengths: Ints, line: int, near: Span, far: Span) -> Bytes:
    """Return a window of a mask whose lines lie across memory: (near, far), uint8, C-contiguous.

    Painting along and copying into the other order would cost ten times as much: the runs are
    turned instead, or, compiled, each row is made from the one above.
    """
    rows, columns = near[1] - near[0], far[1] - far[0]
    here = between(starts, lengths, far[0] * line, far[1] * line)
    kernel = compiled("paint_window", 0.4 * rows * columns)
    if kernel is not None:
        painted = np.empty((rows, columns), np.uint8)
        kernel(starts[here], lengths[here], line, near[0], far[0], painted)
        return painted
    runs = crop(starts[here], lengths[here], line, near, far)
    return paint_along(*turn(*runs, rows, columns), columns, rows)
