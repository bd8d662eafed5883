"""Where a slide's pixels come from: what is known of them, and a reader for one thread."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt
from rasterio.windows import Window

from kagglekit import scratch
from kagglekit.scaling import shrink, shrink_planes
from kagglekit.slides._gdal import open_dataset

Array = npt.NDArray[Any]

# OpenCV interleaves planes many times faster than NumPy; it only has to know how wide a number is.
_SAME_WIDTH = {1: np.uint8, 2: np.uint16, 4: np.int32, 8: np.float64}

# The last bytes of a whole file; a few more may follow.
_ENDS = {"PNG": b"IEND\xae\x42\x60\x82", "JPEG": b"\xff\xd9", "GIF": b";"}
_TAIL = 64


class Reader(Protocol):
    """An open file, used by one thread of one process."""

    def read(self, y0: int, y1: int, x0: int, x1: int, *, scale: int) -> Array:
        """Return rows y0-y1 and columns x0-x1, averaged as `scaling.shrink` does."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True)
class Source(ABC):
    """What is known of a picture before its pixels are read; can be pickled.

    Attributes:
        path: the file.
        shape: (height, width) in pixels.
        channels: number of channels that are read.
        dtype: dtype that is read.
        block: (height, width) of a stored block.
        sequential: whether rows can only be decoded in order from the top.
        stored_bands: bands that GDAL's cache keeps of each pixel, the unused ones too; 0 where GDAL
            has no part in reading.
        needs: length in bytes that the file must have to be whole; 0 if that is not known.
        state: of the file when this was found out (`state_of`).
    """

    path: Path
    shape: tuple[int, int]
    channels: int
    dtype: np.dtype[Any]
    block: tuple[int, int]
    sequential: bool
    stored_bands: int
    needs: int
    state: tuple[int, int]

    @abstractmethod
    def open(self) -> Reader:
        """Open the file for the calling thread."""

    def remedy(self) -> str:
        """Say what to do when the file could not be read."""
        try:
            size, _ = state = state_of(self.path)
        except OSError as error:
            return f"the file cannot be found any more: {error.strerror}"
        if state != self.state:
            return "the file has changed since the slide was opened: open it again"
        if cut := self._cut(size):
            return f"{cut}: it was probably cut off, fetch it again"
        return "the file is damaged there: fetch it again, and compare its checksum"

    def _cut(self, size: int) -> str | None:
        """Say what tells that the end of the file is missing."""
        if size < self.needs:
            return f"the file is {size:,} bytes; its index needs {self.needs:,}"
        return None


@dataclass(frozen=True, eq=False, kw_only=True)
class GdalSource(Source):
    """A picture in one or three GDAL datasets.

    Attributes:
        driver: GDAL's short name.
        names: datasets to open: one, or one for each page.
        bands: bands to read of each, from 1.
        lookup: table that turns stored numbers into values: (n,) for each band alike, (n, channels)
            for the colours of one band's numbers; None to leave them.
    """

    driver: str
    names: tuple[str, ...]
    bands: tuple[int, ...]
    lookup: Array | None

    def open(self) -> Reader:
        """Open the datasets for the calling thread."""
        return _GdalReader(self, [open_dataset(name, self.driver) for name in self.names])

    def _cut(self, size: int) -> str | None:
        end = _ENDS.get(self.driver)
        if end and end not in self._tail(size):
            return f"the file does not end as a {self.driver} does"
        return super()._cut(size)

    def _tail(self, size: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(max(size - _TAIL, 0))
            return file.read()


class _GdalReader:
    def __init__(self, source: GdalSource, datasets: list[Any]) -> None:
        self._source, self._datasets = source, datasets

    def read(self, y0: int, y1: int, x0: int, x1: int, *, scale: int) -> Array:
        bands = list(self._source.bands)
        window = Window(x0, y0, x1 - x0, y1 - y0)
        planes = self._planes(len(bands) * len(self._datasets), y1 - y0, x1 - x0)
        for i, dataset in enumerate(self._datasets):
            dataset.read(bands, window=window, out=planes[i * len(bands) : (i + 1) * len(bands)])
        table = self._source.lookup
        if table is not None and table.ndim == 2:
            values: Array = table[planes[0]]
            return values if scale == 1 else shrink(values, scale)
        if table is not None:
            planes = table[planes]
        return interleave(planes if scale == 1 else shrink_planes(planes, scale))

    def _planes(self, count: int, height: int, width: int) -> Array:
        """Memory for planes, new only where they are returned themselves."""
        dtype = self._source.dtype
        if count == 1 and self._source.lookup is None:
            return np.empty((1, height, width), dtype)
        size = count * height * width * dtype.itemsize
        return scratch.take(size).view(dtype).reshape(count, height, width)


def state_of(path: Path) -> tuple[int, int]:
    """Return (bytes, nanoseconds of the last change) of a file: what tells that it was replaced."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def interleave(planes: Array) -> Array:
    """Turn (C, h, w) into a contiguous (h, w, C).

    Example:
        >>> interleave(np.array([[[1, 2]], [[3, 4]]], np.uint8)).tolist()
        [[[1, 3], [2, 4]]]
    """
    channels, height, width = planes.shape
    if channels == 1:
        return planes.reshape(height, width, 1)
    known = planes.view(_SAME_WIDTH[planes.itemsize])
    return np.asarray(cv2.merge(list(known))).view(planes.dtype).reshape(height, width, channels)
