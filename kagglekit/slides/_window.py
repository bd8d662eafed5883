"""Windows: which image lines one needs when it leaves the image, and how to read it in pieces."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

Pad = Literal["reflect", "edge", "constant"]
PADS: tuple[Pad, ...] = ("reflect", "edge", "constant")

_PIECE_BYTES = 12 << 20
_TALLEST_PIECE = 4096


@dataclass(frozen=True)
class Lines:
    """Rows (or columns) to be read for one side of a window.

    Attributes:
        start: first image line to read.
        stop: image line after the last; `start` when none is needed.
        take: which of the lines read stands where in the window; None to take them as they are.
        before: lines of zeros before them.
        after: lines of zeros after them.
    """

    start: int
    stop: int
    take: npt.NDArray[np.int64] | None = None
    before: int = 0
    after: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether the lines that are read are the window's, all of them and no others."""
        return self.take is None and not self.before and not self.after


def image_lines(start: int, stop: int, size: int, pad: Pad | None) -> Lines:
    """Say which lines of an image of `size` lines the window lines start-stop show.

    Example:
        >>> lines = image_lines(-2, 3, 5, "reflect")
        >>> lines.start, lines.stop, lines.take.tolist()
        (0, 3, [2, 1, 0, 1, 2])
    """
    if start >= 0 and stop <= size:
        return Lines(start, stop)
    if pad == "constant":
        first = min(max(start, 0), size)
        last = min(max(stop, first), size)
        before = min(max(first - start, 0), stop - start)
        return Lines(first, last, None, before, stop - start - before - (last - first))
    wanted = np.arange(start, stop)
    if pad == "edge":
        wanted = wanted.clip(0, size - 1)
    else:  # back and forth between the first and the last line, neither of them twice
        period = max(2 * (size - 1), 1)
        wanted %= period
        wanted = np.minimum(wanted, period - wanted) if size > 1 else wanted
    first, last = int(wanted.min()), int(wanted.max()) + 1
    return Lines(first, last, wanted - first)


def pieces(
    start: tuple[int, int],
    stop: tuple[int, int],
    block: tuple[int, int],
    scale: int,
    pixel_bytes: int,
) -> list[tuple[int, int, int, int]]:
    """Cut a window into pieces of a few megabytes, along the stored blocks where that is possible.

    Args:
        start: first (row, column), multiples of `scale`.
        stop: (row, column) after the last.
        block: (height, width) of a stored block.
        scale: every piece starts at a multiple of it.
        pixel_bytes: bytes of a pixel of all channels.

    Returns:
        Pieces as `y0, y1, x0, x1`, top to bottom and left to right.
    """
    height, width = stop[0] - start[0], stop[1] - start[1]
    pixels = max(_PIECE_BYTES // pixel_bytes, 1)
    if height * width <= pixels:
        return [(start[0], stop[0], start[1], stop[1])]
    narrow = min(max(block[1], 1024), width)
    rows = _step(block[0], scale, min(pixels // narrow, _TALLEST_PIECE))
    columns = _step(block[1], scale, pixels // min(rows, height))
    return [
        (y0, y1, x0, x1)
        for y0, y1 in _cut(start[0], stop[0], rows)
        for x0, x1 in _cut(start[1], stop[1], columns)
    ]


def _step(block: int, scale: int, most: int) -> int:
    """Return a multiple of block and scale near `most`; of scale alone if there is none."""
    both = math.lcm(block, scale)
    unit = both if both <= max(most, _TALLEST_PIECE) else scale
    return unit * max(most // unit, 1)


def _cut(start: int, stop: int, step: int) -> list[tuple[int, int]]:
    edges = [start, *range((start // step + 1) * step, stop, step), stop]
    return list(pairwise(edges))
