"""Looks that know nothing of stains: the mean and the spread of colours."""

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from kagglekit.stain._density import Bytes, Floats, check_rgb

# Less than this, in units of L, a and b or in levels, is how numbers are rounded: dividing by it
# would make a picture of noise of one of greys, or of one colour.
_LEAST_SPREAD = 1.0


@dataclass(frozen=True)
class ReinhardLook:
    """Mean and standard deviation of lightness and of the two opponent colours.

    Reinhard et al., "Color transfer between images", 2001; in CIELAB, as is usual for tissue.

    Attributes:
        mean: of L (0 to 100), a and b (about ±127).
        std: of the same.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @classmethod
    def fit(cls, colours: Bytes) -> Self:
        """Fit to (n, 3) uint8 RGB."""
        lab = _to_lab(colours[None]).reshape(-1, 3).astype(np.float64)
        mean, std = lab.mean(axis=0).tolist(), lab.std(axis=0).tolist()
        return cls((mean[0], mean[1], mean[2]), (std[0], std[1], std[2]))

    def convert(self, pixels: Bytes, target: Self) -> Bytes:
        """Give pixels, (h, w, 3) uint8 of this look, the target's mean and spread.

        What hardly varies here gets the mean only.
        """
        check_rgb(pixels)
        varies = np.array(self.std) >= _LEAST_SPREAD
        gain = np.where(varies, target.std, 1) / np.where(varies, self.std, 1)
        shift = np.array(target.mean) - gain * np.array(self.mean)
        lab = _to_lab(pixels) * gain.astype(np.float32) + shift.astype(np.float32)
        return _to_levels(255 * cv2.cvtColor(lab, cv2.COLOR_LAB2RGB))


@dataclass(frozen=True)
class ColourLook:
    """Mean and covariance of the colours.

    Pitié and Kokaram, "The linear Monge-Kantorovitch linear colour mapping for example-based colour
    transfer", 2007: of all linear maps that give the target's mean and covariance, the one that
    changes colours least.

    Attributes:
        mean: of red, green and blue, 0 to 255.
        covariance: (3, 3), of the same.
    """

    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]

    @classmethod
    def fit(cls, colours: Bytes) -> Self:
        """Fit to (n, 3) uint8 RGB."""
        values = colours.astype(np.float64)
        covariance = np.cov(values, rowvar=False, bias=True)
        return cls(tuple(values.mean(axis=0).tolist()), tuple(map(tuple, covariance.tolist())))

    def convert(self, pixels: Bytes, target: Self) -> Bytes:
        """Give pixels, (h, w, 3) uint8 of this look, the target's mean and covariance."""
        check_rgb(pixels)
        root = _root(np.array(self.covariance), _LEAST_SPREAD**2)
        inverse = np.linalg.inv(root)
        turn = inverse @ _root(root @ np.array(target.covariance) @ root) @ inverse
        shift = np.array(target.mean) - np.array(self.mean) @ turn
        values = pixels.astype(np.float32) @ turn.astype(np.float32) + shift.astype(np.float32)
        return _to_levels(values)


def _to_lab(pixels: Bytes) -> Floats:
    lab = cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.asarray(lab, np.float32)


def _to_levels(values: Floats) -> Bytes:
    levels: Bytes = np.rint(values).clip(0, 255).astype(np.uint8)
    return levels


def _root(matrix: npt.NDArray[np.float64], least: float = 0) -> npt.NDArray[np.float64]:
    """Return the symmetric square root of a symmetric positive matrix, of eigenvalues >= least."""
    values, vectors = np.linalg.eigh(matrix)
    root: npt.NDArray[np.float64] = (vectors * np.sqrt(np.maximum(values, least))) @ vectors.T
    return root
