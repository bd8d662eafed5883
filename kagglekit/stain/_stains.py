"""Looks of two stains: the colour of each, and how strong it gets."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from kagglekit.stain._density import Bytes, check_rgb, to_density, to_pixels

Stains = npt.NDArray[np.float64]

# Mean density below which a pixel counts as empty glass. Macenko asks for 0.15 in every channel,
# which leaves out all that is stained with pure eosin: it lets red light through.
_STAINED = 0.15
_EXTREME = 1.0  # per cent of the directions left out at either end, as noise
_FULL = 99.0  # per cent: the concentration that counts as a stain's strongest
_SPARSITY = 0.02  # weight of the concentrations' sum against the squared error of the density
_ROUNDS = 200


@dataclass(frozen=True)
class StainLook:
    """Two stains: the colour of each, and its strongest concentration.

    Attributes:
        stains: (2, 3) density of each in red, green, blue; unit length, the bluer one first
            (haematoxylin, then eosin or PAS).
        strongest: the concentration that 99 % of the stained pixels stay below.
    """

    stains: tuple[tuple[float, ...], ...]
    strongest: tuple[float, float]

    @classmethod
    def fit_macenko(cls, colours: Bytes) -> Self:
        """Fit to (n, 3) uint8 RGB: the outermost directions in the plane of the densities.

        Macenko et al., "A method for normalizing histology slides for quantitative analysis", 2009.

        Raises:
            ValueError: hardly a pixel is stained.
        """
        density = _stained(colours)
        return cls._of(_outermost(density), density)

    @classmethod
    def fit_vahadane(cls, colours: Bytes) -> Self:
        """Fit to (n, 3) uint8 RGB: the two stains that explain the densities with little of each.

        Vahadane et al., "Structure-preserving color normalization and sparse stain separation for
        histological images", 2016: a sparse non-negative factorisation, begun at Macenko's answer.

        Raises:
            ValueError: hardly a pixel is stained.
        """
        density = _stained(colours)
        return cls._of(_sparsest(density, _outermost(density)), density)

    @classmethod
    def _of(cls, stains: Stains, density: npt.NDArray[np.float64]) -> Self:
        # Haematoxylin takes more red light, in proportion, than eosin does.
        stains = stains[np.argsort(-stains[:, 0])]
        first, second = np.percentile(density @ np.linalg.pinv(stains), _FULL, axis=0).tolist()
        return cls(tuple(map(tuple, stains.tolist())), (max(first, 1e-3), max(second, 1e-3)))

    def convert(self, pixels: Bytes, target: Self) -> Bytes:
        """Give pixels, (h, w, 3) uint8 of this look, the target's stains at the same share.

        What the two stains leave unexplained (ink, blood) is lost, as in the papers.
        """
        check_rgb(pixels)
        amounts = to_density(pixels) @ np.linalg.pinv(np.array(self.stains)).astype(np.float32)
        gain = np.array(target.strongest) / np.array(self.strongest)
        mixed = (gain[:, None] * np.array(target.stains)).astype(np.float32)
        return to_pixels(np.maximum(amounts, 0) @ mixed)


def _stained(colours: Bytes) -> npt.NDArray[np.float64]:
    density = to_density(colours).astype(np.float64)
    stained: npt.NDArray[np.float64] = density[density.mean(axis=1) > _STAINED]
    if len(stained) < 100:
        raise ValueError(
            f"{len(stained)} of {len(colours)} pixels are stained (mean density above {_STAINED}); "
            "at least 100 are needed: fit to a part with tissue"
        )
    return stained


def _outermost(density: npt.NDArray[np.float64]) -> Stains:
    # Not of the densities' deviations from their mean: the plane of two stains holds the origin.
    _, vectors = np.linalg.eigh(density.T @ density)
    plane = vectors[:, :0:-1]  # the two largest; the first is the mean colour, or its opposite
    plane[:, 0] *= np.sign(plane[:, 0].sum())
    flat = density @ plane
    angles = np.arctan2(flat[:, 1], flat[:, 0])
    ends = np.percentile(angles, [_EXTREME, 100 - _EXTREME])
    directions = np.stack([np.cos(ends), np.sin(ends)], axis=1) @ plane.T
    return _unit(np.maximum(directions, 1e-6))


def _sparsest(density: npt.NDArray[np.float64], stains: Stains) -> Stains:
    """Minimise |density - amounts @ stains|² / 2 + sparsity · sum(amounts), everything ≥ 0.

    One column of amounts and one stain at a time, each at its own exact minimum (HALS: Cichocki and
    Phan, "Fast local algorithms for large scale nonnegative matrix and tensor factorizations",
    2009).
    """
    amounts = np.maximum(density @ np.linalg.pinv(stains), 0)
    for _ in range(_ROUNDS):
        for i in (0, 1):
            rest = density - np.outer(amounts[:, 1 - i], stains[1 - i])
            amounts[:, i] = np.maximum(rest @ stains[i] - _SPARSITY, 0)
            if amounts[:, i].any():
                stains[i] = np.maximum(amounts[:, i] @ rest, 1e-9)
                stains[i] /= np.linalg.norm(stains[i])
    return stains


def _unit(rows: Stains) -> Stains:
    unit: Stains = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
