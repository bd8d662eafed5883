"""Moving masks about without decoding them.

Written for lines: `line` is how many pixels one line has, `lines` how many there are. Where a
position is along its line is called near, which line it is on far.
"""

import numpy as np

from kagglekit.rle._arrays import Ints, Runs, cancel_pairs, from_toggles, pieces, to_toggles
from kagglekit.rle._sets import combine

Span = tuple[int, int]
Centre = tuple[float, float]


def extent(starts: Ints, lengths: Ints, line: int) -> tuple[Span, Span]:
    """Return the half-open near and far extent of runs, of which there is at least one."""
    first, last = starts // line, (starts + lengths - 1) // line
    far0, far1 = int(first[0]), int(last[-1]) + 1
    if (first != last).any():  # it reaches a line's end and goes on at the next one's beginning
        return (0, line), (far0, far1)
    near0 = int((starts - first * line).min())
    near1 = int((starts + lengths - last * line).max())
    return (near0, near1), (far0, far1)


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


def flip_near(starts: Ints, lengths: Ints, line: int) -> Runs:
    """Return each line read backwards."""
    on, begin, end = pieces(starts, lengths, line)
    return join_unsorted((on + 1) * line - end, (on + 1) * line - begin)


def flip_far(starts: Ints, lengths: Ints, line: int, lines: int) -> Runs:
    """Return the lines in reverse."""
    on, begin, end = pieces(starts, lengths, line)
    top = (lines - 1 - on) * line
    return join_unsorted(top + begin, top + end)


def place(runs: Runs, line: int, new_line: int, near: int, far: int) -> Runs:
    """Return the runs on longer lines, `near` pixels and `far` lines further on."""
    on, begin, end = pieces(*runs, line)
    top = (on + far) * new_line + near
    return join(top + begin, top + end)


def rectangle(line: int, near: Span, far: Span) -> Runs:
    """Return the runs of a window full of foreground."""
    top = np.arange(far[0], far[1], dtype=np.int64) * line
    return join(top + near[0], top + near[1])


def enlarge(starts: Ints, lengths: Ints, line: int, near: int, far: int) -> Runs:
    """Return every pixel repeated `near` times along its line, every line `far` times."""
    on, begin, end = pieces(starts, lengths, line)
    top = (on[:, np.newaxis] * far + np.arange(far)) * (line * near)
    begin, end = begin[:, np.newaxis] * near, end[:, np.newaxis] * near
    return join_unsorted((top + begin).ravel(), (top + end).ravel())


def shrink(starts: Ints, lengths: Ints, line: int, near: int, far: int) -> Runs:
    """Return every `near`-th pixel of every `far`-th line, from the first on."""
    on, begin, end = pieces(starts, lengths, line)
    here = on % far == 0
    top = on[here] // far * (line // near)
    begin, end = -(-begin[here] // near), -(-end[here] // near)
    some = begin < end
    return join((top + begin)[some], (top + end)[some])


def centre(starts: Ints, lengths: Ints, line: int) -> Centre:
    """Return the mean near and far coordinate of the pixels, of which there is at least one."""
    on, begin, end = pieces(starts, lengths, line)
    size = end - begin
    area = size.sum()
    return float((size * (begin + end - 1)).sum() / (2 * area)), float((size * on).sum() / area)


def join_unsorted(starts: Ints, ends: Ints) -> Runs:
    """Return canonical runs of not overlapping ones in any order."""
    order = np.argsort(starts, kind="stable")
    return join(starts[order], ends[order])
