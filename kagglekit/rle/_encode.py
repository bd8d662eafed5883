"""From pixels to runs, without a second copy of the mask.

Kaggle's usual order runs down the columns, but masks lie in memory row by row, and copying one
into the other order costs ninety times what reading it does. So the runs down the columns are
found by comparing each row with the row above: where they differ a run starts or ends. Rows are
read once, in the order they lie in memory, a block at a time; the few positions found are
sorted at the end. Only the first row needs care: its upper neighbour is the last pixel of the
column before.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from kagglekit.errors import RLEError
from kagglekit.rle._arrays import NO_INTS, Ints, Mask, Order, Positions, Shape
from kagglekit.speed import compiled

Inspect = Callable[[Mask], None]

_BLOCK = 1 << 19  # pixels compared at a time: both rows and the result stay in the core's cache


def check_rows(rows: Mask, name: str) -> None:
    """Refuse what is not a two-dimensional array of bool or integers.

    Raises:
        RLEError: with what to do instead.
    """
    if not isinstance(rows, np.ndarray):
        raise RLEError(
            f"{name} is a {type(rows).__name__}, not a NumPy array", hint="convert it: np.asarray"
        )
    if rows.ndim != 2:
        raise RLEError(
            f"{name} has shape {rows.shape}: two dimensions are needed, (height, width)",
            hint="pick one channel, e.g. mask[..., 0], or drop the axes of length 1 with squeeze()",
        )
    if rows.dtype.kind not in "bui":
        raise RLEError(
            f"{name} has dtype {rows.dtype}; a mask is bool or integer, with 0 for background",
            hint="if it holds probabilities, choose a threshold: `prob > 0.5`",
        )


class ChangesAcross:
    """Toggles of the scan down the columns of a mask that arrives row by row.

    Memory: one block, two rows and the toggles. `height` and `width` are in pixels.
    """

    def __init__(self, height: int, width: int, inspect: Inspect) -> None:
        self.height, self.width, self.inspect = height, width, inspect
        self.rows_seen = 0
        self._first: Mask | None = None
        self._last: Mask | None = None
        self._found: list[Positions] = []
        self._kept_as = kept_as(height, width)

    def push(self, rows: Mask) -> None:
        """Take the next rows, shape (n, width)."""
        compare, block = _comparison(rows)
        if self._last is None:
            self._first = rows[0].copy()
            self.inspect(self._first)
        else:
            self._add(rows[:1], compare(rows[:1], self._last[np.newaxis]))
        step = max(1, block // self.width)
        for top in range(1, len(rows), step):
            here = rows[top : top + step]
            self._add(here, compare(here, rows[top - 1 : top - 1 + len(here)]), top)
        self._last = rows[-1].copy()
        self.rows_seen += len(rows)

    def _add(self, rows: Mask, found: Ints, top: int = 0) -> None:
        """Keep the changes `found` in `rows`, which begin `top` rows into what is pushed."""
        if not len(found):
            return
        # Every value of a mask is met either in its first row or where it first differs
        # from the row above, so those are all that need a look.
        self.inspect(rows.reshape(-1)[found])
        # Pixel (y, x) is number x * height + y down the columns, and found = y * width + x.
        y = found // self.width
        y *= self.width * self.height - 1
        found *= self.height
        found -= y
        found += self.rows_seen + top
        self._found.append(found.astype(self._kept_as))

    def toggles(self) -> Positions:
        """Give away all toggles, sorted, once the last row was pushed."""
        if self._first is None or self._last is None:
            return NO_INTS
        return join_changes(self.height, self._found, self._first, self._last)


def kept_as(height: int, width: int) -> type[np.generic]:
    """Return the smallest of the dtypes in use that holds every position of a mask, and its end."""
    return np.uint32 if height * width < 2**32 else np.int64


def join_changes(height: int, changes: list[Positions], first: Mask, last: Mask) -> Positions:
    """Return the toggles down the columns of a mask, sorted.

    Args:
        height: pixels of a column.
        changes: positions of the pixels that differ from the one above, in any order, those of
            the first row left out; faster if each array is sorted. Emptied, or they would be kept
            twice.
        first: the first row, (width,).
        last: the last row.
    """
    before = np.zeros_like(last)
    before[1:] = last[:-1]  # above a column lies the last pixel of the one before
    edge = np.flatnonzero(first != before) * height
    if last[-1]:
        edge = np.append(edge, height * len(last))
    toggles = np.concatenate([*changes, edge.astype(kept_as(height, len(last)))])
    changes.clear()
    toggles.sort(kind="stable")  # it is sorted in pieces already: they have to be merged
    return toggles


def _comparison(rows: Mask) -> tuple[Callable[[Mask, Mask], Ints], int]:
    """Choose how rows like these are compared, and how many pixels of them at a time."""
    if rows.itemsize == 1 and rows.flags.c_contiguous:
        kernel = compiled("differing", 0.3 * rows.size)
        if kernel is not None:
            return partial(_differing_compiled, kernel), 2 * _BLOCK  # it needs no cache
        if rows.shape[1] % 8 == 0:
            return _differing_words, _BLOCK
    return _differing_pixels, _BLOCK


def _differing_pixels(rows: Mask, above: Mask) -> Ints:
    """Return the flat positions where two blocks of equal shape differ."""
    return np.flatnonzero(rows != above)


def _differing_words(rows: Mask, above: Mask) -> Ints:
    """Do the same, eight pixels at a time; only where they differ is it asked which one."""
    words, words_above = rows.view(np.uint64).ravel(), above.view(np.uint64).ravel()
    where = np.flatnonzero(words != words_above)
    pixel = np.flatnonzero((words[where] ^ words_above[where]).view(np.uint8))
    found: Ints = where[pixel >> 3] * 8 + (pixel & 7)
    return found


def _differing_compiled(kernel: Callable[..., int], rows: Mask, above: Mask) -> Ints:
    """Do the same with the compiled kernel."""
    found = np.empty(rows.size + 1, np.int32)
    count = kernel(rows.view(np.uint8), above.view(np.uint8), found)
    return found[:count].astype(np.int64)


class ChangesAlong:
    """Toggles of the scan along the rows of a mask that arrives row by row."""

    def __init__(self, height: int, width: int, inspect: Inspect) -> None:
        self.height, self.width, self.inspect = height, width, inspect
        self.rows_seen = 0
        self._last_pixel = 0
        self._found: list[Ints] = []

    def push(self, rows: Mask) -> None:
        """Take the next rows, shape (n, width)."""
        step = max(1, _BLOCK // self.width)
        for top in range(0, len(rows), step):
            self._scan(rows[top : top + step])

    def _scan(self, rows: Mask) -> None:
        # ravel() copies at most this one block, and only if its rows do not lie end to end.
        flat = rows.ravel()
        found = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        if int(flat[0]) != self._last_pixel:
            found = np.concatenate([[0], found])
        self.inspect(flat[found])
        self._last_pixel = int(flat[-1])
        self._found.append(found + self.rows_seen * self.width)
        self.rows_seen += len(rows)

    def toggles(self) -> Ints:
        """Give away all toggles, sorted, once the last row was pushed."""
        end = [np.array([self.height * self.width])] if self._last_pixel else []
        return np.concatenate([NO_INTS, *self._found, *end])


class OneValue:
    """Sees that all the values shown to it are 0 or one other value."""

    def __init__(self) -> None:
        self.value: int | None = None

    def __call__(self, values: Mask) -> None:
        """Look at some values.

        Raises:
            RLEError: there are two non-zero ones, so this is a label image.
        """
        if self.value is None:
            nonzero = values[values != 0][:1]
            if not len(nonzero):
                return
            self.value = int(nonzero[0])
        other = values[(values != 0) & (values != self.value)][:1]
        if len(other):
            raise RLEError(
                f"the mask has two different non-zero values, {self.value} and {int(other[0])}; "
                "foreground has one value",
                hint="of a label image make one mask per label: rle.from_labels(labels)",
            )


def scan(
    shape: Shape, order: Order, inspect: Inspect | None = None
) -> "ChangesAcross | ChangesAlong":
    """Return what finds the toggles of a mask of `shape` whose rows are pushed to it.

    Args:
        shape: (height, width).
        order: of the scan.
        inspect: is shown every value that occurs, often; by default refuses a second non-zero one.
    """
    kind = ChangesAcross if order == "F" else ChangesAlong
    return kind(*shape, OneValue() if inspect is None else inspect)
