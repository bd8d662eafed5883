"""The loops that are worth compiling. Only `_speed.compiled` imports this module.

Each kernel does what the NumPy code that calls it would do otherwise, to the last bit; the
tests run both.
"""

import numpy as np
from numba import njit

_LIMIT = 10**17  # far beyond any mask: numbers stop growing here instead of wrapping around


@njit(nogil=True)
def differing(rows, above, found):
    """Write the flat positions where `rows` and `above` differ to `found`; return how many.

    Most of a mask is the same as the row above: eight words of eight pixels are compared at
    a time, and only where they differ is it asked which pixel.
    """
    count = 0
    a, b = rows.ravel(), above.ravel()
    even = len(a) - len(a) % 64
    words, words_above = a[:even].view(np.uint64), b[:even].view(np.uint64)
    for block in range(0, len(words), 8):
        different = np.uint64(0)
        for k in range(block, block + 8):
            different |= words[k] ^ words_above[k]
        if different:
            for k in range(block, block + 8):
                if words[k] != words_above[k]:
                    for i in range(8 * k, 8 * k + 8):
                        found[count] = i
                        count += a[i] != b[i]
    for i in range(even, len(a)):
        found[count] = i
        count += a[i] != b[i]
    return count


@njit(nogil=True)
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


@njit(nogil=True)
def write_pairs(starts, lengths, text):
    """Write 1-based pairs as ASCII, each number with a space behind; return the bytes used."""
    at = 0
    for i in range(len(starts)):
        at = _put(starts[i] + 1, text, at)
        at = _put(lengths[i], text, at)
    return at


@njit(nogil=True)
def count_numbers(codes):
    """Return how many numbers an ASCII text of digits and spaces holds; -1 for other text."""
    count, inside, junk = 0, False, False
    for code in codes:
        digit = np.uint8(code - np.uint8(48)) <= 9
        junk |= not digit and code != 32
        count += digit and not inside
        inside = digit
    return -1 if junk else count


@njit(nogil=True)
def read_numbers(codes, numbers):
    """Read the numbers that `count_numbers` counted."""
    count, inside, value = 0, False, np.int64(0)
    for code in codes:
        digit = np.int64(code) - 48
        if digit >= 0:
            if value < _LIMIT:
                value = value * 10 + digit
            inside = True
        elif inside:
            numbers[count] = value
            count += 1
            value = 0
            inside = False
    if inside:
        numbers[count] = value


@njit(nogil=True)
def paint_across(starts, lengths, line, mask):
    """Paint runs along lines that lie across memory: `mask` is (line, lines), uint8.

    Each row is the one above with a few pixels flipped, so the flips are sorted by row.
    """
    lines = mask.shape[1]
    size = line * lines
    before = np.zeros(line + 1, np.int64)  # flips in the rows up to this one
    for i in range(len(starts)):
        before[starts[i] % line + 1] += 1
        if starts[i] + lengths[i] < size:
            before[(starts[i] + lengths[i]) % line + 1] += 1
    for y in range(line):
        before[y + 1] += before[y]
    place = before[:-1].copy()
    flips = np.empty(before[-1], np.int64)
    top = np.zeros(lines, np.uint8)  # row 0: the pixels that a run covers
    for i in range(len(starts)):
        for at in (starts[i], starts[i] + lengths[i]):
            if at < size:
                x = at // line
                y = at - x * line
                flips[place[y]] = x
                place[y] += 1
        for x in range(-(-starts[i] // line), (starts[i] + lengths[i] - 1) // line + 1):
            top[x] = 1
    for x in range(lines):
        mask[0, x] = top[x]
    for y in range(1, line):
        for x in range(lines):
            mask[y, x] = mask[y - 1, x]
        for i in range(before[y], before[y + 1]):
            mask[y, flips[i]] ^= 1


@njit(nogil=True)
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


@njit(nogil=True)
def _root(parent, i):
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(nogil=True)
def join_pieces(on, begin, end, reach):
    """Return for each piece of a line the first piece of its component.

    Two indices walk over the pieces of neighbouring lines; those that touch join their trees.
    """
    parent = np.arange(len(on))
    j = 0
    for i in range(len(on)):
        while on[j] < on[i] - 1 or (on[j] == on[i] - 1 and end[j] + reach <= begin[i]):
            j += 1
        k = j
        while on[k] == on[i] - 1 and begin[k] < end[i] + reach:
            a, b = _root(parent, i), _root(parent, k)
            parent[max(a, b)] = min(a, b)
            k += 1
    for i in range(len(on)):
        parent[i] = _root(parent, i)
    return parent
