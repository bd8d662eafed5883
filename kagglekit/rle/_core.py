"""The RLE: a mask as its runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from kagglekit.errors import RLEError
from kagglekit.rle import _geometry, _sets, _text
from kagglekit.rle._arrays import (
    NO_INTS,
    Bytes,
    Ints,
    Mask,
    Order,
    Runs,
    Shape,
    check_shape,
    check_window,
    from_toggles,
    integers,
)
from kagglekit.rle._decode import paint_across, paint_along
from kagglekit.rle._encode import check_rows, scan

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RLE:
    """A mask of `shape` (height, width), kept as sorted runs of foreground pixels.

    Immutable. Runs are canonical: sorted by start, not overlapping, not touching. All
    operations work on the runs; memory and time grow with their number, not with the area.

    Attributes:
        starts: int64, flat 0-based position of each run's first pixel, in `order`.
        lengths: int64, pixels of each run, at least 1.
        shape: (height, width) in pixels.
        order: "F" counts down the columns (Kaggle's usual), "C" along the rows.

    Raises:
        RLEError: the runs are unsorted, overlap, or leave the mask.

    Example:
        >>> mask = RLE.from_text("1 3 10 5", shape=(5, 4))
        >>> mask
        RLE(2 runs, area 8, shape (5, 4), order 'F')
        >>> mask.to_mask()
        array([[1, 0, 1, 0],
               [1, 0, 1, 0],
               [1, 0, 1, 0],
               [0, 0, 1, 0],
               [0, 1, 0, 0]], dtype=uint8)
        >>> (mask & ~mask).to_text()
        ''
    """

    starts: Ints
    lengths: Ints
    shape: Shape
    order: Order = "F"

    def __post_init__(self) -> None:
        check_shape(self.shape, self.order)
        starts, lengths = integers(self.starts, "starts"), integers(self.lengths, "lengths")
        if len(starts) != len(lengths):
            raise RLEError(f"there are {len(starts)} starts and {len(lengths)} lengths")
        pixels = self.shape[0] * self.shape[1]
        if _text.out_of_order(starts, lengths, pixels):
            tokens = list(map(str, np.stack([starts + 1, lengths], axis=1).ravel()))
            raise _text.refusal(tokens, pixels, f"runs of shape {self.shape}, order {self.order!r}")
        _set(self, _sets.merge_touching(starts, lengths), self.shape, self.order)

    # Making one

    @staticmethod
    def empty(shape: Shape, order: Order = "F") -> "RLE":
        """Return the mask without a pixel.

        Example:
            >>> RLE.empty((3, 2)).area
            0
        """
        check_shape(shape, order)
        return trusted((NO_INTS, NO_INTS), shape, order)

    @staticmethod
    def from_mask(mask: Mask, order: Order = "F") -> "RLE":
        """Encode a mask, whatever its strides, without copying it.

        Args:
            mask: (height, width), bool or integer; 0 is background, one other value
                (1, 255, …) is foreground.
            order: the order of the runs.

        Raises:
            RLEError: the mask is not two-dimensional, holds floats, or is a label image.

        Example:
            >>> RLE.from_mask(np.array([[0, 255], [255, 255]], np.uint8)).to_text()
            '2 3'
        """
        check_rows(mask, "the mask")
        shape = (mask.shape[0], mask.shape[1])
        check_shape(shape, order)
        # A mask that lies in memory column by column is its transpose lying row by row.
        if mask.flags.f_contiguous and not mask.flags.c_contiguous:
            changes = scan(shape[::-1], "C" if order == "F" else "F")
            changes.push(mask.T)
        else:
            changes = scan(shape, order)
            changes.push(mask)
        return trusted(from_toggles(changes.toggles()), shape, order)

    @staticmethod
    def from_text(text: str | float | None, shape: Shape, order: Order = "F") -> "RLE":
        """Read Kaggle's `start length start length …`, 1-based, strictly.

        Args:
            text: the text; '', None and NaN (how pandas reads an empty cell) are empty masks.
            shape: (height, width) of the image, in pixels.
            order: "F" or "C", as the competition writes it.

        Raises:
            RLEError: naming every run that is wrong.
        """
        check_shape(shape, order)
        if _text.is_missing(text):
            return RLE.empty(shape, order)
        if not isinstance(text, str):
            raise _text.not_text(text)
        where = f"RLE text for shape {shape}, order {order!r}"
        return trusted(_text.parse(text, shape[0] * shape[1], where), shape, order)

    # What it is

    @property
    def area(self) -> int:
        """Foreground pixels."""
        return int(self.lengths.sum())

    @property
    def bbox(self) -> tuple[int, int, int, int] | None:
        """The smallest (y0, y1, x0, x1), half-open, that holds every pixel; None when empty."""
        if not len(self):
            return None
        y, x = self._near_far(*_geometry.extent(*self._runs, self._line))
        return (*y, *x)

    @property
    def centroid(self) -> tuple[float, float] | None:
        """The mean (y, x) of the pixels, in pixels; None when empty."""
        if not len(self):
            return None
        return self._near_far(*_geometry.centre(*self._runs, self._line))

    def __len__(self) -> int:
        return len(self.starts)

    def __repr__(self) -> str:
        is_ = f"{len(self)} runs, area {self.area}, shape {self.shape}, order {self.order!r}"
        return f"RLE({is_})"

    def __eq__(self, other: object) -> bool:
        """Whether both cover the same pixels of the same shape; the order may differ."""
        if not isinstance(other, RLE):
            return NotImplemented
        if self.shape != other.shape or self.area != other.area:
            return False
        starts, lengths = self._runs_of(other)
        return np.array_equal(self.starts, starts) and np.array_equal(self.lengths, lengths)

    def __hash__(self) -> int:
        return hash((self.shape, self.area, self.bbox))  # the same in either order

    @property
    def _line(self) -> int:
        """Pixels of one line of the scan: a column for "F", a row for "C"."""
        return self._near_far(*self.shape)[0]

    def _near_far(self, y: T, x: T) -> tuple[T, T]:
        """Return what belongs to the direction of the lines first, and back again."""
        return (y, x) if self.order == "F" else (x, y)

    @property
    def _runs(self) -> Runs:
        return self.starts, self.lengths

    # Pixels and text

    def to_text(self) -> str:
        """Return Kaggle's text: 1-based `start length …`; '' when empty."""
        return _text.write(self.starts, self.lengths)

    def to_mask(self, window: tuple[int, int, int, int] | None = None) -> Bytes:
        """Return the mask, or its window (y0, y1, x0, x1): uint8, 0 or 1, C-contiguous."""
        if window is not None:
            return self.window(*window)
        height, width = self.shape
        if self.order == "C":
            return paint_along(*self._runs, width, height)
        return paint_across(*self._runs, height, (0, height), (0, width))

    def window(self, y0: int, y1: int, x0: int, x1: int) -> Bytes:
        """Return the pixels of one window, decoding nothing else.

        Args:
            y0: first row.
            y1: one past the last, at most the height.
            x0: first column.
            x1: one past the last, at most the width.

        Returns:
            (y1 - y0, x1 - x0), uint8, 0 or 1, C-contiguous.

        Raises:
            RLEError: the window is empty or leaves the mask.
        """
        if self.order == "C":
            return self.crop(y0, y1, x0, x1).to_mask()
        check_window(self.shape, y0, y1, x0, x1)
        return paint_across(*self._runs, self.shape[0], (y0, y1), (x0, x1))

    # Geometry

    def crop(self, y0: int, y1: int, x0: int, x1: int) -> "RLE":
        """Return the mask of one window, as runs.

        Raises:
            RLEError: the window is empty or leaves the mask.
        """
        check_window(self.shape, y0, y1, x0, x1)
        runs = _geometry.crop(*self._runs, self._line, *self._near_far((y0, y1), (x0, x1)))
        return trusted(runs, (y1 - y0, x1 - x0), self.order)

    def paste(self, patch: "RLE", y0: int, x0: int) -> "RLE":
        """Return this mask with a window replaced by `patch`, whose first pixel comes to (y0, x0).

        Raises:
            RLEError: the patch leaves the mask.
        """
        y1, x1 = y0 + patch.shape[0], x0 + patch.shape[1]
        check_window(self.shape, y0, y1, x0, x1)
        runs = _geometry.rectangle(self._line, *self._near_far((y0, y1), (x0, x1)))
        rest = self - trusted(runs, self.shape, self.order)
        height, width = self.shape
        return rest | patch.reorder(self.order).pad(y0, height - y1, x0, width - x1)

    def pad(self, top: int, bottom: int, left: int, right: int) -> "RLE":
        """Return the mask with so many rows and columns of background around it.

        Raises:
            RLEError: a number is negative.
        """
        if min(top, bottom, left, right) < 0:
            raise RLEError(
                f"padding is {top}, {bottom}, {left}, {right} pixels: none can be negative",
                hint="use crop to make a mask smaller",
            )
        shape = (self.shape[0] + top + bottom, self.shape[1] + left + right)
        line, _ = self._near_far(*shape)
        runs = _geometry.place(self._runs, self._line, line, *self._near_far(top, left))
        return trusted(runs, shape, self.order)

    def flip(self, axis: int) -> "RLE":
        """Return the mask upside down (axis 0) or mirrored left to right (axis 1), as np.flip.

        Raises:
            RLEError: another axis.
        """
        if axis not in (0, 1):
            raise RLEError(f"axis is {axis!r}: it is 0 (upside down) or 1 (left to right)")
        if (axis == 0) == (self.order == "F"):
            runs = _geometry.flip_near(*self._runs, self._line)
        else:
            runs = _geometry.flip_far(*self._runs, *self._near_far(*self.shape))
        return trusted(runs, self.shape, self.order)

    def rot90(self, times: int = 1) -> "RLE":
        """Return the mask turned by `times` quarters, anticlockwise, as np.rot90."""
        turned = self.flip(0).flip(1) if times % 4 >= 2 else self
        return turned.transpose().flip(0) if times % 2 else turned

    def resize(self, shape: Shape) -> "RLE":
        """Return the mask at another size, by whole factors per side.

        Larger: every pixel becomes a block. Smaller: of every block its first pixel stays,
        like OpenCV's INTER_NEAREST.

        Args:
            shape: (height, width); each a multiple of this mask's, or a whole part of it.

        Raises:
            RLEError: a side is neither.

        Example:
            >>> RLE.from_text("2 1", shape=(2, 1)).resize((4, 1)).to_text()
            '3 2'
        """
        check_shape(shape, self.order)
        if any(new % old and old % new for new, old in zip(shape, self.shape, strict=True)):
            raise RLEError(
                f"shape {self.shape} cannot become {shape}: a side is no whole multiple or part",
                hint="decode with to_mask() and use cv2.resize with INTER_NEAREST",
            )
        down = [max(1, old // new) for new, old in zip(shape, self.shape, strict=True)]
        up = [max(1, new // old) for new, old in zip(shape, self.shape, strict=True)]
        near, far = self._near_far(*down)
        runs = _geometry.shrink(*self._runs, self._line, near, far)
        runs = _geometry.enlarge(*runs, self._line // near, *self._near_far(*up))
        return trusted(runs, shape, self.order)

    def transpose(self) -> "RLE":
        """Return the mask with rows and columns exchanged, in the same order."""
        other: Order = "C" if self.order == "F" else "F"
        flipped = trusted(self._runs, self.shape[::-1], other)
        return flipped.reorder(self.order)

    def reorder(self, order: Order) -> "RLE":
        """Return the same pixels as runs in the other order, without decoding them."""
        if order == self.order:
            return self
        check_shape(self.shape, order)
        runs = _geometry.turn(*self._runs, *self._near_far(*self.shape))
        return trusted(runs, self.shape, order)

    # Sets

    def __or__(self, other: "RLE") -> "RLE":
        return self._combine(other, np.logical_or)

    def __and__(self, other: "RLE") -> "RLE":
        return self._combine(other, np.logical_and)

    def __sub__(self, other: "RLE") -> "RLE":
        return self._combine(other, np.greater)

    def __xor__(self, other: "RLE") -> "RLE":
        return self._combine(other, np.logical_xor)

    def __invert__(self) -> "RLE":
        runs = _sets.complement(self._runs, self.shape[0] * self.shape[1])
        return trusted(runs, self.shape, self.order)

    def dice(self, other: "RLE", empty: float = 1.0) -> float:
        """Return 2·|A∩B| / (|A| + |B|), in [0, 1].

        Args:
            other: a mask of the same shape, in either order.
            empty: what it is when both masks are empty; competitions differ.

        Raises:
            RLEError: the shapes differ.
        """
        total = self.area + other.area
        shared = self._overlap(other)
        return 2 * shared / total if total else empty

    def iou(self, other: "RLE", empty: float = 1.0) -> float:
        """Return |A∩B| / |A∪B|, in [0, 1]; `empty` when both masks are empty.

        Raises:
            RLEError: the shapes differ.
        """
        shared = self._overlap(other)
        union = self.area + other.area - shared
        return shared / union if union else empty

    def _overlap(self, other: "RLE") -> int:
        return _sets.overlap(self._runs, self._runs_of(other))

    def _combine(self, other: "RLE", inside: Callable[..., Any]) -> "RLE":
        runs = _sets.combine(self._runs, self._runs_of(other), inside)
        return trusted(runs, self.shape, self.order)

    def _runs_of(self, other: "RLE") -> Runs:
        """Return the other mask's runs in this one's order."""
        if self.shape != other.shape:
            raise RLEError(
                f"masks of shape {self.shape} and {other.shape} cannot be combined",
                hint="crop, pad or resize one of them first",
            )
        return other.reorder(self.order)._runs


def trusted(runs: Runs, shape: Shape, order: Order) -> RLE:
    """Make an RLE of runs known to be canonical, without checking them again."""
    rle = object.__new__(RLE)
    _set(rle, runs, shape, order)
    return rle


def _set(rle: RLE, runs: Runs, shape: Shape, order: Order) -> None:
    starts, lengths = runs
    starts.flags.writeable = lengths.flags.writeable = False
    values = (starts, lengths, (int(shape[0]), int(shape[1])), order)
    for name, value in zip(RLE.__slots__, values, strict=True):
        object.__setattr__(rle, name, value)
