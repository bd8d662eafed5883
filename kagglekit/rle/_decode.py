"""From runs to pixels."""

import numpy as np

from kagglekit.rle._arrays import Bytes, Ints, to_toggles
from kagglekit.rle._geometry import Span, between, crop
from kagglekit.rle._speed import compiled

_NARROW = 512  # pixels: below this, one NumPy call per row costs more than copying the mask across


def paint_along(starts: Ints, lengths: Ints, line: int, lines: int) -> Bytes:
    """Return the mask with its lines end to end in memory: shape (lines, line), uint8 0/1."""
    toggles = to_toggles(starts, lengths)
    gaps = np.diff(toggles, prepend=0, append=line * lines)
    values = np.zeros(len(gaps), np.uint8)
    values[1::2] = 1
    return np.repeat(values, gaps).reshape(lines, line)


def paint_across(starts: Ints, lengths: Ints, line: int, near: Span, far: Span) -> Bytes:
    """Return a window of a mask whose lines lie across memory: (near, far), uint8, C-contiguous.

    The reverse of the encoder's comparison: mark where a pixel differs from the one before
    it on its line, then go through memory once, adding (xor) each row to the next.
    """
    rows, columns = near[1] - near[0], far[1] - far[0]
    here = between(starts, lengths, far[0] * line, far[1] * line)
    kernel = compiled("paint_window", 0.3 * rows * columns)
    if kernel is not None:
        painted = np.empty((rows, columns), np.uint8)
        kernel(starts[here], lengths[here], line, near[0], far[0], painted)
        return painted
    starts, lengths = crop(starts[here], lengths[here], line, near, far)
    if columns < _NARROW:
        return np.ascontiguousarray(paint_along(starts, lengths, rows, columns).T)
    toggles = to_toggles(starts, lengths)
    mask = np.zeros((rows, columns), np.uint8)
    x, y = np.divmod(toggles[: np.searchsorted(toggles, mask.size)], rows)
    mask[y, x] = 1
    # The first pixel of a line has no pixel before it: it is 1 if a run covers it.
    mask[0] = np.searchsorted(toggles, np.arange(columns) * rows, side="right") & 1
    above = mask[0]
    for row in mask[1:]:
        np.bitwise_xor(row, above, out=row)
        above = row
    return mask
