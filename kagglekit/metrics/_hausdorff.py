"""Hausdorff distance of volumes given as slices, and UW-Madison's mix of it with Dice."""

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from kagglekit.metrics._dice import DiceSums, dice_score, same_shape
from kagglekit.rle import RLE

DICE_WEIGHT, HAUSDORFF_WEIGHT = 0.4, 0.6

_BLOCK = 16  # side in pixels of what one voxel is asked for first

Points = NDArray[np.float64]


def hausdorff(pred: Sequence[RLE], truth: Sequence[RLE]) -> float | None:
    """Return the Hausdorff distance of two volumes in the unit cube, over its diagonal: 0 to 1.

    A voxel (slice, row, column) lies at (slice / slices, row / height, column / width). The
    distance is that of the voxel, in one volume, which is farthest from the other volume. One
    slice is decoded at a time with its two neighbours; kept are the coordinates of the voxels at
    the surface of one volume (24 bytes each).

    Args:
        pred: the predicted mask of each slice, in order.
        truth: the true mask of each slice; all of one shape.

    Returns:
        The distance divided by √3; 1 when only one volume has a voxel; None when neither has.

    Raises:
        RLEError: shapes differ.
        ValueError: the numbers of slices differ.

    Example:
        >>> first, last = RLE.from_text("1 1", (1, 4)), RLE.from_text("3 1", (1, 4))
        >>> round(hausdorff([first], [last]) * math.sqrt(3), 6)  # half the width
        0.5
    """
    if len(pred) != len(truth):
        raise ValueError(f"{len(pred)} predicted slices and {len(truth)} true ones: no volume")
    for rle in (*pred, *truth):
        same_shape(rle.shape, pred[0].shape)
    in_pred, in_truth = (any(rle.area for rle in volume) for volume in (pred, truth))
    if not in_pred and not in_truth:
        return None
    if not in_pred or not in_truth:
        return 1.0
    return max(_farthest(pred, truth), _farthest(truth, pred)) / math.sqrt(3)


def dice_and_hausdorff(
    rows: Iterable[DiceSums], volumes: Iterable[float | None], empty: float = math.nan
) -> float:
    """Return 0.4 · mean Dice + 0.6 · (1 − mean Hausdorff distance): UW-Madison's metric.

    Args:
        rows: the pixel counts of each slice and class.
        volumes: what `hausdorff` says of each case, day and class; where the classes are
            taken together, of each case and day.
        empty: what a row counts when prediction and truth are both empty, from 0 to 1; NaN
            leaves it out. Volumes where both are empty are always left out. A mean of nothing
            is 1.

    Example:
        >>> dice_and_hausdorff([DiceSums(1, 2, 2), DiceSums(0, 0, 0)], [0.1, None])
        0.74
    """
    scores = [dice_score(row, empty) for row in rows]
    dice = _mean([score for score in scores if not math.isnan(score)])
    near = _mean([1 - distance for distance in volumes if distance is not None])
    return DICE_WEIGHT * dice + HAUSDORFF_WEIGHT * near


def _mean(scores: Sequence[float]) -> float:
    return sum(scores) / len(scores) if scores else 1.0


def _farthest(volume: Sequence[RLE], other: Sequence[RLE]) -> float:
    """Return the largest distance of a voxel of one volume to the nearest voxel of the other."""
    from scipy.spatial import cKDTree

    # The nearest voxel is one at the surface: from any other a step leads nearer.
    tree = cKDTree(np.concatenate(list(_surface(other))))
    height, width = volume[0].shape
    diagonal = math.hypot(_BLOCK / height, _BLOCK / width)
    farthest = 0.0
    for z, (mine, its) in enumerate(zip(volume, other, strict=True)):
        outside = (mine - its).to_mask()  # what both have is at distance 0
        points = _points(outside, z, len(volume))
        if not len(points):
            continue
        # No voxel of a block is farther away than one of them is, by more than the block's
        # diagonal: where that does not reach the farthest so far, nobody has to ask.
        _, first, block = np.unique(_blocks(outside), return_index=True, return_inverse=True)
        distances, _ = tree.query(points[first])
        farthest = max(farthest, float(distances.max()))
        left = points[(distances + diagonal > farthest)[block]]
        if len(left):
            distances, _ = tree.query(left)
            farthest = max(farthest, float(distances.max()))
    return farthest


def _blocks(mask: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the number of the block that each pixel lies in: (pixels,), in their order."""
    y, x = np.nonzero(mask)
    numbers: NDArray[np.int64] = y // _BLOCK * mask.shape[1] + x // _BLOCK
    return numbers


def _surface(volume: Sequence[RLE]) -> Iterator[Points]:
    """Yield, slice by slice, the voxels that lack one of their six neighbours."""
    nothing = np.zeros(volume[0].shape, np.uint8)
    before, here = nothing, volume[0].to_mask()
    for z in range(len(volume)):
        after = volume[z + 1].to_mask() if z + 1 < len(volume) else nothing
        framed = np.pad(here, 1)
        inside = before & after & framed[:-2, 1:-1] & framed[2:, 1:-1]
        inside &= framed[1:-1, :-2] & framed[1:-1, 2:]
        yield _points(here & ~inside, z, len(volume))
        before, here = here, after


def _points(mask: NDArray[np.uint8], z: int, slices: int) -> Points:
    """Return where the pixels of a slice lie in the unit cube: (pixels, 3) of (z, y, x)."""
    y, x = np.nonzero(mask)
    return np.stack([np.full(len(y), z / slices), y / mask.shape[0], x / mask.shape[1]], axis=1)
