"""An RLE made from rows that arrive one strip at a time."""

from typing import Any

import numpy as np

from kagglekit.errors import RLEError
from kagglekit.rle._arrays import Mask, Order, Shape, check_shape, from_toggles
from kagglekit.rle._core import RLE, trusted
from kagglekit.rle._encode import check_rows, scan


class RLEBuilder:
    """Encode a mask that never exists as a whole: push its rows, top to bottom, then finish.

    Memory grows with the width and the number of runs, not with the height. The result
    equals `RLE.from_mask` of the whole mask.

    Args:
        shape: (height, width) of the whole mask, in pixels.
        order: the order of the runs.

    Raises:
        RLEError: the shape or the order is not one.

    Example:
        >>> builder = RLEBuilder((4, 3))
        >>> builder.push(np.array([[0, 1, 1], [0, 1, 0]], bool))
        >>> builder.push(np.array([[0, 1, 0], [1, 0, 0]], bool))
        >>> builder.finish().to_text()
        '4 4 9 1'
    """

    def __init__(self, shape: Shape, order: Order = "F") -> None:
        check_shape(shape, order)
        self.shape, self.order = shape, order
        self._scan = scan(shape, order)
        self._dtype: np.dtype[Any] | None = None

    def push(self, rows: Mask) -> None:
        """Take the next rows.

        Args:
            rows: (n, width), bool or integer, 0 for background and one other value.

        Raises:
            RLEError: other rows than that, or more rows than the mask has.
        """
        check_rows(rows, "the strip of rows")
        height, width = self.shape
        seen = self._scan.rows_seen
        if rows.shape[1] != width:
            raise RLEError(f"the strip is {rows.shape[1]} pixels wide, the mask {width}")
        if self._dtype not in (None, rows.dtype):
            raise RLEError(
                f"the strip has dtype {rows.dtype}, those before {self._dtype}",
                hint="make them all alike, e.g. `strip > 0`",
            )
        if seen + len(rows) > height:
            raise RLEError(
                f"{len(rows)} more rows after {seen} are {seen + len(rows)}: the mask has {height}",
                hint="push every row once; strips must not overlap",
            )
        if len(rows):
            self._scan.push(rows)
            self._dtype = rows.dtype

    def finish(self) -> RLE:
        """Return the mask that was pushed; the builder is ready for another one.

        Raises:
            RLEError: rows are missing.
        """
        height, _ = self.shape
        if self._scan.rows_seen != height:
            raise RLEError(
                f"{self._scan.rows_seen} of {height} rows were pushed",
                hint="push the missing rows; background is np.zeros((n, width), bool)",
            )
        done, self._scan = self._scan, scan(self.shape, self.order)
        self._dtype = None
        return trusted(from_toggles(done.toggles()), self.shape, self.order)
