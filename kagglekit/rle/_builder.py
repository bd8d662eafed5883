"""RLEs of masks that never exist as a whole: from strips of rows, or from where pixels change."""

from typing import Any

import numpy as np

from kagglekit.errors import RLEError
from kagglekit.rle._arrays import Mask, Order, Positions, Shape, check_shape, from_toggles
from kagglekit.rle._core import RLE, trusted
from kagglekit.rle._encode import check_rows, join_changes, scan


def from_changes(shape: Shape, changes: list[Positions], first: Mask, last: Mask) -> RLE:
    """Make an RLE from the pixels that differ from the one above, wherever they were found.

    Args:
        shape: (height, width) of the mask, in pixels.
        changes: arrays of flat 0-based positions down the columns, `x * height + y` with y of at
            least 1, each position once, in any order, but faster if each array is sorted; uint32 or
            int64, all alike. The list is emptied.
        first: (width,) bool, the first row of the mask.
        last: (width,) bool, its last row.

    Returns:
        The mask, order "F".

    Raises:
        RLEError: the shape is not one, or a row is not as wide.

    Example:
        >>> mask = np.array([[0, 1, 1], [0, 1, 0], [0, 1, 0], [1, 0, 0]], bool)
        >>> y, x = np.nonzero(mask[1:] != mask[:-1])
        >>> from_changes((4, 3), [x * 4 + y + 1], mask[0], mask[-1]).to_text()
        '4 4 9 1'
    """
    check_shape(shape, "F")
    height, width = shape
    if len(first) != width or len(last) != width:
        raise RLEError(
            f"the first row has {len(first)} pixels and the last {len(last)}: the mask has {width}"
        )
    return trusted(from_toggles(join_changes(height, changes, first, last)), shape, "F")


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
