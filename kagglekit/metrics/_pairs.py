"""Which predicted instances share pixels with which true ones, and how much of them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kagglekit.instances import sorted_runs, spread
from kagglekit.metrics._dice import same_shape
from kagglekit.rle import RLE

Ints = NDArray[np.int64]


class Pairs(NamedTuple):
    """The pairs of instances that share a pixel, in no order; three arrays of one length.

    Attributes:
        pred: int64, place of the predicted instance in its list.
        truth: int64, place of the true instance in its list.
        iou: float64, intersection over union, above 0 and at most 1.
    """

    pred: Ints
    truth: Ints
    iou: NDArray[np.float64]


def iou_pairs(pred: Sequence[RLE], truth: Sequence[RLE]) -> Pairs:
    """Return the intersection over union of each pair of instances that share a pixel.

    The table of all pairs is never made: memory grows with the runs and with the pairs that meet.
    Instances may be in any order, of any number, and may overlap.

    Args:
        pred: masks of one image.
        truth: masks of the same image.

    Raises:
        RLEError: shapes differ.
    """
    same_shapes([*pred, *truth])
    if not pred or not truth:
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    p, t = (sorted_runs([rle.reorder("F") for rle in rles]) for rles in (pred, truth))

    # Of two runs that share pixels, one starts inside the other; those that do are neighbours
    # when all are sorted by start. Two that start together count as the true one in the predicted.
    a, b = spread(
        np.searchsorted(t.start, p.start, side="left"), np.searchsorted(t.start, p.end, side="left")
    )
    d, c = spread(
        np.searchsorted(p.start, t.start, side="right"),
        np.searchsorted(p.start, t.end, side="left"),
    )
    a, b = np.concatenate([a, c]), np.concatenate([b, d])
    shared = np.minimum(p.end[a], t.end[b]) - np.maximum(p.start[a], t.start[b])

    pairs, place = np.unique(p.owner[a] * len(truth) + t.owner[b], return_inverse=True)
    intersection = np.bincount(place, weights=shared, minlength=len(pairs))
    in_pred, in_truth = pairs // len(truth), pairs % len(truth)
    pred_area, true_area = (np.array([rle.area for rle in rles]) for rles in (pred, truth))
    union = pred_area[in_pred] + true_area[in_truth] - intersection
    return Pairs(in_pred, in_truth, intersection / union)


def same_shapes(masks: Sequence[RLE]) -> None:
    """Refuse masks that do not cover the same pixels.

    Raises:
        RLEError: shapes differ.
    """
    for rle in masks[1:]:
        same_shape(rle.shape, masks[0].shape)
