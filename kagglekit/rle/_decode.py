"""From runs to pixels."""

import numpy as np

from kagglekit.rle._arrays import Bytes, Ints, to_toggles
from kagglekit.rle._speed import compiled

_NARROW = 512  # pixels: below this, one NumPy call per row costs more than copying the mask across


def paint_along(starts: Ints, lengths: Ints, line: int, lines: int) -> Bytes:
    """Return the mask with its lines end to end in memory: shape (lines, line), uint8 0/1."""
    toggles = to_toggles(starts, lengths)
    gaps = np.diff(toggles, prepend=0, append=line * lines)
    values = np.zeros(len(gaps), np.uint8)
    values[1::2] = 1
    return np.repeat(values, gaps).reshape(lines, line)


def paint_across(starts: Ints, lengths: Ints, line: int, lines: int) -> Bytes:
    """Return the mask with its lines across memory: shape (line, lines), uint8 0/1, C-contiguous.

    The reverse of the encoder's comparison: mark where a pixel differs from the one before
    it on its line, then go through memory once, adding (xor) each row to the next.
    """
    kernel = compiled("paint_across", 0.3 * line * lines)
    if kernel is not None:
        painted = np.empty((line, lines), np.uint8)
        kernel(starts, lengths, line, painted)
        return painted
    if lines < _NARROW:
        return np.ascontiguousarray(paint_along(starts, lengths, line, lines).T)
    toggles = to_toggles(starts, lengths)
    mask = np.zeros((line, lines), np.uint8)
    x, y = np.divmod(toggles[: np.searchsorted(toggles, line * lines)], line)
    mask[y, x] = 1
    # The first pixel of a line has no pixel before it: it is 1 if a run covers it.
    mask[0] = np.searchsorted(toggles, np.arange(lines) * line, side="right") & 1
    above = mask[0]
    for row in mask[1:]:
        np.bitwise_xor(row, above, out=row)
        above = row
    return mask
