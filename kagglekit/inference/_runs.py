"""From finished parts of a probability map to the runs of full-size masks.

The parts arrive in the order of the sweep, each across the whole image: rows from the top down, or
columns from left to right. Of every part only the places where a pixel differs from the one above
are kept, so the result does not depend on how the map was cut into parts, or in which direction;
and from a GPU nothing else has to come back.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from kagglekit.inference._cells import Cells
from kagglekit.inference._decide import Decision, nonzero
from kagglekit.rle import RLE, from_changes
from kagglekit.rle._encode import kept_as

Positions: TypeAlias = npt.NDArray[Any]  # uint32 where that reaches, else int64
Row: TypeAlias = npt.NDArray[np.bool_]

_TOGETHER = 64  # arrays of positions that are made one


@dataclass
class Part:
    """What is known of one mask in a part of the image that reaches across the sweep.

    Attributes:
        top: which row of the image the part's first row is.
        first: the part's first row of pixels.
        last: its last row.
        changes: positions, down the columns, of pixels that differ from the one above within it.
    """

    top: int
    first: Row
    last: Row
    changes: list[Positions]
    _joined: int = 0  # arrays of `changes` that are large enough

    def extend(self, following: "Part", axis: int, height: int) -> None:
        """Append the part behind (axis 1) or below (axis 0) this one; `height` is the image's."""
        if axis == 1:
            self.first = np.concatenate([self.first, following.first])
            self.last = np.concatenate([self.last, following.last])
        else:
            columns = np.flatnonzero(self.last != following.first)
            self.changes.append(_kept(columns * height + following.top, following))
            self.last = following.last
        self.changes += following.changes
        if len(self.changes) - self._joined > _TOGETHER:
            # Many small arrays between others that come and go would leave memory full of holes.
            self.changes[self._joined :] = [np.concatenate(self.changes[self._joined :])]
            self._joined = len(self.changes)


class RunSink:
    """Takes parts of a probability map and keeps the runs of its masks.

    Args:
        shape: (height, width) of the image in pixels.
        scale: image pixels per pixel of the map.
        axis: 0 if parts are rows, 1 if they are columns.
        decide: which masks are made of the map.
        start: the first row (or column) of the map in the part of it that will be given. If the
            part lies inside the map and the scale is not 1, the one before it comes first: the
            cells between the two belong to this part.

    Attributes:
        parts: what has been found, one for each mask; none before the first `add`.
    """

    kind = "runs"

    def __init__(
        self, shape: tuple[int, int], scale: int, axis: int, decide: Decision, start: int = 0
    ) -> None:
        self.shape, self.scale, self.axis, self.decide = shape, scale, axis, decide
        self.parts: list[Part] = []
        self._size = -(-shape[axis] // scale)  # of the map, along the sweep
        self._at = start  # the next row or column of the map
        self._context: torch.Tensor | None = None  # the one before it

    @property
    def lead(self) -> int:
        """Rows (or columns) of the map before the first that are needed as context."""
        return 0 if self.scale == 1 else 1

    @property
    def changes(self) -> list[list[Positions]]:
        """What has been found for each mask; grows at its end only."""
        return [part.changes for part in self.parts]

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a new process needs, beside the changes, to go on."""
        state = {"sink-at": np.array(self._at)}
        for k, part in enumerate(self.parts):
            state |= {
                f"top-{k}": np.array(part.top),
                f"first-{k}": part.first,
                f"last-{k}": part.last,
            }
        if self._context is not None:
            state["context"] = self._context.cpu().numpy()
        return state

    def restore(self, state: dict[str, npt.NDArray[Any]], changes: list[list[Positions]]) -> bool:
        """Go on from another process's state and changes: that can always be done."""
        self._at = int(state["sink-at"])
        if "context" in state:
            self._context = torch.from_numpy(state["context"])
        self.parts = [
            Part(int(state[f"top-{k}"]), state[f"first-{k}"], state[f"last-{k}"], found)
            for k, found in enumerate(changes)
        ]
        return True

    def add(self, prob: torch.Tensor) -> None:
        """Take the next rows (or columns) of the map: (planes, n, m) float32, on any device."""
        if self.scale == 1:
            self._add_pixels(prob)
        else:
            self._add_cells(prob)

    def finish(self) -> list[RLE]:
        """Return the masks, when the whole map was given; the parts are used up."""
        return assemble(self.parts, self.shape)

    def _add_pixels(self, prob: torch.Tensor) -> None:
        masks = self.decide.masks(prob)
        origin = (self._at, 0) if self.axis == 0 else (0, self._at)
        mask, y, x = nonzero(masks[:, 1:] != masks[:, :-1])
        self._keep(mask, y + 1 + origin[0], x + origin[1], masks[:, 0], masks[:, -1], origin[0])
        self._at += prob.shape[1 + self.axis]

    def _add_cells(self, prob: torch.Tensor) -> None:
        along = 1 + self.axis
        n = prob.shape[along]
        if self._context is None:
            self._context = prob.narrow(along, 0, 1).clone()
            if self._at:
                prob, n = prob.narrow(along, 1, n - 1), n - 1
        ends = self._at + n == self._size
        cells = Cells(_framed(self._context, prob, along, ends), self.scale, self.decide)
        if n:
            self._context = prob.narrow(along, n - 1, 1).clone()
        # The image pixel at which the cells begin; those of a border lie half outside the image.
        origin = [-self.scale + self.scale // 2] * 2
        origin[self.axis] += self._at * self.scale
        size = [side * self.scale for side in cells.mixed.shape]
        top, left = (max(0, -begin) for begin in origin)
        bottom, right = (
            min(count, full - begin)
            for count, full, begin in zip(size, self.shape, origin, strict=True)
        )
        if top < bottom and left < right:
            mask, y, x = cells.changes()
            [inside] = nonzero((y > top) & (y < bottom) & (x >= left) & (x < right))
            mask, y, x = (one.index_select(0, inside) for one in (mask, y, x))
            y, x = y + origin[0], x + origin[1]
            first, last = cells.row(top)[:, left:right], cells.row(bottom - 1)[:, left:right]
            self._keep(mask, y, x, first, last, origin[0] + top)
        self._at += n

    def _keep(
        self,
        mask: torch.Tensor,
        y: torch.Tensor,
        x: torch.Tensor,
        first: torch.Tensor,
        last: torch.Tensor,
        top: int,
    ) -> None:
        height, width = self.shape
        dtype = kept_as(height, width)
        positions = x * height + y
        ends = zip(first.cpu().numpy(), last.cpu().numpy(), strict=True)
        new = []
        for k, (one, other) in enumerate(ends):
            found = (positions if len(first) == 1 else positions[mask == k]).cpu().numpy()
            # Sorted here, where other threads have work: at the end pieces only have to be merged.
            new.append(Part(top, one, other, [np.sort(found.astype(dtype))]))
        if not self.parts:
            self.parts = new
        else:
            for part, following in zip(self.parts, new, strict=True):
                part.extend(following, self.axis, height)


def _framed(context: torch.Tensor, prob: torch.Tensor, along: int, ends: bool) -> torch.Tensor:
    """Put rows (or columns) behind the one before them, and repeat the image's borders.

    For beyond the outermost centres the value stays. Copied into place: torch takes ten times as
    long to concatenate along the last axis.
    """
    across, n = 3 - along, prob.shape[along]
    sides = list(prob.shape)
    sides[along], sides[across] = 1 + n + ends, 1 + sides[across] + 1
    framed = prob.new_empty(sides)
    inside = framed.narrow(across, 1, prob.shape[across])
    inside.narrow(along, 0, 1).copy_(context)
    inside.narrow(along, 1, n).copy_(prob)
    if ends:
        inside.narrow(along, 1 + n, 1).copy_(prob.narrow(along, n - 1, 1))
    for border, beside in ((0, 1), (sides[across] - 1, sides[across] - 2)):
        framed.narrow(across, border, 1).copy_(framed.narrow(across, beside, 1))
    return framed


def assemble(parts: list[Part], shape: tuple[int, int]) -> list[RLE]:
    """Make masks of what is known of the whole image; the parts are used up."""
    return [from_changes(shape, part.changes, part.first, part.last) for part in parts]


def _kept(positions: Positions, like: Part) -> Positions:
    return positions.astype(like.changes[0].dtype)
