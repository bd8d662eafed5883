"""Several masks of one image: all their runs in one list, whether they overlap, and how not to."""

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kagglekit.errors import RLEError
from kagglekit.rle import RLE
from kagglekit.rle._core import trusted


class Runs(NamedTuple):
    """The runs of several masks, sorted by start; three int64 arrays of one length.

    Attributes:
        start: first pixel, counted from 0 in the masks' order.
        end: one past the last pixel.
        owner: place of the mask in the list.
    """

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    owner: NDArray[np.int64]


def sorted_runs(instances: Sequence[RLE]) -> Runs:
    """Return the runs of all masks, sorted by start.

    Args:
        instances: masks of one image, all of one shape and order, at least one.
    """
    start = np.concatenate([rle.starts for rle in instances])
    end = start + np.concatenate([rle.lengths for rle in instances])
    owner = np.repeat(np.arange(len(instances)), [len(rle.starts) for rle in instances])
    by_start = np.argsort(start, kind="stable")
    return Runs(start[by_start], end[by_start], owner[by_start])


def find_overlap(instances: Sequence[RLE]) -> tuple[int, int] | None:
    """Return the places of two masks that share a pixel, or None when no two do.

    Args:
        instances: masks of one image, all of one shape.

    Raises:
        RLEError: shapes differ.

    Example:
        >>> a, b = RLE.from_text("1 3", (2, 5)), RLE.from_text("3 1", (2, 5))
        >>> find_overlap([a, b])
        (0, 1)
    """
    if not instances:
        return None
    runs = sorted_runs(_in_one_order(instances))
    clash = np.flatnonzero(runs.start[1:] < runs.end[:-1])
    if not len(clash):
        return None
    first, second = sorted((int(runs.owner[clash[0]]), int(runs.owner[clash[0] + 1])))
    return first, second


def union(instances: Sequence[RLE], shape: tuple[int, int]) -> RLE:
    """Return one mask with every pixel of all.

    Args:
        instances: masks of one image; none of them gives the empty mask.
        shape: (height, width) of the image.

    Raises:
        RLEError: a mask has another shape.

    Example:
        >>> a, b = RLE.from_text("1 3", (2, 5)), RLE.from_text("3 2", (2, 5))
        >>> union([a, b], (2, 5)).to_text()
        '1 4'
    """
    masks = [*instances] or [RLE.empty(shape)]
    if masks[0].shape != tuple(shape):
        raise RLEError(f"the image is {tuple(shape)} pixels and its masks are {masks[0].shape}")
    # Two and two: one by one, the runs of the first are gone through each time.
    while len(masks) > 1:
        masks = [reduce(RLE.__or__, masks[k : k + 2]) for k in range(0, len(masks), 2)]
    return masks[0]


def without_overlaps(instances: Sequence[RLE]) -> list[RLE]:
    """Leave every shared pixel to the first mask that claims it; masks left empty are dropped.

    Args:
        instances: masks of one image, all of one shape.

    Returns:
        Masks in the order, "F" or "C", of the first.

    Raises:
        RLEError: shapes differ.

    Example:
        >>> a, b = RLE.from_text("1 3", (2, 5)), RLE.from_text("3 2", (2, 5))
        >>> [rle.to_text() for rle in without_overlaps([a, b])]
        ['1 3', '4 1']
    """
    if find_overlap(instances) is None:
        return [rle for rle in _in_one_order(instances) if rle.area]
    taken, kept = _Taken(), []
    for rle in _in_one_order(instances):
        rest = taken.rest(sorted_runs([rle]))
        if len(rest.start):
            taken.add(rest)
            kept.append(trusted((rest.start, rest.end - rest.start), rle.shape, rle.order))
    return kept


def overlaps(instances: Sequence[RLE]) -> list[tuple[int, int]]:
    """Return which masks must go so that none overlaps another: each after one that it overlaps.

    Args:
        instances: masks of one image, all of one shape.

    Returns:
        Pairs of places. The second is of a mask that shares pixels with earlier ones that stay; the
        first is one of these.

    Raises:
        RLEError: shapes differ.

    Example:
        >>> a, b = RLE.from_text("1 3", (2, 5)), RLE.from_text("3 2", (2, 5))
        >>> overlaps([a, b, a])
        [(0, 1), (0, 2)]
    """
    if find_overlap(instances) is None:
        return []
    taken, found = _Taken(), []
    for place, rle in enumerate(_in_one_order(instances)):
        runs = sorted_runs([rle])._replace(owner=np.full(len(rle.starts), place))
        other = taken.by(runs)
        if other is None:
            taken.add(runs)
        else:
            found.append((other, place))
    return found


class _Taken:
    """Runs that do not overlap, to which more come.

    They lie in a few lists, sorted by start, each at least twice as long as the next: to put every
    new one in its place in a single list would take time with the square of their number.
    """

    def __init__(self) -> None:
        self._lists: list[Runs] = []

    def add(self, runs: Runs) -> None:
        """Add runs that overlap none that are here."""
        self._lists.append(runs)
        while len(self._lists) > 1 and len(self._lists[-2].start) < 2 * len(runs.start):
            pairs = zip(*self._lists[-2:], strict=True)
            start, end, owner = (np.concatenate(pair) for pair in pairs)
            by_start = np.argsort(start, kind="stable")  # merges what is sorted in two parts
            runs = Runs(start[by_start], end[by_start], owner[by_start])
            self._lists[-2:] = [runs]

    def by(self, runs: Runs) -> int | None:
        """Return an owner of pixels in these runs, None if they are free."""
        for taken in self._lists:
            before = np.searchsorted(taken.start, runs.end) - 1  # the last that starts before
            shared = before[(before >= 0) & (taken.end[before] > runs.start)]
            if len(shared):
                return int(taken.owner[shared[0]])
        return None

    def rest(self, runs: Runs) -> Runs:
        """Return what is free of some runs."""
        for taken in self._lists:
            # What lies between the taken ones, from the first pixel to the last.
            begin = np.concatenate([[0], taken.end])
            end = np.concatenate([taken.start, [np.iinfo(np.int64).max]])
            one, gap = spread(
                np.searchsorted(end, runs.start, "right"), np.searchsorted(begin, runs.end)
            )
            start = np.maximum(runs.start[one], begin[gap])
            stop = np.minimum(runs.end[one], end[gap])
            free = start < stop
            runs = Runs(start[free], stop[free], runs.owner[one][free])
        return runs


def _in_one_order(instances: Sequence[RLE]) -> list[RLE]:
    """Return masks of one image in the order of the first.

    Raises:
        RLEError: shapes differ.
    """
    for rle in instances:
        if rle.shape != instances[0].shape:
            raise RLEError(f"masks of one image are {instances[0].shape} and {rle.shape} pixels")
    return [rle.reorder(instances[0].order) for rle in instances]


def spread(
    first: NDArray[np.int64], last: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each i beside each of the numbers from first[i] up to, without, last[i].

    Example:
        >>> [column.tolist() for column in spread(np.array([5, 7]), np.array([6, 9]))]
        [[0, 1, 1], [5, 7, 8]]
    """
    count = last - first
    owner = np.repeat(np.arange(len(count)), count)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count) + first[owner]
