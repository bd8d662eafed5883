"""The loops that are worth compiling. Only `speed.compiled` imports this module.

Each kernel does what the plain code that calls it would do otherwise, to the last bit; the tests
run both.
"""

import numpy as np
from numba import njit

_EIGHT, _TOGETHER = np.uint64(8), np.uint64(64)
_LIMIT = 10**17  # far beyond any mask: numbers stop growing here instead of wrapping around


def _kernel(loop):
    """Compile a loop when it is first called, and keep the result for the next process."""
    try:
        return njit(nogil=True, cache=True)(loop)
    except RuntimeError:  # no folder to keep it in: this one and the user's are read-only
        return njit(nogil=True)(loop)


@_kernel
def differing(rows, above, found):
    """Write the flat positions where `rows` and `above` differ to `found`; return how many.

    Most of a mask is the same as the row above: 64 words of eight pixels are compared at
    a time, and only where they differ is it asked which pixel. Those indices are unsigned:
    of others it would be asked at each word whether they count from the end.
    """
    count = 0
    a, b = rows.ravel(), above.ravel()
    even = len(a) - len(a) % (8 * 64)
    words, words_above = a[:even].view(np.uint64), b[:even].view(np.uint64)
    for block in range(np.uint64(len(words) // 64)):
        first = _TOGETHER * block
        different = np.uint64(0)
        for k in range(first, first + _TOGETHER):
            different |= words[k] ^ words_above[k]
        if different:
            for k in range(first, first + _TOGETHER):
                if words[k] != words_above[k]:
                    for i in range(_EIGHT * k, _EIGHT * k + _EIGHT):
                        found[count] = i
                        count += a[i] != b[i]
    for i in range(even, len(a)):
        found[count] = i
        count += a[i] != b[i]
    return count


@_kernel
def _put(number, text, at):
    width, rest = 1, number
    while rest >= 10:
        rest //= 10
        width += 1
    rest = np.uint64(number)
    for i in range(at + width - 1, at - 1, -1):
        tens = rest // np.uint64(10)
        text[i] = np.uint8(48 + rest - tens * np.uint64(10))
        rest = tens
    text[at + width] = 32
    return at + width + 1


@_kernel
def write_pairs(starts, lengths, text):
    """Write pairs as ASCII, each number with a space behind; return the bytes used."""
    at = 0
    for i in range(len(starts)):
        at = _put(starts[i], text, at)
        at = _put(lengths[i], text, at)
    return at


@_kernel
def read_pairs(codes, pixels, base):
    """Read pairs from ASCII digits and spaces to 0-based runs; touching ones become one.

    Returns how many, or -1 if there is anything wrong with the text or with a run; and arrays
    of starts and lengths that may be longer.
    """
    spaces = 0
    for code in codes:
        spaces += code == 32
    starts = np.empty(spaces // 2 + 1, np.int64)
    lengths = np.empty(spaces // 2 + 1, np.int64)
    count, start, value, reached = 0, np.int64(0), np.int64(0), np.int64(0)
    inside, second = False, False
    for i in range(len(codes) + 1):
        code = codes[i] if i < len(codes) else np.uint8(32)
        digit = np.int64(code) - 48
        if 0 <= digit <= 9:
            inside = True
            if value < _LIMIT:
                value = value * 10 + digit
        elif code != 32:
            return -1, starts, lengths
        elif inside:
            if not second:
                start = value - base
                if start < reached:
                    return -1, starts, lengths
            elif value < 1 or start + value > pixels:
                return -1, starts, lengths
            elif count and start == reached:
                reached = start + value
                lengths[count - 1] += value
            else:
                reached = start + value
                starts[count], lengths[count] = start, value
                count += 1
            value, inside, second = np.int64(0), False, not second
    return -1 if second else count, starts, lengths


@_kernel
def _flips(starts, lengths, line, near0, far0, shape, place, flips):
    """Walk over the pixels of a window that differ from the one above, line by line.

    Counts those of row y in `place[y + 2]`, or, when there is room in `flips`, writes their
    columns there from `place[y + 1]` on, moving that up.
    """
    rows, columns = shape
    far, first = far0, far0 * line + near0  # the line, and the position of its first pixel
    for i in range(len(starts)):
        stop = starts[i] + lengths[i]
        while starts[i] >= first + line - near0:  # no division: runs are sorted
            far, first = far + 1, first + line
        while True:
            begin, end = max(starts[i] - first, 0), min(stop - first, rows)
            if begin < end and len(flips):
                flips[place[begin + 1]] = far - far0
                place[begin + 1] += 1
                if end < rows:
                    flips[place[end + 1]] = far - far0
                    place[end + 1] += 1
            elif begin < end:
                place[begin + 2] += 1
                place[end + 2] += end < rows
            if stop <= first + line - near0 or far == far0 + columns - 1:
                break
            far, first = far + 1, first + line


@_kernel
def paint_window(starts, lengths, line, near0, far0, mask):
    """Paint the runs of lines that lie across memory into a window of them.

    `mask` is (rows, columns), uint8; its first pixel is pixel `near0` of line `far0`. Each
    row is the one above with a few pixels flipped, so the flips are sorted by row.
    """
    rows, columns = mask.shape
    place = np.zeros(rows + 3, np.int64)
    _flips(starts, lengths, line, near0, far0, mask.shape, place, place[:0])
    for y in range(rows):
        place[y + 2] += place[y + 1]
    flips = np.empty(place[rows + 1] + 1, np.int64)
    _flips(starts, lengths, line, near0, far0, mask.shape, place, flips)
    for x in range(columns):
        mask[0, x] = 0
    for y in range(rows):
        if y:
            for x in range(columns):
                mask[y, x] = mask[y - 1, x]
        for i in range(place[y], place[y + 1]):
            mask[y, flips[i]] ^= 1


@_kernel
def shared_pixels(a_starts, a_lengths, b_starts, b_lengths):
    """Return how many pixels two masks share, going through both once."""
    shared, i, j = 0, 0, 0
    while i < len(a_starts) and j < len(b_starts):
        a_end, b_end = a_starts[i] + a_lengths[i], b_starts[j] + b_lengths[j]
        shared += max(0, min(a_end, b_end) - max(a_starts[i], b_starts[j]))
        if a_end <= b_end:
            i += 1
        else:
            j += 1
    return shared


@_kernel
def _root(parent, i):
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@_kernel
def join_pieces(starts, lengths, line, reach):
    """Return the component of each piece of a line, 0, 1, … by first piece, and their count.

    Two indices walk over the pieces of neighbouring lines; those that touch join their trees.
    """
    parent = np.arange(len(starts))
    j, top = 0, 0  # the first piece that may touch, and where the line begins
    for i in range(len(starts)):
        while starts[i] >= top + line:
            top += line
        begin, end = starts[i] - line, starts[i] + lengths[i] - line  # as seen a line before
        while starts[j] < top - line or (
            starts[j] < top and starts[j] + lengths[j] + reach <= begin
        ):
            j += 1
        k = j
        while starts[k] < top and starts[k] < end + reach:
            a, b = _root(parent, i), _root(parent, k)
            parent[max(a, b)] = min(a, b)
            k += 1
    owner = np.empty(len(starts), np.int64)
    count = 0
    for i in range(len(starts)):
        root = _root(parent, i)
        if root == i:
            owner[i] = count
            count += 1
        else:  # the root is the component's first piece, and has its number already
            owner[i] = owner[root]
    return owner, count
