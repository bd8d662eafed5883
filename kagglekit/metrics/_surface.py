"""Surface Dice at tolerance 0, slice by slice: SenNet's metric."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kagglekit.metrics._cubes import surface_areas
from kagglekit.metrics._dice import same_shape
from kagglekit.rle import RLE

Squares = NDArray[np.uint8]


@dataclass(frozen=True)
class SurfaceSums:
    """What surface Dice is made of, in faces of a voxel.

    Attributes:
        shared: area of both surfaces where both pass.
        total: area of both surfaces.
    """

    shared: float
    total: float

    def __add__(self, other: "SurfaceSums") -> "SurfaceSums":
        return SurfaceSums(self.shared + other.shared, self.total + other.total)


def surface_sums(pred: Iterable[RLE], truth: Iterable[RLE]) -> SurfaceSums:
    """Measure the surfaces of two volumes, and what they share.

    Between any eight voxels lies a cube that either surface passes or not, with the area that
    `docs/metrics.md` describes. At tolerance 0 a piece of one surface is right where the other
    passes the same cube. Outside the volume everything is empty. In memory are two slices of
    each volume, at three bytes for each pixel.

    Args:
        pred: the predicted mask of each slice, in order; an iterator will do.
        truth: the true mask of each slice; all of one shape.

    Raises:
        RLEError: shapes differ.
        ValueError: the numbers of slices differ.

    Example:
        >>> one = RLE.from_text("1 1", (1, 1))
        >>> sums = surface_sums([one], [one])
        >>> sums.shared == sums.total
        True
    """
    sums, before = SurfaceSums(0.0, 0.0), None
    for masks in zip(pred, truth, strict=True):
        same_shape(masks[0].shape, masks[1].shape)
        here = _squares(masks)
        sums += _layer(np.zeros_like(here) if before is None else before, here)
        before = here
    return sums if before is None else sums + _layer(before, np.zeros_like(before))


def surface_dice(volumes: Iterable[SurfaceSums], empty: float = 1.0) -> float:
    """Return the mean over volumes of the share of surface that is right, from 0 to 1.

    Args:
        volumes: the surfaces of each volume (SenNet: each kidney).
        empty: the score of a volume when neither prediction nor truth has a voxel.

    Raises:
        ValueError: there is no volume.

    Example:
        >>> surface_dice([SurfaceSums(shared=3.0, total=6.0), SurfaceSums(0.0, 0.0)])
        0.75
    """
    scores = [each.shared / each.total if each.total else empty for each in volumes]
    if not scores:
        raise ValueError("surface Dice of no volumes is not defined")
    return sum(scores) / len(scores)


def _layer(before: Squares, here: Squares) -> SurfaceSums:
    """Return the surfaces in the cubes between two neighbouring slices."""
    same_shape(before.shape, here.shape)
    codes = (before << 4 | here).reshape(2, -1)
    # All or nothing, 255 or 0, become 0 and 1 in a uint8: there is no surface.
    where = np.flatnonzero(np.logical_or(*(codes + np.uint8(1) > 1)))
    in_pred, in_truth = surface_areas()[np.take(codes, where, axis=1)]
    area = in_pred + in_truth
    return SurfaceSums(float(area[(in_pred > 0) & (in_truth > 0)].sum()), float(area.sum()))


def _squares(masks: tuple[RLE, RLE]) -> Squares:
    """Return four bits for each 2 × 2 pixels: (2, height + 1, width + 1), empty all around."""
    pixels = np.pad(np.stack([mask.to_mask() for mask in masks]), ((0, 0), (1, 1), (1, 1)))
    upper, lower = pixels[:, :-1], pixels[:, 1:]
    squares = upper[..., :-1] << 3 | upper[..., 1:] << 2 | lower[..., :-1] << 1 | lower[..., 1:]
    return squares.astype(np.uint8, copy=False)
