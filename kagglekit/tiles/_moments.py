"""Mean and standard deviation of more pixels than fit into memory."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt


@dataclass
class Moments:
    """Count, mean and squared deviations per channel, of everything added so far.

    Welford, "Note on a method for calculating corrected sums of squares and products", 1962, whole
    chunks at a time as in Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for
    computing sample variances", 1979. A sum of squares less the square of a sum would cancel.

    Attributes:
        count: pixels.
        mean: one per channel; empty before the first pixels.
        squares: sum of squared deviations from the mean, one per channel.

    Example:
        >>> moments = Moments()
        >>> moments.add(np.array([[[0], [2]]]))
        >>> moments.add(np.array([[[4]]]))
        >>> moments.mean, [round(value, 4) for value in moments.std]
        ((2.0,), [1.633])
    """

    count: int = 0
    mean: tuple[float, ...] = ()
    squares: tuple[float, ...] = ()

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation per channel, of the pixels themselves (not an estimate from them)."""
        return tuple((value / self.count) ** 0.5 for value in self.squares)

    def add(self, pixels: npt.NDArray[Any]) -> None:
        """Add (h, w, C) pixels of any real dtype, at least one."""
        values = pixels.reshape(-1, pixels.shape[-1])
        mean = values.mean(axis=0, dtype=np.float64)
        squares = values.var(axis=0, dtype=np.float64) * len(values)
        self.merge(type(self)(len(values), tuple(mean.tolist()), tuple(squares.tolist())))

    def merge(self, other: Self) -> None:
        """Add everything that was added to another.

        Raises:
            ValueError: it has another number of channels.
        """
        if not self.count or not other.count:
            if other.count:
                self.count, self.mean, self.squares = other.count, other.mean, other.squares
            return
        if len(self.mean) != len(other.mean):
            raise ValueError(
                f"pictures of {len(self.mean)} and {len(other.mean)} channels have no common mean"
            )
        total = self.count + other.count
        far = np.array(other.mean) - np.array(self.mean)
        mean = np.array(self.mean) + far * (other.count / total)
        between = far**2 * (self.count * other.count / total)
        self.mean = tuple(mean.tolist())
        self.squares = tuple((np.array(self.squares) + np.array(other.squares) + between).tolist())
        self.count = total
