"""Full-size masks of a small probability map, without ever enlarging the map.

The full-size probability is the bilinear interpolation of the small one (pixel centres aligned, as
OpenCV's INTER_LINEAR and torch's `align_corners=False` do it). Between the centres of four
neighbouring model pixels lies a *cell* of scale x scale image pixels. A bilinear surface stays
between its corners, so where all four decide alike the whole cell does; only the others, along the
outlines of the mask, are interpolated. That is a few in a thousand.

Cell (i, j) of a block has its corners at rows i, i+1 and columns j, j+1 of the block.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch

from kagglekit.inference._decide import Decision, nonzero

_AT_ONCE = 1 << 16  # cells interpolated at a time: bounds memory, changes nothing else


@dataclass(frozen=True)
class Cells:
    """The cells between the pixels of a block of the small map.

    Attributes:
        prob: (planes, n + 1, m + 1) float32, the corners of n x m cells.
        scale: image pixels per model pixel, at least 2.
        decide: which masks are made of it.
    """

    prob: torch.Tensor
    scale: int
    decide: Decision

    @cached_property
    def corners(self) -> torch.Tensor:
        """(masks, n + 1, m + 1) bool."""
        return self.decide.masks(self.prob)

    @cached_property
    def mixed(self) -> torch.Tensor:
        """(n, m) bool: the cells that have to be interpolated."""
        every = _of_four(self.corners, torch.logical_and)
        some = _of_four(self.corners, torch.logical_or)
        mixed = (every != some).any(0)
        hidden = self.decide.hidden(self.prob)
        return mixed if hidden is None else mixed | _of_four(hidden[None], torch.logical_or)[0]

    def row(self, y: int) -> torch.Tensor:
        """Return one row of pixels, counted from the block's first: (masks, m * scale) bool."""
        i, r = divmod(y, self.scale)
        upper, lower = self.prob[:, i], self.prob[:, i + 1]
        edge = upper + self._shares[r] * (lower - upper)  # (planes, m + 1)
        values = edge[:, :-1, None] + self._shares * (edge[:, 1:, None] - edge[:, :-1, None])
        even = self.corners[:, i, :-1, None]
        return torch.where(self.mixed[i, :, None], self.decide.masks(values), even).flatten(1)

    def changes(self) -> torch.Tensor:
        """Find the pixels that differ from the one above, the block's first row left out.

        Returns:
            (3, N) int64: mask, row and column in image pixels, counted from the block's first.
        """
        wanted = self.mixed.clone()
        wanted[1:] |= self.mixed[:-1]  # below a mixed cell the first row may differ from its last
        i, j = nonzero(wanted)
        found = [
            self._changes_in(i[first : first + _AT_ONCE], j[first : first + _AT_ONCE])
            for first in range(0, len(i), _AT_ONCE)
        ]
        return torch.cat(found, 1) if found else i.new_empty((3, 0))

    def _changes_in(self, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        inside = self._pixels(i, j, self._shares)  # (masks, scale, scale, N)
        above = self._pixels((i - 1).clamp(min=0), j, self._shares[-1:])  # (masks, 1, scale, N)
        # Above the block's first row nothing is known: say it does not change.
        above = torch.where(i > 0, above, inside[:, :1])
        rows = torch.cat([above, inside], 1)
        mask, r, c, cell = nonzero(rows[:, 1:] != rows[:, :-1])
        y, x = (along.index_select(0, cell) * self.scale for along in (i, j))
        return torch.stack([mask, y + r, x + c])

    def _pixels(self, i: torch.Tensor, j: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Return chosen rows of the pixels of cells: (masks, rows, scale, N) bool.

        Cells come last: along a short last axis torch and NumPy work number by number.
        """
        down, along = rows[:, None], self._shares[:, None]
        width = self.prob.shape[2]
        first = i * width + j  # numbers of the upper left corners; index_select is the fastest way
        prob = self.prob.flatten(1)
        upper_left, upper_right, lower_left, lower_right = (
            prob.index_select(1, first + k)[:, None] for k in (0, 1, width, width + 1)
        )
        left = upper_left + down * (lower_left - upper_left)  # (planes, rows, N)
        right = upper_right + down * (lower_right - upper_right)
        values = left[:, :, None] + along * (right - left)[:, :, None]
        even = self.corners.flatten(1).index_select(1, first)[:, None, None]
        # What torch.where would choose, which takes several times as long for flags.
        mixed = self.mixed.flatten().index_select(0, i * (width - 1) + j)
        return even ^ ((self.decide.masks(values) ^ even) & mixed)

    @cached_property
    def _shares(self) -> torch.Tensor:
        """How far each pixel of a cell is on the way from one corner to the next, (scale,)."""
        # Image pixel y has its centre at (y + 0.5) / scale - 0.5 in model pixels; the first one
        # behind the centre of model pixel k is y = k * scale + scale // 2.
        s = self.scale
        shares = [(s // 2 + r + 0.5) / s - 0.5 for r in range(s)]
        return torch.tensor(shares, dtype=torch.float32, device=self.prob.device)


def _of_four(
    flags: torch.Tensor, join: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """Join the flags of the four corners of each cell: (masks, n + 1, m + 1) to (masks, n, m)."""
    pairs = join(flags[:, 1:], flags[:, :-1])
    return join(pairs[:, :, 1:], pairs[:, :, :-1])
