"""How competitions write a mask down: order, base and the sign for an empty one, as data."""

import warnings
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from kagglekit.errors import RLEError
from kagglekit.rle import _coco, _lenient, _text
from kagglekit.rle._arrays import Order, Runs, Shape, check_shape
from kagglekit.rle._core import RLE, trusted

Form = Literal["pairs", "gaps", "counts", "coco", "open-images"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way of writing a mask as text.

    Attributes:
        form: "pairs" is `start length …`; "gaps" is `gap length …`, each gap counted from the
            end of the run before; "counts" is COCO's list of counts; "coco" the same compressed;
            "open-images" that again through zlib and base64.
        order: "F" down the columns, "C" along the rows; COCO's forms are always "F".
        base: number of the first pixel, 1 or 0; only "pairs" have one.
        empty: how an empty mask is written. '' and a missing cell are always read as empty.

    Example:
        >>> sennet = Dialect(order="C", empty="1 0")
        >>> sennet.write(RLE.empty((2, 2)))
        '1 0'
        >>> sennet.read("1 0", shape=(2, 2)).area
        0
    """

    form: Form = "pairs"
    order: Order = "F"
    base: Literal[0, 1] = 1
    empty: str = ""

    def __post_init__(self) -> None:
        if self.form not in get_args(Form):
            raise RLEError(f"form is {self.form!r}: it is one of {', '.join(get_args(Form))}")
        if self.base not in (0, 1):
            raise RLEError(f"base is {self.base!r}: the first pixel is number 1 or 0")
        if self.order not in get_args(Order):
            raise RLEError(f"order is {self.order!r}: it is 'F' or 'C'")
        if self.order != "F" and self.form not in ("pairs", "gaps"):
            raise RLEError(
                f"order is {self.order!r}: {self.form!r} always runs down the columns, 'F'"
            )

    def read(self, text: str | float | None, shape: Shape, *, lenient: bool = False) -> RLE:
        """Read a mask of `shape` (height, width), strictly.

        Args:
            text: as in the CSV file; None and NaN are empty masks.
            shape: (height, width) in pixels.
            lenient: repair "pairs" that break the rules instead of refusing them, and say in a
                UserWarning what was repaired.

        Raises:
            RLEError: naming everything that is wrong.
        """
        check_shape(shape, self.order)
        if _text.is_missing(text):
            return RLE.empty(shape, self.order)
        if not isinstance(text, str):
            raise _text.not_text(text)
        if text.strip() in ("", self.empty):
            return RLE.empty(shape, self.order)
        where = f"RLE text for shape {shape}, order {self.order!r}"
        if self.form == "pairs":
            runs = self._read_pairs(text, shape[0] * shape[1], where, lenient)
        else:
            runs = _read_counts(text, self.form, shape[0] * shape[1], where)
        return trusted(runs, shape, self.order)

    def write(self, rle: RLE) -> str:
        """Return the mask as text, whatever order its runs are in."""
        if not len(rle):
            return self.empty
        rle = rle.reorder(self.order)
        runs = (rle.starts, rle.lengths)
        if self.form == "pairs":
            return _text.write(rle.starts, rle.lengths, self.base)
        counts = _coco.to_counts(runs, rle.shape[0] * rle.shape[1])
        if self.form == "gaps":
            counts = counts[: 2 * len(rle)]
        if self.form in ("gaps", "counts"):
            return " ".join(map(str, counts.tolist()))
        text = _coco.compress(counts)
        if self.form == "open-images":
            import base64
            import zlib

            return base64.b64encode(zlib.compress(text.encode("ascii"), 9)).decode("ascii")
        return text

    def _read_pairs(self, text: str, pixels: int, where: str, lenient: bool) -> Runs:
        if not lenient:
            return _text.parse(text, pixels, where, self.base)
        runs, repairs = _lenient.repair(text, pixels, where, self.base)
        if repairs:
            lines = "".join(f"\n  - {repair}" for repair in repairs)
            warnings.warn(f"{where}: repaired{lines}", stacklevel=3)
        return runs


def _read_counts(text: str, form: Form, pixels: int, where: str) -> Runs:
    """Read every form that says how many pixels follow each other."""
    if form == "open-images":
        text = _inflate(text, where)
    if form in ("coco", "open-images"):
        return _coco.from_counts(_coco.decompress(text, where), pixels, where)
    tokens = text.split()
    problems = [
        f"number {i} is `{token}`"
        for i, token in enumerate(tokens, 1)
        if not (token.isascii() and token.isdigit()) or float(token) > pixels
    ]
    if form == "gaps" and len(tokens) % 2:
        problems.append(f"the count of numbers, {len(tokens)}, is odd: gaps and lengths are pairs")
    if problems:
        raise RLEError(
            f"{where}: {form} are whole numbers from 0 to {pixels}",
            problems=problems[: _text.MAX_PROBLEMS],
        )
    counts = np.array(tokens, np.int64)
    if form == "gaps":  # what follows the last run is not written
        counts = np.append(counts, max(0, pixels - int(counts.sum())))
    return _coco.from_counts(counts, pixels, where)


def _inflate(text: str, where: str) -> str:
    import base64
    import zlib

    try:
        return zlib.decompress(base64.b64decode(text, validate=True)).decode("ascii")
    except (zlib.error, ValueError) as error:  # ValueError: not base64, or not ASCII
        raise RLEError(
            f"{where}: not zlib and base64 over COCO's counts ({error})",
            hint="a prediction string holds `class confidence mask` triples: pass the mask alone",
        ) from error
