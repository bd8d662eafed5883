"""COCO's counts: how many pixels of background, foreground, background, … follow each other.

Always down the columns. The compressed form writes each count (from the fourth on: its
difference to the one two before) as groups of five bits, lowest first, one ASCII character
from "0" on per group; bit 6 says that more groups follow, bit 5 of the last is the sign.
Source: the format of pycocotools' `maskApi.c`, rleToString and rleFrString.
"""

import numpy as np

from kagglekit.errors import RLEError
from kagglekit.rle._arrays import Ints, Runs, from_toggles, to_toggles


def to_counts(runs: Runs, pixels: int) -> Ints:
    """Return the counts of a mask of `pixels` pixels; an odd number of them or an even one."""
    edges: Ints = np.concatenate([[0], to_toggles(*runs), [pixels]])
    counts: Ints = np.diff(edges)
    return counts[: len(counts) - int(counts[-1] == 0)]


def from_counts(counts: Ints, pixels: int, where: str) -> Runs:
    """Return the runs that counts describe.

    Raises:
        RLEError: a count is negative, or they do not add up to the mask.
    """
    negative = np.flatnonzero(counts < 0)
    if len(negative):
        problems = [f"count {i + 1} is {counts[i]}" for i in negative[:100]]
        raise RLEError(f"{where}: counts are negative", problems=problems)
    total = int(counts.sum())
    if total != pixels:
        raise RLEError(
            f"{where}: the counts add up to {total} pixels, the mask has {pixels}",
            hint="is the shape right? COCO writes its size as [height, width]",
        )
    edges = np.cumsum(counts)
    toggles = edges[: len(edges) - len(edges) % 2]
    return from_toggles(cancel_repeats(toggles))


def cancel_repeats(toggles: Ints) -> Ints:
    """Drop runs and gaps without a pixel: a position counts if it occurs an odd number of times."""
    positions, times = np.unique(toggles, return_counts=True)
    odd: Ints = positions[times % 2 == 1]
    return odd


def compress(counts: Ints) -> str:
    """Return the compressed form of counts."""
    values = counts.astype(np.int64)
    values[3:] -= counts[1:-2]
    groups = np.ones(len(values), np.int64)  # five-bit groups that hold the value and its sign
    while True:
        top = values >> (5 * groups - 1)
        wide = (top != 0) & (top != -1)
        if not wide.any():
            break
        groups[wide] += 1
    owner = np.repeat(np.arange(len(values)), groups)
    nth = np.arange(len(owner)) - np.repeat(np.cumsum(groups) - groups, groups)
    bits = (values[owner] >> (5 * nth)) & 31
    bits += np.where(nth + 1 < groups[owner], 32, 0) + 48
    return bits.astype(np.uint8).tobytes().decode("ascii")


def decompress(text: str, where: str) -> Ints:
    """Return the counts of a compressed form.

    Raises:
        RLEError: a character that does not belong, or an unfinished count.
    """
    codes = np.array([ord(letter) for letter in text], np.int64) - 48
    bad = np.flatnonzero((codes < 0) | (codes > 63))
    if len(bad):
        problems = [f"character {i + 1} is {text[i]!r}" for i in bad[:100]]
        raise RLEError(
            f"{where}: not COCO's compressed counts, which use the characters '0' to 'o'",
            problems=problems,
        )
    if not len(codes):
        return codes
    last = (codes & 32) == 0
    if not last[-1]:
        raise RLEError(f"{where}: COCO's compressed counts end in the middle of a count")
    ends = np.flatnonzero(last)
    begins = np.concatenate([[0], ends[:-1] + 1])
    groups = ends - begins + 1
    if groups.max() > 12:
        raise RLEError(f"{where}: a count has {groups.max()} groups of 5 bits; 12 is the most")
    nth = np.arange(len(codes)) - np.repeat(begins, groups)
    values = np.add.reduceat((codes & 31) << (5 * nth), begins)
    negative = codes[ends] & 16 != 0
    values[negative] -= np.int64(1) << (5 * groups[negative])
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values
