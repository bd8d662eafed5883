"""Average precision of instances that come with a confidence."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kagglekit.metrics._pairs import iou_pairs
from kagglekit.rle import RLE


@dataclass(frozen=True, eq=False)
class Detections:
    """What average precision is made of: the detections of one image.

    Attributes:
        confidence: float64, one for each detection, falling.
        hit: bool, whether each found a true instance that none before it had found.
        truths: how many true instances there are.
    """

    confidence: NDArray[np.float64]
    hit: NDArray[np.bool_]
    truths: int


def match_detections(
    pred: Sequence[RLE],
    confidence: Sequence[float],
    truth: Sequence[RLE],
    threshold: float = 0.6,
) -> Detections:
    """Decide which detections of one image are hits.

    In the order of falling confidence each detection looks at the true instance it fits best. It
    is a hit when their intersection over union is at least the threshold and no detection before
    it has hit that instance; otherwise it is a false alarm, even if it fits another as well.

    Args:
        pred: the detected instances; they may overlap. One without a pixel is a false alarm.
        confidence: of each detection, any finite number. Equal ones keep their order.
        truth: the true instances.
        threshold: the least intersection over union of a hit, above 0 to 1.

    Raises:
        RLEError: shapes differ.
        ValueError: as many confidences as detections are needed, and each must be finite; or the
            threshold is out of its range.

    Example:
        >>> a, b = RLE.from_text("1 6", (1, 20)), RLE.from_text("2 5", (1, 20))
        >>> match_detections([a, b], [0.3, 0.9], [a]).hit
        array([ True, False])
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold={threshold} must be above 0, and at most 1")
    values = np.asarray(confidence, np.float64)
    if len(values) != len(pred) or not np.isfinite(values).all():
        raise ValueError(
            f"{len(pred)} detections need as many finite confidences, got {list(confidence)}"
        )
    truth = [rle for rle in truth if rle.area]
    pairs = iou_pairs(pred, truth)
    order = np.argsort(-values, kind="stable")

    best: dict[int, tuple[float, int]] = {}
    for i, j, iou in zip(*(column.tolist() for column in pairs), strict=True):
        # Of equally good instances the first one counts.
        best[i] = max(best.get(i, (0.0, 0)), (iou, -j))
    hit, taken = np.zeros(len(pred), bool), set()
    for place, i in enumerate(order.tolist()):
        iou, j = best.get(i, (0.0, 0))
        if iou >= threshold and j not in taken:
            hit[place] = True
            taken.add(j)
    return Detections(values[order], hit, len(truth))


def average_precision(images: Iterable[Detections], empty: float = 1.0) -> float:
    """Return the area under the curve of precision over recall, from 0 to 1.

    The detections of all images are put in one list by falling confidence; after each, precision
    is hits / detections so far and recall hits / true instances. Precision at a recall is the
    highest at that recall or any beyond it. One class; at threshold 0.6 it is the metric of
    HuBMAP – Hacking the Human Vasculature (the Open Images challenge's).

    Args:
        images: what `match_detections` says of each. Equal confidences keep the images' order.
        empty: the score when there is neither a true instance nor a detection.

    Example:
        >>> one = Detections(np.array([0.9, 0.5, 0.1]), np.array([True, False, True]), truths=2)
        >>> average_precision([one])  # (1 + 2/3) / 2
        0.8333333333333333
    """
    images = list(images)
    truths = sum(image.truths for image in images)
    detections = sum(len(image.hit) for image in images)
    if not truths:
        return 0.0 if detections else empty
    if not detections:
        return 0.0
    confidence = np.concatenate([image.confidence for image in images])
    order = np.argsort(-confidence, kind="stable")
    hit = np.concatenate([image.hit for image in images])[order]
    precision = np.cumsum(hit) / np.arange(1, detections + 1)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    # Recall grows by 1 / truths at each hit and nowhere else.
    return float(best_from_here[hit].sum() / truths)
