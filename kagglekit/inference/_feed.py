"""Pixels of a slide at network resolution, each stored block decoded once.

The slide is cut into *chunks* of whole stored blocks. A small pool of threads decodes chunks in the
order in which the sweep will need them, a little ahead of it, averages them down to each scale in
use, and a chunk is forgotten when the last window that looks at it has been filled. So memory holds
about one strip of pixels, at network resolution, whatever the size of the slide.
"""

import math
import time
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from types import TracebackType
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from kagglekit.scaling import shrink
from kagglekit.slides import Slide
from kagglekit.tiling import Grid

Pixels: TypeAlias = npt.NDArray[Any]
Key: TypeAlias = tuple[int, int]  # which chunk down the image, and which along it

# What a thread does at a time where blocks are smaller: pixels at network resolution, as long as
# that is not too much to decode in one go: three bytes each, they are one piece of `Slide.read`.
_CHUNK = 1 << 18
_IMAGE_PIXELS = 1 << 22
AHEAD = 8 << 20  # bytes decoded before they are needed, at network resolution


@dataclass(frozen=True)
class Demand:
    """Which windows will be asked for: some strips of a grid at one scale.

    Attributes:
        scale: image pixels per model pixel.
        grid: the windows over the image at that scale.
        strips: which windows along the sweep; across it, all.
    """

    scale: int
    grid: Grid
    strips: range


def chunk_edges(slide: Slide, axis: int, scales: Sequence[int]) -> tuple[list[int], list[int]]:
    """Cut a slide into chunks of whole blocks and whole model pixels.

    Args:
        slide: the image.
        axis: along which the sweep goes: 0 down, 1 to the right.
        scales: all scales in use.

    Returns:
        Where chunks begin and end, in image pixels, down the image and along it.
    """
    steps = [
        min(math.lcm(block, *scales), _up(side, math.lcm(*scales)))
        for block, side in zip(slide.block, slide.shape, strict=True)
    ]
    most = min(_CHUNK * min(scales) ** 2, _IMAGE_PIXELS)
    # Chunks grow across the sweep first, where that keeps nothing longer than it is needed.
    for grown in (1 - axis, axis):
        room = max(1, most // (steps[0] * steps[1]))
        steps[grown] *= min(room, -(-slide.shape[grown] // steps[grown]))
    rows, columns = (
        [*range(0, side, step), side] for side, step in zip(slide.shape, steps, strict=True)
    )
    return rows, columns


class Feed:
    """Fills windows with pixels. Use it in a `with` block: that ends what it has begun.

    Args:
        slide: the image.
        axis: along which the sweep goes: 0 down, 1 to the right.
        demands: everything that will be asked for, each window once.
        pool: decodes; a file that can only be decoded from the top gets a thread of its own.

    Attributes:
        blocks: stored blocks decoded so far.
        waited: seconds spent waiting for them.
    """

    def __init__(self, slide: Slide, axis: int, demands: Sequence[Demand], pool: Executor) -> None:
        self.slide, self.blocks, self.waited = slide, 0, 0.0
        self._scales = sorted({demand.scale for demand in demands})
        self._edges = chunk_edges(slide, axis, self._scales)
        self._uses, order = _schedule(self._edges, axis, demands)
        self._order = iter(order)
        self._chunks: dict[Key, Future[dict[int, Pixels]]] = {}
        self._ahead: dict[Key, int] = {}  # bytes of the chunks nobody has asked for
        self._own = ThreadPoolExecutor(1, "kagglekit-decode") if slide.sequential else None
        self._pool = self._own or pool

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for chunk in self._chunks.values():
            chunk.cancel()
        if self._own is not None:
            self._own.shutdown()

    def fill(self, window: Pixels, scale: int, grid: Grid, i: int, j: int) -> None:
        """Fill a window, mirroring the image at its end.

        Args:
            window: (h, w, C) to be filled, of the slide's dtype or one that takes its numbers.
            scale: one of the demands' scales.
            grid: its grid.
            i: which of the grid's rows.
            j: which of its columns.

        Raises:
            SlideError: the pixels cannot be decoded.
        """
        rows, columns = grid.rows.sources(i), grid.columns.sources(j)
        y0, y1, x0, x1 = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
        mirrored = rows[-1] < rows[0] + len(rows) - 1 or columns[-1] < columns[0] + len(columns) - 1
        inside = window
        if mirrored:
            inside = np.empty((y1 - y0, x1 - x0, window.shape[2]), window.dtype)
        for ys, xs, part in self._parts(scale, int(y0), int(y1), int(x0), int(x1)):
            inside[ys, xs] = part
        if mirrored:
            window[:] = inside.take(rows - y0, 0).take(columns - x0, 1)

    def _parts(
        self, scale: int, y0: int, y1: int, x0: int, x1: int
    ) -> Iterator[tuple[slice, slice, Pixels]]:
        """Yield where in a box which pixels go; each chunk that ends with it is forgotten."""
        rows, columns = self._edges
        along = touched(columns, x0 * scale, x1 * scale)
        for a in touched(rows, y0 * scale, y1 * scale):
            for b in along:
                pixels = self._chunk((a, b))[scale]
                top, left = rows[a] // scale, columns[b] // scale
                first, last = max(y0, top), min(y1, top + pixels.shape[0])
                begin, end = max(x0, left), min(x1, left + pixels.shape[1])
                part = pixels[first - top : last - top, begin - left : end - left]
                yield slice(first - y0, last - y0), slice(begin - x0, end - x0), part
                self._uses[a, b] -= 1
                if not self._uses[a, b]:
                    del self._chunks[a, b]

    def _chunk(self, key: Key) -> dict[int, Pixels]:
        if key not in self._chunks:
            self._submit(key)
        elif key not in self._ahead:
            return self._chunks[key].result()  # somebody has waited for it before
        self._ahead.pop(key, None)
        while sum(self._ahead.values()) < AHEAD:
            following = next(
                (k for k in self._order if self._uses[k] and k not in self._chunks), None
            )
            if following is None:
                break
            self._submit(following)
        started = time.perf_counter()
        pixels = self._chunks[key].result()
        self.waited += time.perf_counter() - started
        return pixels

    def _submit(self, key: Key) -> None:
        box = [edges[k : k + 2] for edges, k in zip(self._edges, key, strict=True)]
        self.blocks += math.prod(
            -(-last // block) - first // block
            for (first, last), block in zip(box, self.slide.block, strict=True)
        )
        area = math.prod(last - first for first, last in box)
        bytes_per_pixel = self.slide.channels * self.slide.dtype.itemsize
        self._ahead[key] = sum(area * bytes_per_pixel // scale**2 for scale in self._scales)
        (y0, y1), (x0, x1) = box
        self._chunks[key] = self._pool.submit(self._decode, y0, y1, x0, x1)

    def _decode(self, y0: int, y1: int, x0: int, x1: int) -> dict[int, Pixels]:
        if len(self._scales) == 1:
            [scale] = self._scales
            return {scale: self.slide.read(y0, y1, x0, x1, scale)}
        pixels = self.slide.read(y0, y1, x0, x1)
        return {scale: pixels if scale == 1 else shrink(pixels, scale) for scale in self._scales}


def touched(edges: Sequence[int], start: int, stop: int) -> range:
    """Return which of the pieces between edges have something in [start, stop)."""
    return range(bisect_right(edges, start) - 1, min(bisect_left(edges, stop), len(edges) - 1))


def _schedule(
    edges: tuple[list[int], list[int]], axis: int, demands: Sequence[Demand]
) -> tuple[Counter[Key], list[Key]]:
    """Count how many windows look at each chunk, and order the chunks by who comes first."""
    uses: Counter[Key] = Counter()
    needed: dict[int, int] = {}  # where the sweep stands, in image pixels, at a chunk's first use
    for demand in demands:
        counts: list[Counter[int]] = [Counter(), Counter()]
        for side, one in enumerate(demand.grid.axes):
            for i in demand.strips if side == axis else range(len(one.starts)):
                at = one.sources(i)
                box = int(at.min()) * demand.scale, (int(at.max()) + 1) * demand.scale
                for k in touched(edges[side], *box):
                    counts[side][k] += 1
                    if side == axis:
                        sweep = one.starts[i] * demand.scale
                        needed[k] = min(needed.get(k, sweep), sweep)
        for a, b in product(*counts):
            uses[a, b] += counts[0][a] * counts[1][b]
    order = sorted(uses, key=lambda key: (needed[key[axis]], key[1 - axis], key[axis]))
    return uses, order


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
