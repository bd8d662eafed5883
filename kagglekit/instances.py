"""Several masks of one image: all their runs in one list, whether they overlap, and how not to."""

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kagglekit.rle import RLE


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
        instances: masks of one image, all of one shape and order.

    Example:
        >>> a, b = RLE.from_text("1 3", (2, 5)), RLE.from_text("3 1", (2, 5))
        >>> find_overlap([a, b])
        (0, 1)
    """
    if not instances:
        return None
    runs = sorted_runs(instances)
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

    Example:
        >>> a, b = RLE.from_text("1 3", (2, 5)), RLE.from_text("3 2", (2, 5))
        >>> union([a, b], (2, 5)).to_text()
        '1 4'
    """
    masks = list(instances) or [RLE.empty(shape)]
    while (
        len(masks) > 1
    ):  # two and two: one by one, the runs of the first are gone through each time
        masks = [reduce(RLE.__or__, masks[k : k + 2]) for k in range(0, len(masks), 2)]
    return masks[0]


def without_overlaps(instances: Sequence[RLE]) -> list[RLE]:
    """Leave every shared pixel to the first mask that claims it; masks left empty are dropped.

    Args:
        instances: masks of one image, all of one shape and order.

    Example:
        >>> a, b = RLE.from_text("1 3", (2, 5)), RLE.from_text("3 2", (2, 5))
        >>> [rle.to_text() for rle in without_overlaps([a, b])]
        ['1 3', '4 1']
    """
    instances = [rle for rle in instances if rle.area]
    if find_overlap(instances) is None:
        return instances
    claims: dict[int, list[RLE]] = {}
    for first, second in _pairs(instances):
        claims.setdefault(second, []).append(instances[first])
    kept = [
        rle - union(claims[place], rle.shape) if place in claims else rle
        for place, rle in enumerate(instances)
    ]
    return [rle for rle in kept if rle.area]


def _pairs(instances: Sequence[RLE]) -> list[tuple[int, int]]:
    """Return the places of all pairs of masks that share a pixel, the lower one first."""
    runs = sorted_runs(instances)
    # A run shares pixels with those behind it that start before it ends.
    one, other = spread(np.arange(1, len(runs.start) + 1), np.searchsorted(runs.start, runs.end))
    pairs = np.sort(np.stack([runs.owner[one], runs.owner[other]]), axis=0)
    return [(first, second) for first, second in np.unique(pairs, axis=1).T.tolist()]


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
