"""Masks in a file, eight pixels to a byte: to read a window of one costs next to nothing."""

import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kagglekit import handles
from kagglekit.replacing import replacing
from kagglekit.rle import RLE

_STRIP_PIXELS = 16 << 20  # of a mask that are decoded at a time


class Bits:
    """The masks of one picture, as `write_bits` has written them.

    It can be pickled, and inherited by forked workers: each maps the file for itself.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mapped: dict[Path, npt.NDArray[np.uint8]] = {}
        weakref.finalize(self, self._mapped.clear).atexit = False

    def __reduce__(self) -> tuple[type["Bits"], tuple[Path]]:
        return Bits, (self.path,)

    def read(self, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[np.uint8]:
        """Read a window: (K, y1 - y0, x1 - x0) uint8, 0 or 1."""
        packed = self._mapped.get(self.path)
        if packed is None:
            packed = self._mapped[self.path] = np.asarray(np.load(self.path, mmap_mode="r"))
        handles.used(self._mapped, self.path)
        first = x0 // 8
        bits = np.unpackbits(packed[:, y0:y1, first : -(-x1 // 8)], axis=2)
        return bits[:, :, x0 - 8 * first : x1 - 8 * first]


def write_bits(masks: Sequence[RLE], shape: tuple[int, int], path: Path) -> None:
    """Write masks of a shape to a file, which appears whole or not at all."""
    height, width = shape
    row = -(-width // 8)
    header: dict[str, Any] = {
        "descr": "|u1", "fortran_order": False, "shape": (len(masks), height, row),
    }  # fmt: skip
    rows = max(1, _STRIP_PIXELS // width)
    with replacing(path) as file:
        np.lib.format.write_array_header_1_0(file, header)
        for mask in masks:
            for y0 in range(0, height, rows):
                strip = mask.window(y0, min(y0 + rows, height), 0, width)
                file.write(np.packbits(strip, axis=1).data)
