"""The windows of one grid, blended strip by strip.

Blending adds integers. Weights are multiples of 1/4096 that sum to one at each pixel, and products
are kept in units of 2**-30, so a sum does not depend on the order of its parts: whichever way the
sweep goes, and on however many devices, each pixel gets the same value to the last bit.
"""

from collections.abc import Iterator

import torch

from kagglekit.inference._network import Network
from kagglekit.tiling import Blend, Grid

_UNIT = 2.0**30  # of a probability: a float32 of at least 1/64 fits without rounding
VALUES_AT_ONCE = 1 << 20  # of the map, handed on at a time: bounds memory, changes nothing else
_TIMES_ON_GPU = 16  # a GPU is idle while the few values that matter are fetched from it


class Track:
    """Blends the predictions for one strip of windows after another.

    Args:
        scale: image pixels per model pixel.
        grid: the windows over the image at that scale.
        axis: along which the sweep goes: 0 down, 1 to the right.
        strips: which windows along the sweep belong to it.
        keep: which rows (or columns) of the map to hand on.
        network: what predicts the windows.
        blend: how windows fade into each other.
        device: where the map is blended.

    Attributes:
        blended: (planes, h, w) int32, sums of one strip in units of 2**-30.
        done: the first strip that is not finished.
    """

    def __init__(
        self,
        scale: int,
        grid: Grid,
        axis: int,
        strips: range,
        keep: range,
        network: Network,
        blend: Blend,
        device: torch.device,
    ) -> None:
        self.scale, self.grid, self.axis = scale, grid, axis
        self.strips, self.keep, self.network = strips, keep, network
        self.done = self._first = strips.start
        self.along, self.across = grid.axes[axis], grid.axes[1 - axis]
        self._weights = [torch.from_numpy(one.weights(blend)).to(device) for one in grid.axes]
        self._weights[1] *= _UNIT
        sides = [self.across.padded] * 2
        sides[axis] = self.along.window
        self._sums: dict[int, list[torch.Tensor]] = {}  # of predictions, by strip
        planes = network.models[0].recipe.classes
        self.blended = torch.zeros((planes, *sides), dtype=torch.int32, device=device)

    def weigh(self, i: int, windows: list[int], prob: torch.Tensor) -> torch.Tensor:
        """Weigh the predictions for some windows of strip i: what `add` wants for each of them.

        Args:
            i: which strip.
            windows: which N windows across it.
            prob: (N, planes, h, w) float32, used up.

        Returns:
            (N, planes, h, w) int32.
        """
        # Not a number, if one of them is. Looked at once a strip, for a GPU is waited for then.
        self._sums.setdefault(i, []).append(prob.sum())
        # Not indexed with a list: a GPU would get it as a tensor, and wait for that, idle.
        rows, columns = (
            torch.stack([weights[j] for j in ([i] if side == self.axis else windows)])
            for side, weights in enumerate(self._weights)
        )
        prob.mul_(rows.reshape(-1, 1, rows.shape[-1], 1))
        return prob.mul_(columns.reshape(-1, 1, 1, columns.shape[-1])).to(torch.int32)

    def add(self, j: int, weighed: torch.Tensor) -> None:
        """Add what was weighed of window j of the strip at hand: (planes, h, w) int32."""
        begin = self.across.starts[j]
        self.blended.narrow(2 - self.axis, begin, self.across.window).add_(weighed)

    def finish(self, i: int) -> Iterator[torch.Tensor]:
        """Yield the rows (or columns) that no strip after strip i touches, and forget them.

        Yields:
            (planes, n, m) float32 in [0, 1], what lies in `keep` of them, in order.

        Raises:
            FloatingPointError: a prediction for one of the strip's windows was not a number.
        """
        self._check_numbers(i)
        start, along = self.along.starts[i], 1 + self.axis
        last = i + 1 == len(self.along.starts)
        stop = self.along.size if last else self.along.starts[i + 1]
        first, end = max(start, self.keep.start), min(stop, self.keep.stop)
        step = rows_at_once(len(self.blended), self.across.size, self.blended.device)
        for at in range(first, end, step):
            rows = self.blended.narrow(along, at - start, min(step, end - at))
            inside = rows.narrow(3 - along, 0, self.across.size)
            yield inside.to(torch.float32).mul_(1 / _UNIT)
        # What later strips add to moves up; copied first, for the two places may overlap.
        rest = self.along.window - (stop - start)
        moving = self.blended.narrow(along, stop - start, rest).clone()
        self.blended.narrow(along, 0, rest).copy_(moving)
        self.blended.narrow(along, rest, stop - start).zero_()

    def _check_numbers(self, i: int) -> None:
        sums = self._sums.pop(i, [])
        if sums and not bool(torch.stack(sums).isfinite().all()):
            start, what = self.along.starts[i], ("rows", "columns")[self.axis]
            raise FloatingPointError(
                f"the network answered nan or infinity somewhere in the {what} "
                f"{start * self.scale}-{(start + self.along.window) * self.scale} of the image: "
                "are its weights, and the image's pixels, all numbers? "
                "On a GPU, try amp=False: half precision ends at 65,504"
            )

    def carried(self) -> torch.Tensor:
        """Return what the strips done have added to those to come."""
        if self.done == self._first or self.done == len(self.along.starts):
            return self.blended.narrow(1 + self.axis, 0, 0)
        step = self.along.starts[self.done] - self.along.starts[self.done - 1]
        return self.blended.narrow(1 + self.axis, 0, self.along.window - step)

    def go_on(self, done: int, carried: torch.Tensor) -> None:
        """Take over from a process that was killed: strips before `done` need no prediction."""
        self.strips, self.done = range(done, self.strips.stop), done
        self.blended.narrow(1 + self.axis, 0, carried.shape[1 + self.axis]).copy_(carried)


def rows_at_once(planes: int, length: int, device: torch.device) -> int:
    """Return how many rows (or columns) of a map, `length` long, to hand on at a time."""
    return max(1, values_at_once(device) // (planes * length))


def values_at_once(device: torch.device) -> int:
    """Return how many values of a map on a device to hand on at a time."""
    return VALUES_AT_ONCE * (1 if device.type == "cpu" else _TIMES_ON_GPU)
