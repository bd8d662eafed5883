"""One map out of the maps of models of several scales, at the finest of them."""

from collections.abc import Iterator, Sequence

import torch

from kagglekit.inference._track import rows_at_once


class Stretch:
    """Enlarges a map of which rows (or columns) arrive in order, by bilinear interpolation.

    Pixel centres are aligned, as in torch's `align_corners=False`; beyond the outermost centres
    the value stays.

    Args:
        axis: along which parts arrive: 0 rows, 1 columns.
        size: (height, width) of the enlarged map.
        factor: its pixels per pixel of the small one.
        begin: the first row (or column) of the small map that will come.
    """

    def __init__(self, axis: int, size: tuple[int, int], factor: int, begin: int) -> None:
        self.axis, self.size, self.factor, self.begin = axis, size, factor, begin
        self.waiting: torch.Tensor | None = None  # small rows from `begin` on

    def push(self, rows: torch.Tensor) -> None:
        """Take the next rows (or columns) of the small map, (planes, n, m)."""
        before = self.waiting
        self.waiting = rows if before is None else torch.cat([before, rows], 1 + self.axis)

    @property
    def ready(self) -> int:
        """Up to which row (or column) the enlarged map is known."""
        if self.waiting is None:
            return 0
        fed = self.begin + self.waiting.shape[1 + self.axis]
        full = self.size[self.axis]
        return full if fed * self.factor >= full else fed * self.factor - self.factor // 2

    def take(self, first: int, stop: int) -> torch.Tensor:
        """Return rows (or columns) of the enlarged map, (planes, n, m), and forget those before."""
        if self.waiting is None or stop > self.ready:
            raise ValueError(f"rows up to {stop} were asked for; {self.ready} are known")
        along, across = 1 + self.axis, 2 - self.axis
        self._forget((2 * first + 1 - self.factor) // (2 * self.factor))
        rows = _interpolate(self.waiting, along, first, stop, self.factor, self.begin)
        return _interpolate(rows, across, 0, self.size[1 - self.axis], self.factor, 0)

    def _forget(self, needed: int) -> None:
        if self.waiting is not None and needed > self.begin:
            kept = self.waiting.shape[1 + self.axis] - (needed - self.begin)
            self.waiting = self.waiting.narrow(1 + self.axis, needed - self.begin, kept).clone()
            self.begin = needed


class Combine:
    """Averages maps of several scales, of which parts arrive in the order of the sweep.

    Args:
        rows: which rows (or columns) of the finest map to hand on.
        maps: one for each, enlarging it to the finest.
        shares: how much each counts; their sum is one.
        geometric: multiply prob ** share instead of adding prob * share.
    """

    def __init__(
        self,
        rows: range,
        maps: Sequence[Stretch],
        shares: Sequence[float],
        geometric: bool = False,
    ) -> None:
        self.rows, self.maps, self.shares, self.geometric = rows, maps, shares, geometric
        self.given = rows.start

    def push(self, which: int, prob: torch.Tensor) -> Iterator[torch.Tensor]:
        """Take the next rows of one map, (planes, n, m); yield what that completes, averaged."""
        if len(self.maps) == 1:
            yield prob
            return
        self.maps[which].push(prob)
        ready = min(self.rows.stop, *(one.ready for one in self.maps))
        whole = self.maps[0]
        step = rows_at_once(len(prob), whole.size[1 - whole.axis], prob.device)
        while self.given < ready:
            stop = min(self.given + step, ready)
            parts = [one.take(self.given, stop) for one in self.maps]
            self.given = stop
            yield self._mean(parts)

    def _mean(self, parts: list[torch.Tensor]) -> torch.Tensor:
        if self.geometric:  # by logarithms: the last digit of a power depends on the rows at hand
            parts = [part.log() for part in parts]
        weighed = [part * share for part, share in zip(parts, self.shares, strict=True)]
        mean = torch.stack(weighed).sum(0)
        return mean.exp() if self.geometric else mean


def needed_rows(rows: range, size: int, factor: int) -> range:
    """Return which rows of a small map the given rows of the enlarged one, `size` long, rest on."""
    if factor == 1:
        return rows
    whole = -(-size // factor)
    first = (2 * rows.start + 1 - factor) // (2 * factor)
    last = (2 * (rows.stop - 1) + 1 - factor) // (2 * factor) + 1
    return range(max(first, 0), min(last + 1, whole))


def _interpolate(
    values: torch.Tensor, dim: int, first: int, stop: int, factor: int, begin: int
) -> torch.Tensor:
    """Return samples first to stop of the enlarged axis; `values` starts with sample `begin`."""
    if factor == 1:
        return values.narrow(dim, first - begin, stop - first)
    # On the CPU: Apple's GPUs have no float64.
    at = (torch.arange(first, stop, dtype=torch.float64) + 0.5) / factor - 0.5
    below = at.floor()
    shape = [1] * values.ndim
    shape[dim] = -1
    share = (at - below).to(values.dtype).reshape(shape).to(values.device)
    indices = (
        (index - begin).clamp(0, values.shape[dim] - 1).to(values.device)
        for index in (below.long(), below.long() + 1)
    )
    one, two = (values.index_select(dim, index) for index in indices)
    return one + share * (two - one)
