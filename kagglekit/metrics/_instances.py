"""Precision over a range of IoU thresholds: of instances, and of one mask for each image."""

from collections.abc import Sequence

import numpy as np

from kagglekit.errors import RLEError
from kagglekit.instances import find_overlap
from kagglekit.metrics._dice import dice_sums
from kagglekit.metrics._pairs import iou_pairs, same_shapes
from kagglekit.rle import RLE

IOU_THRESHOLDS = tuple(percent / 100 for percent in range(50, 100, 5))
"""0.50, 0.55, … 0.95: the thresholds of the 2018 Data Science Bowl and of TGS salt."""


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
        pred: the predicted instances, one RLE each. They may overlap (the competition itself
            refuses that): when several match one true instance, one is a hit, the others false
            alarms.
        truth: the true instances; they may not overlap.
        thresholds: each from 0.5 to below 1. Below 0.5 a prediction could match two instances.
        empty: the score when there are neither predicted nor true instances.

    Raises:
        RLEError: shapes differ, or true instances overlap.
        ValueError: a threshold is out of range.

    Example:
        >>> a, b = RLE.from_text("1 6", (1, 20)), RLE.from_text("11 5", (1, 20))
        >>> instance_precision([a], [a, b])
        0.5
    """
    if not len(thresholds) or not all(0.5 <= threshold < 1 for threshold in thresholds):
        raise ValueError(f"thresholds must be from 0.5 to below 1, got {tuple(thresholds)}")
    same_shapes([*pred, *truth])
    clash = find_overlap(truth)
    if clash:
        raise RLEError(f"masks {clash[0]} and {clash[1]} of `truth` overlap: instances may not")
    pred, truth = ([rle for rle in rles if rle.area] for rles in (pred, truth))
    if not pred and not truth:
        return empty
    pairs = iou_pairs(pred, truth)
    precisions = []
    for threshold in thresholds:
        # True instances do not overlap, so more than half of a prediction lies in one at most.
        hits = len(np.unique(pairs.truth[pairs.iou > threshold]))
        precisions.append(hits / (len(pred) + len(truth) - hits))
    return sum(precisions) / len(precisions)


def iou_precision(pred: RLE, truth: RLE, empty: float = 1.0) -> float:
    """Return the share of the ten IoU thresholds that one image's mask exceeds, from 0 to 1.

    TGS salt's metric; its score is the mean over images. An image has one object, so at each
    threshold TP / (TP + FP + FN) is 1 or 0.

    Args:
        pred: the predicted mask.
        truth: the true mask, of the same shape.
        empty: the score when neither has a pixel. When only one has, the score is 0.

    Raises:
        RLEError: the shapes differ.

    Example:
        >>> iou_precision(RLE.from_text("1 13", (1, 20)), RLE.from_text("1 20", (1, 20)))
        0.3
    """
    sums = dice_sums(pred, truth)
    union = sums.pred + sums.truth - sums.both
    if not union:
        return empty
    iou = sums.both / union
    return sum(iou > threshold for threshold in IOU_THRESHOLDS) / len(IOU_THRESHOLDS)
