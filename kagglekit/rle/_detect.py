"""In which order and from which number does a file count its pixels?

Reading runs in the wrong order or from the wrong base raises no error: it costs the score.
The strings themselves tell. In the true order a run usually lies beside another one on the
next line; and in the true base runs end where lines end, instead of one pixel around the corner.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kagglekit.errors import RLEError
from kagglekit.rle._arrays import Ints, Order, Shape
from kagglekit.rle._text import INTEGER, is_missing

_MARGIN = 0.02  # how much larger a share of the pixels must have neighbours in the winning order
_MAJORITY = 0.95  # of the strings that lean to one side must lean to the same
_FEWEST = 5  # runs around the corner; fewer say nothing about the base
_RATIO = 4  # times as many in the other base


@dataclass(frozen=True, slots=True)
class Detection:
    """What a set of strings says about how it was written.

    Attributes:
        order: "F" or "C"; None when undecided.
        base: 1 or 0, the number of the first pixel; None when undecided.
        evidence: why, a line for each of the two.
    """

    order: Order | None
    base: int | None
    evidence: tuple[str, str]

    def __str__(self) -> str:
        order, base = (
            value if value is not None else "undecided" for value in (self.order, self.base)
        )
        return f"order {order}: {self.evidence[0]}\nbase {base}: {self.evidence[1]}"


def detect(strings: Iterable[str | float | None], shapes: Sequence[Shape]) -> Detection:
    """Find the order and the base of `start length` strings.

    Args:
        strings: as in the CSV file; missing, empty and unreadable ones are passed over.
        shapes: (height, width) of each one's image. Square images say nothing about the order.

    Returns:
        What was found, with the evidence; undecided is an answer.

    Raises:
        RLEError: there are not as many shapes as strings.

    Example:
        >>> box = "12 4 22 4 32 4"
        >>> print(detect([box, box], [(10, 25), (10, 25)]))
        order F: 2 strings have more pixels beside each other in order F, 0 in order C
        base undecided: 0 runs go around a corner read from 1, 0 read from 0
    """
    texts = list(strings)
    if len(texts) != len(shapes):
        raise RLEError(f"{len(texts)} strings have {len(shapes)} shapes: one each is needed")
    read = [
        (runs, shape) for text, shape in zip(texts, shapes, strict=True) if (runs := _read(text))
    ]
    order, why_order = _find_order(read)
    base, why_base = _find_base(read, order)
    return Detection(order, base, (why_order, why_base))


_Read = tuple[Ints, Ints]


def _read(text: str | float | None) -> _Read | None:
    if is_missing(text):
        return None
    tokens = str(text).split()
    if not tokens or len(tokens) % 2 or not all(map(INTEGER.fullmatch, tokens)):
        return None
    numbers = np.array([min(int(token), 1 << 60) for token in tokens], np.int64)
    order = np.argsort(numbers[0::2], kind="stable")
    return numbers[0::2][order], numbers[1::2][order]


def _find_order(read: Sequence[tuple[_Read, Shape]]) -> tuple[Order | None, str]:
    down = along = runs_in_all = 0
    lean_of_all = 0.0
    for runs, (height, width) in read:
        if height == width:
            continue
        lean = _beside(*runs, height) - _beside(*runs, width)
        down += lean > _MARGIN
        along += lean < -_MARGIN
        runs_in_all += len(runs[0])
        lean_of_all += lean * len(runs[0])
    why = f"{down} strings have more pixels beside each other in order F, {along} in order C"
    if not read or all(height == width for _, (height, width) in read):
        return None, "only images that are not square can tell, and there is none"
    if max(down, along) == 0 or max(down, along) < _MAJORITY * (down + along):
        return None, why
    # Noise leans to either side by chance: hardly ever by 1.5 standard deviations.
    if abs(lean_of_all) / runs_in_all < _MARGIN + 1.5 * (0.5 / runs_in_all) ** 0.5:
        return None, f"{why}, no more than noise would"
    return ("F" if down > along else "C"), why


def _beside(starts: Ints, lengths: Ints, line: int) -> float:
    """Return the share of pixels that are still in the mask when it is moved on by one line."""
    ends = starts + lengths
    filled = np.cumsum(lengths)
    # How many pixels of the mask lie before a place: linear between the ends of the runs.
    places = np.column_stack((starts, ends)).ravel()
    before = np.column_stack((filled - lengths, filled)).ravel()
    moved = np.interp(ends + line, places, before) - np.interp(starts + line, places, before)
    return float(moved.sum() / filled[-1])


def _find_base(read: Sequence[tuple[_Read, Shape]], order: Order | None) -> tuple[int | None, str]:
    around = {1: 0, 0: 0}
    outside = {1: 0, 0: 0}
    for (starts, lengths), (height, width) in read:
        lines = {"F": [height], "C": [width], None: [height] if height == width else []}[order]
        for base in (1, 0):
            begin = starts - base
            outside[base] += int(((begin < 0) | (begin + lengths > height * width)).sum())
            for line in lines:
                short = lengths < line
                corner = begin // line != (begin + lengths - 1) // line
                around[base] += int((short & corner).sum())
    if bool(outside[1]) != bool(outside[0]):
        base = 0 if outside[1] else 1
        return (
            base,
            f"{outside[1 - base]} runs leave their image read from {1 - base}, none from {base}",
        )
    why = f"{around[1]} runs go around a corner read from 1, {around[0]} read from 0"
    low = min((1, 0), key=lambda base: around[base])
    if around[1 - low] >= max(_FEWEST, _RATIO * around[low]):
        return low, why
    return None, why
