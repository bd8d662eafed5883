"""Union, intersection and difference of masks, on runs."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kagglekit.rle._arrays import Ints, Runs, cancel_pairs, from_toggles, to_toggles
from kagglekit.speed import compiled

Bools = NDArray[np.bool_]


def merge_touching(starts: Ints, lengths: Ints) -> Runs:
    """Join runs where one ends and the next begins; `starts` are sorted and do not overlap."""
    if not (starts[1:] == (starts + lengths)[:-1]).any():
        return starts, lengths
    return from_toggles(cancel_pairs(to_toggles(starts, lengths)))


def combine(a: Runs, b: Runs, inside: Callable[[Bools, Bools], Bools]) -> Runs:
    """Return the runs of the pixels for which `inside(in_a, in_b)` is true.

    Both masks' toggles are put in order together; between two of them nothing changes,
    so the operation is asked once per gap. `inside(False, False)` must be False.
    """
    ta, tb = to_toggles(*a), to_toggles(*b)
    # Twice the position plus whose it is sorts by position and remembers the owner.
    keys = np.concatenate([2 * ta, 2 * tb + 1])
    keys.sort(kind="stable")  # merges two sorted halves
    from_b = np.cumsum(keys & 1)
    in_b = (from_b & 1).astype(bool)
    in_a = ((np.arange(1, len(keys) + 1) - from_b) & 1).astype(bool)
    state = inside(in_a, in_b)
    changed = np.diff(state, prepend=False)
    # Where both toggle at one position the state in between covers no pixel: its two
    # changes cancel.
    return from_toggles(cancel_pairs(keys[changed] >> 1))


def complement(runs: Runs, pixels: int) -> Runs:
    """Return the runs of everything else among `pixels` pixels."""
    toggles = np.concatenate([[0], to_toggles(*runs), [pixels]]).astype(np.int64)
    return from_toggles(cancel_pairs(toggles))


def overlap(a: Runs, b: Runs) -> int:
    """Return how many pixels two masks share."""
    kernel = compiled("shared_pixels", 30 * (len(a[0]) + len(b[0])))
    if kernel is not None:
        return int(kernel(*a, *b))
    return int(combine(a, b, np.logical_and)[1].sum())
