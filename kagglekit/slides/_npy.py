"""NumPy's `.npy` files, mapped into memory: nothing is decoded, and workers share the pages."""

from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

from kagglekit.errors import SlideError
from kagglekit.scaling import shrink
from kagglekit.slides._source import Array, Reader, Source, state_of

_MOST_CHANNELS = 128  # as many as OpenCV knows
_FEW = 4  # which an image smaller than that may have, too
# NumPy reads the header with Python's own parser, which complains in many ways.
_BAD_HEADER = (
    MemoryError,
    OSError,
    RecursionError,
    SyntaxError,
    TokenError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class NpySource(Source):
    """An array in a file.

    Attributes:
        offset: byte of the file where the numbers begin.
        stored: dtype in the file, whose byte order may be foreign.
        fortran: whether columns, not rows, lie together.
    """

    offset: int
    stored: np.dtype[Any]
    fortran: bool

    def open(self) -> Reader:
        """Map the file."""
        return _NpyReader(self)


class _NpyReader:
    def __init__(self, source: NpySource) -> None:
        self._dtype = source.dtype
        mapped = np.memmap(
            source.path,
            source.stored,
            "r",
            source.offset,
            (*source.shape, source.channels),
            "F" if source.fortran else "C",
        )
        self._pixels = np.asarray(mapped)  # a plain array: cutting windows out of it costs less

    def read(self, y0: int, y1: int, x0: int, x1: int, *, scale: int) -> Array:
        pixels = np.array(self._pixels[y0:y1, x0:x1], self._dtype, order="C")
        return pixels if scale == 1 else shrink(pixels, scale)


def describe_npy(path: Path) -> NpySource:
    """Read the header of a `.npy` file.

    Raises:
        SlideError: the header is damaged, the file shorter than it says, or the array no picture.
    """
    with path.open("rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            header = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, fortran, stored = header(file)
        except _BAD_HEADER as error:
            raise SlideError(
                f"{path}: its .npy header is damaged: {error}", hint="save the array again"
            ) from error
        offset = file.tell()
    sides = (*shape, 1) if len(shape) == 2 else shape
    if len(sides) != 3 or min(sides) < 1 or not _are_channels(*sides):
        raise SlideError(
            f"{path}: an array of shape {shape}; expected (height, width) or "
            f"(height, width, channels) with 1 to {_MOST_CHANNELS} channels",
            hint="save it with its axes in that order: array.transpose(1, 2, 0)",
        )
    if stored.kind not in "biuf" or stored.itemsize > 8:
        raise SlideError(
            f"{path}: an array of {stored}; expected bool, integers or floats",
            hint="save it as uint8, uint16 or float32",
        )
    height, width, channels = sides
    source = NpySource(
        path=path,
        shape=(height, width),
        channels=channels,
        dtype=as_returned(stored),
        stored=stored,
        offset=offset,
        fortran=fortran,
        block=(height, 1) if fortran else (1, width),
        sequential=False,
        stored_bands=0,  # nothing of it ever lies in GDAL's cache
        needs=offset + height * width * channels * stored.itemsize,
        state=state_of(path),
    )
    size, _ = source.state
    if size < source.needs:
        raise SlideError(
            f"{path}: the file is {size:,} bytes; its header needs {source.needs:,}",
            hint="it was probably cut off: save or fetch it again",
        )
    return source


def _are_channels(height: int, width: int, last: int) -> bool:
    """Whether the last axis can be that of channels, and is not an image's width."""
    return last <= _FEW or last <= min(height, width, _MOST_CHANNELS)


def as_returned(stored: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype in which stored numbers are read: native order, bool as 0 and 1 of uint8.

    Half floats become float32, which is what every version of GDAL can return.
    """
    if stored.kind == "b":
        return np.dtype(np.uint8)
    if stored.kind == "f" and stored.itemsize == 2:
        return np.dtype(np.float32)
    return stored.newbyteorder("=")
