"""Open any image as a shape and `read(window, scale)`.

Files of any size are read window by window through GDAL (rasterio), so the whole picture is never
in memory. Arrays are always
(height, width, channels), and every read window lies inside the image: padding is the caller's.

Three things about GDAL that cost competitions silently are settled here once:

- a handle shared with forked workers or threads returns wrong pixels, so each (process, thread)
  opens its own;
- the competition's "5-D" TIFFs show up as one band with three sub-images, so pages are looked at;
- a side-car file (`.ovr`, `.aux.xml`) can replace what the image says, so none is read.
"""

import os
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError
from rasterio.windows import Window

from kagglekit.errors import SlideError
from kagglekit.scaling import shrink

_DRIVERS = {
    b"II*\0": "GTiff",
    b"MM\0*": "GTiff",
    b"II+\0": "GTiff",
    b"MM\0+": "GTiff",
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
}
_STRANGERS = {
    b"<!DO": "an HTML page (a failed download?)",
    b"<htm": "an HTML page (a failed download?)",
    b"vers": "a git-lfs pointer: the image itself was never fetched",
    b"PK\x03\x04": "a zip archive",
    b"\x93NUM": "a NumPy array",
    b"<VRT": "a GDAL VRT, which points to other files",
}
_CACHE_FLOOR, _CACHE_CEILING = 32 << 20, 1 << 30


@dataclass(frozen=True)
class _Layout:
    """How the bands of a picture are stored: which GDAL dataset, which bands of it."""

    driver: str
    names: tuple[str, ...]  # datasets to open: one, or one per page
    bands: tuple[int, ...]  # 1-based bands to read of each
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    block: tuple[int, int]  # (height, width) of a stored block

    @property
    def channels(self) -> int:
        return len(self.names) * len(self.bands)

    @property
    def cache_bytes(self) -> int:
        """Enough for two rows of blocks: reading in row order then decodes each block once."""
        row = min(self.block[0], self.shape[0]) * self.shape[1] * self.channels
        return min(max(2 * row * self.dtype.itemsize, _CACHE_FLOOR), _CACHE_CEILING)


class Slide:
    """An image of any size, read by windows. Made by `open_slide`; use it in a `with` block.

    A slide may be used from several threads, pickled, and inherited by forked workers: each opens
    its own handle at its first read.

    Attributes:
        path: the file.
        shape: (height, width) in pixels.
        channels: number of channels that `read` returns (alpha is dropped).
        dtype: dtype that `read` returns, as stored.
        block: (height, width) of a stored block in pixels; reading in its order is cheapest.
    """

    def __init__(self, path: Path, layout: _Layout) -> None:
        self.path = path
        self.shape = layout.shape
        self.channels = layout.channels
        self.dtype = layout.dtype
        self.block = layout.block
        self.sequential = layout.driver != "GTiff"
        self._layout = layout
        self._handles: dict[tuple[int, int], list[Any]] = {}

    def read(self, y0: int, y1: int, x0: int, x1: int, scale: int = 1) -> npt.NDArray[Any]:
        """Read one window, reduced by averaging.

        Args:
            y0: first row, in image pixels, a multiple of `scale` (so that neighbouring windows
                average the same pixels together).
            y1: row after the last.
            x0: first column, a multiple of `scale`.
            x1: column after the last.
            scale: image pixels per returned pixel, an integer of at least 1. Where the image ends
                inside a cell, its last row or column is repeated.

        Returns:
            (ceil((y1-y0)/scale), ceil((x1-x0)/scale), channels), dtype as stored.

        Raises:
            ValueError: the window is not inside the image, or is off the scale's grid.
            SlideError: the stored data cannot be decoded there.
        """
        height, width = self.shape
        if not (0 <= y0 < y1 <= height and 0 <= x0 < x1 <= width):
            raise ValueError(
                f"window rows {y0}-{y1}, columns {x0}-{x1} is not inside the image, "
                f"{height} rows and {width} columns"
            )
        if scale < 1 or y0 % scale or x0 % scale:
            raise ValueError(f"window must start at multiples of scale={scale}, not at {(y0, x0)}")
        where = f"cannot read rows {y0}-{y1}, columns {x0}-{x1}"
        with _as_slide_error(self.path, where), _gdal(self._layout.cache_bytes):
            pixels = self._read_window(Window(x0, y0, x1 - x0, y1 - y0))
        return pixels if scale == 1 else shrink(pixels, scale)

    def thumbnail(self, max_side: int = 1024) -> tuple[npt.NDArray[Any], int]:
        """Read the whole image reduced, a strip at a time.

        Args:
            max_side: the longer side of the result is at most this many pixels.

        Returns:
            The thumbnail, (h, w, channels) of the stored dtype, and its scale.
        """
        height, width = self.shape
        scale = max(1, -(-max(height, width) // max_side))
        step = -(-max(self.block[0], 256) // scale) * scale
        strips = [
            self.read(y0, min(y0 + step, height), 0, width, scale) for y0 in range(0, height, step)
        ]
        return np.concatenate(strips), scale

    def close(self) -> None:
        """Close this process's handles; a later read opens new ones."""
        for (pid, _), handles in self._handles.items():
            if pid == os.getpid():
                for handle in handles:
                    handle.close()
        self._handles = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_handles": {}}

    def __repr__(self) -> str:
        return f"Slide({self.path.name}, shape={self.shape}, channels={self.channels})"

    def _read_window(self, window: Window) -> npt.NDArray[Any]:
        key = (os.getpid(), threading.get_ident())
        if key not in self._handles:
            self._handles[key] = [
                rasterio.open(name, driver=self._layout.driver, sharing=False)
                for name in self._layout.names
            ]
        pixels = np.empty((window.height, window.width, self.channels), self.dtype)
        planes = pixels.transpose(2, 0, 1)  # GDAL writes (channels, h, w) into our (h, w, channels)
        per_page = len(self._layout.bands)
        for i, handle in enumerate(self._handles[key]):
            part = planes[i * per_page : (i + 1) * per_page]
            handle.read(list(self._layout.bands), window=window, out=part)
        return pixels


def open_slide(path: str | os.PathLike[str]) -> Slide:
    """Open an image: TIFF (tiled, striped, planar, 5-D, BigTIFF), PNG or JPEG.

    Channels: RGB as it is; RGBA without its alpha; grey as one channel; three one-band pages of one
    size (the 5-D TIFFs of HuBMAP) as three channels. Palettes and other band counts are refused.

    Args:
        path: the image file. Only its header is read now.

    Returns:
        A `Slide`.

    Raises:
        SlideError: no such file, not an image, damaged, or a layout that has no one right reading.

    Example:
        >>> with open_slide("aaa6a05cc.tiff") as slide:  # doctest: +SKIP
        ...     tile = slide.read(0, 1024, 0, 1024, scale=4)  # (256, 256, 3) uint8
    """
    path = Path(path)
    driver = _sniff(path)
    with _as_slide_error(path, "cannot open"), _gdal(_CACHE_FLOOR):
        layout = _layout(path, driver)
    return Slide(path, layout)


def _sniff(path: Path) -> str:
    """Name the GDAL driver by the file's first bytes; never let GDAL guess (a VRT opens others)."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise SlideError(f"{path}: not a regular file")
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        if isinstance(error, SlideError):
            raise
        raise SlideError(f"{path}: cannot open: {error.strerror}") from error
    if not magic:
        raise SlideError(f"{path}: the file is empty", hint="download it again")
    for start, driver in _DRIVERS.items():
        if magic.startswith(start):
            return driver
    what = next((what for start, what in _STRANGERS.items() if magic.startswith(start)), None)
    detail = f"it is {what}" if what else f"its first bytes are {magic!r}"
    raise SlideError(f"{path}: not a TIFF, PNG or JPEG: {detail}")


def _layout(path: Path, driver: str) -> _Layout:
    """Decide which pages and bands are the picture."""
    with rasterio.open(path, driver=driver, sharing=False) as dataset:
        pages = tuple(dataset.subdatasets)
        if dataset.count in (3, 4) or (dataset.count == 1 and not pages):
            return _single_page(path, driver, dataset)
        if dataset.count == 1 and len(pages) == 3:
            return _three_pages(path, driver, pages)
        raise SlideError(
            f"{path}: {len(pages) or 1} page(s) of {dataset.count} band(s); expected one page of "
            "1 (grey), 3 (RGB) or 4 (RGBA) bands, or three pages of 1"
        )


def _single_page(path: Path, driver: str, dataset: Any) -> _Layout:
    if ColorInterp.palette in dataset.colorinterp:
        raise SlideError(
            f"{path}: its pixels are palette indices, not colours", hint="convert it to RGB first"
        )
    if dataset.count == 4 and dataset.colorinterp[3] != ColorInterp.alpha:
        raise SlideError(f"{path}: 4 bands, and the fourth is not alpha; expected RGB or RGBA")
    bands = (1,) if dataset.count == 1 else (1, 2, 3)
    return _Layout(driver, (str(path),), bands, dataset.shape, *_dtype_and_block(path, dataset))


def _three_pages(path: Path, driver: str, pages: tuple[str, ...]) -> _Layout:
    shapes, kinds = [], []
    for page in pages:
        with rasterio.open(page, driver=driver, sharing=False) as dataset:
            shapes.append((dataset.count, *dataset.shape))
            kinds.append(_dtype_and_block(path, dataset))
    if len(set(shapes)) != 1 or len({dtype for dtype, _ in kinds}) != 1 or shapes[0][0] != 1:
        sizes = ", ".join(f"{bands} band(s) of {h} x {w}" for bands, h, w in shapes)
        raise SlideError(f"{path}: three pages that do not match: {sizes}")
    return _Layout(driver, pages, (1,), shapes[0][1:], *kinds[0])


def _dtype_and_block(path: Path, dataset: Any) -> tuple[np.dtype[Any], tuple[int, int]]:
    if len(set(dataset.dtypes)) != 1:
        raise SlideError(f"{path}: bands of different types: {', '.join(dataset.dtypes)}")
    return np.dtype(dataset.dtypes[0]), dataset.block_shapes[0]


@contextmanager
def _gdal(cache_bytes: int) -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        # GDAL_CACHEMAX is in bytes here, although the environment variable of that name is in MB.
        with rasterio.Env(GDAL_CACHEMAX=cache_bytes, GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
            yield


@contextmanager
def _as_slide_error(path: Path, where: str) -> Iterator[None]:
    """Name the file and the place: rasterio's own text for a bad block names neither."""
    try:
        yield
    except (RasterioIOError, RasterioError) as error:
        raise SlideError(
            f"{path}: {where}: {error.__cause__ or error}",
            hint="the file is damaged or cut off; compare its size with the original's",
        ) from error
