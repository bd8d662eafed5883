"""The best value of a curve, for images that it was not measured on: a plateau's middle."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class Curve:
    """Scores over the values of one parameter, all others fixed.

    Attributes:
        values: ascending; a first 0 may mean that nothing is done.
        scores: of each.
        plateau: the lowest and the highest value of the widest stretch whose scores are all within
            the tolerance of the best.
        chosen: its middle; or 0, where doing nothing is on a plateau.
    """

    values: tuple[float, ...]
    scores: tuple[float, ...]
    plateau: tuple[float, float]
    chosen: float

    @property
    def best(self) -> float:
        """The value with the highest score; of equal ones the first. It may be a spike."""
        return self.values[int(np.argmax(_numbers(self.scores)))]

    @property
    def score(self) -> float:
        """The score of the chosen value."""
        return self.scores[self.values.index(self.chosen)]


def choose(values: Sequence[float], scores: Sequence[float], tolerance: float) -> Curve:
    """Find the plateau of a curve, and its middle.

    Args:
        values: ascending. If the first one is 0 the parameter can be left out, and is, where that
            costs no more than the tolerance; the others then are sizes, and their middle is that of
            their logarithms.
        scores: of each; not-a-number is worse than any.
        tolerance: how much below the best score still counts as good.

    Example:
        >>> choose([0.1, 0.2, 0.3, 0.4, 0.5], [0.0, 0.7, 0.7, 0.7, 0.1], 0.01).chosen
        0.3
        >>> choose([0, 10, 100], [0.7, 0.7, 0.1], 0.01).chosen
        0
    """
    numbers = _numbers(scores)
    good = numbers >= numbers.max() - tolerance
    can_go, place = values[0] == 0, np.asarray(values, float)
    if can_go:
        place = np.log(np.maximum(place, 0.5))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]])))
    runs = [(first, stop - 1) for first, stop in zip(edges[::2], edges[1::2], strict=True)]
    first, last = max(runs, key=lambda run: place[run[1]] - place[run[0]])
    if can_go and good[0]:
        first, last = runs[0]
        middle = 0
    else:
        aim = (place[first] + place[last]) / 2
        middle = first + int(np.argmin(np.abs(place[first : last + 1] - aim)))
    return Curve(tuple(values), tuple(scores), (values[first], values[last]), values[middle])


def explore(
    values: Sequence[float],
    score: Callable[[Sequence[float]], Sequence[float]],
    between: Callable[[float, float], Sequence[float]],
    tolerance: float,
    below: float | None = None,
) -> Curve:
    """Score coarse values, then those between the best one and its neighbours.

    Args:
        values: the coarse ones, ascending.
        score: gives the scores of values.
        between: gives the values to try between two, ascending, without the two.
        tolerance: as for `choose`.
        below: the neighbour of the first value; it has none by default.
    """
    known = dict(zip(values, score(values), strict=True))
    best = int(np.argmax(_numbers(list(known.values()))))
    near = list(values[max(best - 1, 0) : best + 2])
    if best == 0 and below is not None:
        near.insert(0, below)
    fine = [value for one, two in pairwise(near) for value in between(one, two)]
    known |= dict(zip(fine, score(fine), strict=True))
    ordered = sorted(known)
    return choose(ordered, [known[value] for value in ordered], tolerance)


def _numbers(scores: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    numbers = np.asarray(scores, np.float64)
    return np.where(np.isnan(numbers), -np.inf, numbers)
