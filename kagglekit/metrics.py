"""The competitions' metrics, exactly: first sums, then a score.

Sums can be added, so the same three numbers give Dice per image, its mean over images, or Dice
pooled over all pixels:

    >>> sums = [DiceSums(both=2, pred=2, truth=4), DiceSums(both=0, pred=0, truth=0)]
    >>> mean_dice(sums)
    0.8333333333333333
    >>> dice_score(sums[0] + sums[1])
    0.6666666666666666

Masks are `RLE`s, or arrays of 0 and 1; nothing here makes a full-size array out of an RLE.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kagglekit.errors import RLEError
from kagglekit.instances import Runs, find_overlap, sorted_runs
from kagglekit.rle import RLE

IOU_THRESHOLDS = tuple(percent / 100 for percent in range(50, 100, 5))
"""0.50, 0.55, … 0.95: the thresholds of the 2018 Data Science Bowl."""

Mask = RLE | NDArray[Any]


@dataclass(frozen=True)
class DiceSums:
    """What Dice is made of, in pixels: in both masks, in the prediction, in the truth."""

    both: int
    pred: int
    truth: int

    def __add__(self, other: "DiceSums") -> "DiceSums":
        return DiceSums(self.both + other.both, self.pred + other.pred, self.truth + other.truth)


def dice_sums(pred: Mask, truth: Mask) -> DiceSums:
    """Count the pixels that Dice is made of.

    Args:
        pred: the predicted mask: an RLE, or an array of bool or integers, 0 outside.
        truth: the true mask, of the same kind and shape.

    Raises:
        RLEError: shapes or kinds differ, or an array holds floats (logits, probabilities).
    """
    if isinstance(pred, RLE) and isinstance(truth, RLE):
        return DiceSums((pred & truth).area, pred.area, truth.area)
    if isinstance(pred, RLE) or isinstance(truth, RLE):
        raise RLEError("one mask is an RLE and the other an array: give two of a kind")
    pred, truth = _foreground(pred, "pred"), _foreground(truth, "truth")
    _same_shape(pred.shape, truth.shape)
    both, in_pred, in_truth = (np.count_nonzero(mask) for mask in (pred & truth, pred, truth))
    return DiceSums(int(both), int(in_pred), int(in_truth))


def dice_score(sums: DiceSums, empty: float = 1.0) -> float:
    """Return 2·|P ∩ T| / (|P| + |T|), from 0 to 1.

    Args:
        sums: the pixel counts of one image, or of several added up.
        empty: the score when neither mask has a pixel.
    """
    total = sums.pred + sums.truth
    return 2 * sums.both / total if total else empty


def mean_dice(sums: Iterable[DiceSums], empty: float = 1.0) -> float:
    """Return the mean over images of each image's Dice: the metric of the HuBMAP competitions.

    Args:
        sums: the pixel counts of each image.
        empty: the score of an image when neither mask has a pixel.

    Raises:
        ValueError: there is no image.
    """
    scores = [dice_score(each, empty) for each in sums]
    if not scores:
        raise ValueError("mean Dice of no images is not defined")
    return sum(scores) / len(scores)


def dice(pred: Mask, truth: Mask, empty: float = 1.0) -> float:
    """Return the Dice coefficient of two masks: `dice_score(dice_sums(pred, truth), empty)`.

    Example:
        >>> dice(np.array([[1, 1, 0]]), np.array([[0, 1, 1]]))
        0.5
        >>> dice(RLE.from_text("1 2", (1, 3)), RLE.from_text("2 2", (1, 3)))
        0.5
    """
    return dice_score(dice_sums(pred, truth), empty)


def instance_precision(
    pred: Sequence[RLE],
    truth: Sequence[RLE],
    thresholds: Sequence[float] = IOU_THRESHOLDS,
    empty: float = 1.0,
) -> float:
    """Return one image's mean over thresholds of TP / (TP + FP + FN), from 0 to 1.

    A predicted and a true instance match when their intersection over union is greater than the
    threshold. This is the 2018 Data Science Bowl's metric; its score is the mean over images.

    Args:
        pred: the predicted instances, one RLE each; they may not overlap.
        truth: the true instances; they may not overlap.
        thresholds: each from 0.5 to below 1. Below 0.5 an instance could match twice.
        empty: the score when there are neither predicted nor true instances.

    Raises:
        RLEError: shapes differ, or instances overlap.
        ValueError: a threshold is out of range.

    Example:
        >>> a, b = RLE.from_text("1 6", (1, 20)), RLE.from_text("11 5", (1, 20))
        >>> instance_precision([a], [a, b])
        0.5
    """
    if not thresholds or not all(0.5 <= threshold < 1 for threshold in thresholds):
        raise ValueError(f"thresholds must be from 0.5 to below 1, got {tuple(thresholds)}")
    pred, truth = ([rle for rle in rles if rle.area] for rles in (pred, truth))
    for rle in (*pred, *truth):
        _same_shape(rle.shape, (*pred, *truth)[0].shape)
    if not pred and not truth:
        return empty
    overlaps = _iou_of_pairs(pred, truth)
    precisions = []
    for threshold in thresholds:
        hits = int(np.count_nonzero(overlaps > threshold))
        precisions.append(hits / (len(pred) + len(truth) - hits))
    return sum(precisions) / len(precisions)


def _iou_of_pairs(pred: Sequence[RLE], truth: Sequence[RLE]) -> NDArray[np.float64]:
    """Return the intersection over union of each pair of instances that touch, in no order."""
    if not pred or not truth:
        return np.zeros(0)
    p, t = _disjoint_runs(pred, "pred"), _disjoint_runs(truth, "truth")

    # The true runs that share pixels with predicted run i are those from first[i] to last[i].
    first = np.searchsorted(t.end, p.start, side="right")
    last = np.searchsorted(t.start, p.end, side="left")
    count = np.maximum(last - first, 0)
    a = np.repeat(np.arange(len(count)), count)
    b = np.arange(len(a)) - np.repeat(np.cumsum(count) - count, count) + first[a]
    shared = np.minimum(p.end[a], t.end[b]) - np.maximum(p.start[a], t.start[b])

    # One entry for each pair that touches; a full table would have len(pred) × len(truth).
    pairs, place = np.unique(p.owner[a] * len(truth) + t.owner[b], return_inverse=True)
    intersection = np.bincount(place, weights=shared, minlength=len(pairs))
    pred_area = np.array([rle.area for rle in pred])[pairs // len(truth)]
    true_area = np.array([rle.area for rle in truth])[pairs % len(truth)]
    iou: NDArray[np.float64] = intersection / (pred_area + true_area - intersection)
    return iou


def _disjoint_runs(instances: Sequence[RLE], name: str) -> Runs:
    """Return all runs, counted down the columns; refuse masks that overlap."""
    instances = [rle.reorder("F") for rle in instances]
    clash = find_overlap(instances)
    if clash:
        raise RLEError(f"masks {clash[0]} and {clash[1]} of `{name}` overlap: instances may not")
    return sorted_runs(instances)


def _foreground(mask: NDArray[Any], name: str) -> NDArray[np.bool_]:
    mask = np.asarray(mask)
    if mask.dtype.kind not in "biu":
        raise RLEError(
            f"`{name}` is an array of {mask.dtype}, expected bool or integers",
            hint="threshold probabilities first: prob > 0.5",
        )
    foreground: NDArray[np.bool_] = mask != 0
    return foreground


def _same_shape(pred: tuple[int, ...], truth: tuple[int, ...]) -> None:
    if tuple(pred) != tuple(truth):
        raise RLEError(f"prediction is {pred} pixels and truth {truth}: they must be equal")
