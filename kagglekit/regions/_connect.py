"""Which pieces of runs belong together."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kagglekit.errors import RLEError
from kagglekit.rle import RLE
from kagglekit.rle._arrays import Ints, cut_at_lines
from kagglekit.rle._core import trusted
from kagglekit.rle._sets import merge_touching
from kagglekit.speed import compiled

Connectivity = Literal[4, 8]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Pieces:
    """The runs of a mask, cut at line ends, and the component of each piece.

    Attributes:
        mask: where they come from.
        line: pixels of one line: the height for order "F", the width for "C".
        starts: flat position of each piece's first pixel, in the mask's order.
        lengths: its pixels.
        owner: its component, 0, 1, … by first pixel.
        count: how many components there are.
    """

    mask: RLE
    line: int
    starts: Ints
    lengths: Ints
    owner: Ints
    count: int

    def areas(self) -> Ints:
        """Return the pixels of each component."""
        size = np.bincount(self.owner, weights=self.lengths, minlength=self.count)
        return size.astype(np.int64)

    def only(self, chosen: Bools) -> RLE:
        """Return the mask of the chosen components."""
        return self.pick(np.flatnonzero(chosen[self.owner]))

    def pick(self, which: Ints) -> RLE:
        """Return the mask of some pieces, given in ascending order."""
        runs = merge_touching(self.starts[which], self.lengths[which])
        return trusted(runs, self.mask.shape, self.mask.order)


def connect(mask: RLE, connectivity: int) -> Pieces:
    """Find the components of a mask.

    Raises:
        RLEError: connectivity is neither 4 nor 8.
    """
    if connectivity not in (4, 8):
        raise RLEError(
            f"connectivity is {connectivity!r}: it is 4 (sides) or 8 (sides and corners)"
        )
    line = mask.shape[0] if mask.order == "F" else mask.shape[1]
    starts, lengths = cut_at_lines(mask.starts, mask.lengths, line)
    kernel = compiled("join_pieces", 60 * len(starts))
    reach = 1 if connectivity == 8 else 0
    owner, count = (kernel or join_pieces)(starts, lengths, line, reach)
    return Pieces(mask, line, starts, lengths, owner, count)


def join_pieces(starts: Ints, lengths: Ints, line: int, reach: int) -> tuple[Ints, int]:
    """Return the component of each piece of a line, 0, 1, … by first piece, and their count."""
    on = starts // line
    begin = starts - on * line
    end = begin + lengths
    # Piece j on the line before touches piece i if it ends after i begins and begins before
    # i ends; with 8 neighbours one pixel further counts as well. Give each line a pixel of
    # margin on both sides, and positions and ends are sorted over all lines.
    wide = (end.max() if len(end) else 0) + 2
    here = on * wide + 1
    first = np.searchsorted(here + end, here - wide + begin - reach, "right")
    last = np.searchsorted(here + begin, here - wide + end + reach, "left")
    touching = np.maximum(last - first, 0)
    parent = roots(np.where(touching > 0, first, np.arange(len(on))))
    # Most pieces touch one piece of the line before; only the further ones join trees.
    more = np.flatnonzero(touching > 1)
    extra = touching[more] - 1
    one = np.repeat(more, extra)
    nth = np.arange(len(one)) - np.repeat(np.cumsum(extra) - extra, extra)
    other = np.repeat(first[more] + 1, extra) + nth
    while len(one):
        one, other = parent[one], parent[other]
        apart = one != other
        one, other = one[apart], other[apart]
        np.minimum.at(parent, np.maximum(one, other), np.minimum(one, other))
        parent = roots(parent)
    is_root = parent == np.arange(len(parent))
    return (np.cumsum(is_root) - 1)[parent], int(is_root.sum())


def roots(parent: Ints) -> Ints:
    """Follow every chain to its end, in as many steps as its length has binary digits."""
    while True:
        further = parent[parent]
        if np.array_equal(further, parent):
            return parent
        parent = further
