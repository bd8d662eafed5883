"""Moving masks about without decoding them.

Written for lines: `line` is how many pixels one line has, `lines` how many there are. Where a
position is along its line is called near, which line it is on far.
"""

import numpy as np

from kagglekit.rle._arrays import Ints, Runs, cancel_pairs, from_toggles, pieces, to_toggles
from kagglekit.rle._sets import combine

Span = tuple[int, int]


def extent(starts: Ints, lengths: Ints, line: int) -> tuple[int, int, int, int]:
    """Return the half-open near and far extent of runs, of which there is at least one."""
    first, last = starts // line, (starts + lengths - 1) // line
    far0, far1 = int(first[0]), int(last[-1]) + 1
    if (first != last).any():  # it reaches a line's end and goes on at the next one's beginning
        return 0, line, far0, far1
    near0 = int((starts - first * line).min())
    near1 = int((starts + lengths - last * line).max())
    return near0, near1, far0, far1


def between(starts: Ints, lengths: Ints, low: int, high: int) -> slice:
    """Say which runs have pixels at positions `low` to `high`."""
    first, last = np.searchsorted(starts, [low, high])
    if first and starts[first - 1] + lengths[first - 1] > low:
        first -= 1
    return slice(first, last)


def crop(starts: Ints, lengths: Ints, line: int, near: Span, far: Span) -> Runs:
    """Return the runs inside a window, counted from the window's own first pixel."""
    low, high = far[0] * line, far[1] * line
    here = between(starts, lengths, low, high)
    ends = np.minimum(starts[here] + lengths[here], high)
    starts = np.maximum(starts[here], low)
    if near == (0, line):
        return starts - low, ends - starts
    on, begin, end = pieces(starts, ends - starts, line)
    begin, end = np.maximum(begin, near[0]), np.minimum(end, near[1])
    inside = begin < end
    base = (on[inside] - far[0]) * (near[1] - near[0]) - near[0]
    return join(base + begin[inside], base + end[inside])


def join(starts: Ints, ends: Ints) -> Runs:
    """Return canonical runs of sorted, not overlapping, maybe touching ones."""
    return from_toggles(cancel_pairs(to_toggles(starts, ends - starts)))


def turn(starts: Ints, lengths: Ints, line: int, lines: int) -> Runs:
    """Return the same pixels' runs scanned across the lines instead of along them.

    A run across starts or ends where a pixel differs from its neighbour on the line before.
    Those pixels are the symmetric difference of the mask and itself moved on by one line;
    each is one toggle of the new scan.
    """
    # One line more than there are, so that what reaches the last line ends there.
    moved = (starts + line, lengths)
    starts, lengths = combine((starts, lengths), moved, np.logical_xor)
    first = np.repeat(starts - np.cumsum(lengths) + lengths, lengths)
    far, near = np.divmod(first + np.arange(len(first)), line)
    toggles = near * lines + far
    toggles.sort()
    # The end of one line across and the beginning of the next are one position.
    return from_toggles(cancel_pairs(toggles))
