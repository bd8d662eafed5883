"""A `Slide`: an image of any size, read by windows."""

import itertools
import operator
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from kagglekit import handles
from kagglekit.errors import SlideError
from kagglekit.memory import available_bytes
from kagglekit.scaling import shrink
from kagglekit.slides._gdal import FAILURES, cache_limit, cause, damage, listening, remedy
from kagglekit.slides._source import Array, Reader, Source, state_of
from kagglekit.slides._window import PADS, Lines, Pad, image_lines, pieces

_CACHE_FLOOR, _CACHE_CEILING = 16 << 20, 1 << 30
_FRESH = 8  # blocks in GDAL's cache where none is needed twice: two for each of four threads
_LARGE = 1 << 30
_numbers = itertools.count()


class Slide:
    """An image of any size, read by windows. Made by `open_slide`; use it in a `with` block.

    A slide may be used from several threads, pickled, and inherited by forked workers: each opens
    the file for itself at its first read, since a GDAL handle that two of them share returns wrong
    pixels without an error. Of many slides, only those used last stay open (`kagglekit.handles`).

    Attributes:
        path: the file.
        shape: (height, width) in pixels.
        channels: number of channels that `read` returns (alpha is dropped).
        dtype: dtype that `read` returns, as stored.
        block: (height, width) of a stored block in pixels. Windows along its edges decode each
            block once.
        sequential: whether rows can only be decoded in order from the top: then read from the top,
            full rows, in one thread. `block` is one row.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.path = source.path
        self.shape = source.shape
        self.channels = source.channels
        self.dtype = source.dtype
        self.block = source.block
        self.sequential = source.sequential
        self._readers: dict[tuple[int, int], Reader] = {}
        self._number = next(_numbers)
        self._cache = 0  # bytes of GDAL's cache that this slide has needed so far
        weakref.finalize(self, cache_limit.release, self._number).atexit = False
        weakref.finalize(self, self._readers.clear).atexit = False

    def read(
        self, y0: int, y1: int, x0: int, x1: int, scale: int = 1, pad: Pad | None = None
    ) -> npt.NDArray[Any]:
        """Read one window, reduced by averaging.

        Args:
            y0: first row, in image pixels, a multiple of `scale` (so that neighbouring windows
                average the same pixels together).
            y1: row after the last.
            x0: first column, a multiple of `scale`.
            x1: column after the last.
            scale: image pixels per returned pixel, an integer of at least 1. Where the window ends
                inside a cell, its last row or column is repeated.
            pad: what lies outside the image: "reflect" mirrors it, the pixels at the edge not
                repeated, as often as needed; "edge" repeats the nearest pixel; "constant" is 0.
                None: a window must be inside. Averaged after padding.

        Returns:
            (ceil((y1-y0)/scale), ceil((x1-x0)/scale), channels), dtype as stored.

        Raises:
            ValueError: the window is empty, not inside the image (without `pad`), or off the
                scale's grid; or the dtype is one that cannot be averaged.
            SlideError: the stored data cannot be decoded there.
        """
        # NumPy's unsigned numbers would wrap around below 0, and its small ones above 255.
        y0, y1, x0, x1 = (operator.index(side) for side in (y0, y1, x0, x1))
        self._check(y0, y1, x0, x1, scale, pad)
        scale = operator.index(scale)
        pixel_bytes = self.channels * self.dtype.itemsize
        cut = pieces((y0, x0), (y1, x1), self.block, scale, pixel_bytes)
        if len(cut) == 1:
            return self._reduced(*cut[0], scale, pad)
        shape = (-(-(y1 - y0) // scale), -(-(x1 - x0) // scale), self.channels)
        self._check_memory(y0, y1, x0, x1, shape[0] * shape[1] * pixel_bytes)
        pixels = np.empty(shape, self.dtype)
        for top, bottom, left, right in cut:
            part = self._reduced(top, bottom, left, right, scale, pad)
            y, x = (top - y0) // scale, (left - x0) // scale
            pixels[y : y + part.shape[0], x : x + part.shape[1]] = part
        return pixels

    def thumbnail(self, max_side: int = 1024) -> tuple[npt.NDArray[Any], int]:
        """Read the whole image reduced; each stored block is decoded once.

        Args:
            max_side: the longer side of the result is at most this many pixels.

        Returns:
            The thumbnail, (h, w, channels) of the stored dtype, and its scale.

        Raises:
            ValueError: `max_side` is less than 1, or the dtype is one that cannot be averaged.
            SlideError: the stored data cannot be decoded.
        """
        if max_side < 1:
            raise ValueError(f"max_side={max_side} must be at least 1 pixel")
        height, width = self.shape
        scale = max(1, -(-max(height, width) // max_side))
        return self.read(0, height, 0, width, scale), scale

    def close(self) -> None:
        """Close the file in all threads of this process; a later read opens it again."""
        # A read that is under way in another thread keeps its own reader until it has ended.
        self._readers.clear()
        cache_limit.release(self._number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[type[Self], tuple[Source]]:
        return type(self), (self._source,)

    def __repr__(self) -> str:
        return f"Slide({self.path.name}, shape={self.shape}, channels={self.channels})"

    def _check(self, y0: int, y1: int, x0: int, x1: int, scale: int, pad: Pad | None) -> None:
        height, width = self.shape
        window = f"window rows {y0}-{y1}, columns {x0}-{x1}"
        if pad not in (None, *PADS):
            raise ValueError(f"pad={pad!r}; expected None, 'reflect', 'edge' or 'constant'")
        if not (y0 < y1 and x0 < x1):
            raise ValueError(f"{window} is empty")
        if pad is None and not (y0 >= 0 and y1 <= height and x0 >= 0 and x1 <= width):
            raise ValueError(f"{window} is not inside the image, {height} rows and {width} columns")
        if not hasattr(scale, "__index__") or scale < 1:  # Python's and NumPy's integers have it
            raise ValueError(f"scale={scale!r} must be a whole number of at least 1")
        if y0 % scale or x0 % scale:
            raise ValueError(f"window must start at multiples of scale={scale}, not at {(y0, x0)}")
        if scale > 1 and self.dtype.name not in _AVERAGED:
            raise ValueError(
                f"{self.dtype} cannot be averaged; read at scale=1, or save it as one of "
                f"{', '.join(_AVERAGED)}"
            )

    def _check_memory(self, y0: int, y1: int, x0: int, x1: int, size: int) -> None:
        free = available_bytes() if size > _LARGE else None
        if free is not None and size > free:
            raise SlideError(
                f"{self.path}: rows {y0}-{y1}, columns {x0}-{x1} need {size / 2**30:.1f} GiB and "
                f"{free / 2**30:.1f} GiB are free",
                hint="read smaller windows, or with scale",
            )

    def _reduced(
        self, y0: int, y1: int, x0: int, x1: int, scale: int, pad: Pad | None
    ) -> npt.NDArray[Any]:
        rows = image_lines(y0, y1, self.shape[0], pad)
        columns = image_lines(x0, x1, self.shape[1], pad)
        if rows.is_plain and columns.is_plain:
            return self._full(rows, columns, scale)
        pixels = self._full(rows, columns, 1)
        if rows.take is not None:
            pixels = pixels[rows.take]
        if columns.take is not None:
            pixels = pixels[:, columns.take]
        zeros = ((rows.before, rows.after), (columns.before, columns.after), (0, 0))
        if any(before or after for before, after in zeros):
            pixels = np.pad(pixels, zeros)
        return pixels if scale == 1 else shrink(pixels, scale)

    def _full(self, rows: Lines, columns: Lines, scale: int) -> Array:
        y0, y1, x0, x1 = rows.start, rows.stop, columns.start, columns.stop
        if y0 == y1 or x0 == x1:
            return np.empty((y1 - y0, x1 - x0, self.channels), self.dtype)
        key = (os.getpid(), threading.get_ident())
        try:
            with self._watching(y0, y1, x0, x1) as heard:
                reader = self._readers.get(key)
                if reader is None:
                    self._forget_ended_threads()
                    if state_of(self.path) != self._source.state:
                        raise OSError("the file is another one now")
                    reader = self._readers[key] = self._source.open()
                handles.used(self._readers, key)
                pixels = reader.read(y0, y1, x0, x1, scale=scale)
        except FAILURES as error:
            raise self._error(y0, y1, x0, x1, cause(error)) from error
        if wrong := damage(heard):
            raise self._error(y0, y1, x0, x1, wrong)
        return pixels

    @contextmanager
    def _watching(self, y0: int, y1: int, x0: int, x1: int) -> Iterator[list[str]]:
        """Give GDAL's cache the room that a window needs; yield what GDAL warns of meanwhile."""
        if not self._source.stored_bands:  # it has no part in reading
            yield []
            return
        self._cache = max(self._cache, self._cache_need(y0, y1, x0, x1))
        with cache_limit.raised(self._number, self._cache), listening() as heard:
            yield heard

    def _cache_need(self, y0: int, y1: int, x0: int, x1: int) -> int:
        """Bytes of cache that let the next window of a grid reuse this one's blocks.

        If it needs none of them, and the image is too large to be kept whole, only the few that are
        being read have to fit: what is written over and over stays in the processor's cache, and
        fresh memory has to be fetched and zeroed.
        """
        (height, width), (tall, wide) = self.shape, self.block
        rows_cut = y0 % tall or (y1 % tall and y1 != height)
        columns_cut = x0 % wide or (x1 % wide and x1 != width)
        pixel = self._source.stored_bands * self.dtype.itemsize
        if not rows_cut and not columns_cut and height * width * pixel > _CACHE_FLOOR:
            return min(_FRESH * tall * wide * pixel, _CACHE_FLOOR)
        kept = (y1 - y0 if columns_cut else 0) + 2 * tall
        return min(max(min(kept, height) * width * pixel, _CACHE_FLOOR), _CACHE_CEILING)

    def _forget_ended_threads(self) -> None:
        alive = {thread.ident for thread in threading.enumerate()}
        for pid, ident in list(self._readers):
            if pid == os.getpid() and ident not in alive:
                self._readers.pop((pid, ident), None)

    def _error(self, y0: int, y1: int, x0: int, x1: int, why: str) -> SlideError:
        # With the reader goes GDAL's cache of it, which holds the damaged block: read again, it
        # would come out of there without a complaint.
        self._readers.pop((os.getpid(), threading.get_ident()), None)
        return SlideError(
            f"{self.path}: cannot read rows {y0}-{y1}, columns {x0}-{x1}: {why}",
            hint=remedy(why, self._source.remedy),
        )


_AVERAGED = ("uint8", "uint16", "int16", "float32", "float64")
