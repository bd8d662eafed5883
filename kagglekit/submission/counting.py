"""How each metric that a profile may name is made of images: what one adds, then the score."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

from kagglekit import metrics
from kagglekit.instances import union
from kagglekit.rle import RLE


class Found(NamedTuple):
    """One image: what was predicted, what is there.

    Attributes:
        pred: one mask for each row where a competition has one for each image, or for each image
            and class; otherwise one for each instance.
        truth: the same of what is there.
        confidence: of each predicted instance; empty where the competition wants none.
    """

    pred: Sequence[RLE]
    truth: Sequence[RLE]
    confidence: Sequence[float] = ()


Counts = Mapping[str, Any]
"""What `Rule.count` says of each image, by id."""


@dataclass(frozen=True)
class Rule:
    """How a metric is computed, so that it can be for one image, some or all of them.

    Attributes:
        count: what one image adds, from the image and the score of an empty one.
        total: the score, from what the images add and the score of an empty one.
        readings: where the rule is not certain, `total` by the other readings, by what they say.
    """

    count: Callable[[Found, float], Any]
    total: Callable[[Counts, float], float]
    readings: Mapping[str, Callable[[Counts, float], float]] = field(default_factory=dict)


def volumes(images: Iterable[str]) -> dict[str, list[str]]:
    """Group the ids of slices into volumes, each in the order of its slices.

    An id ends in the number of its slice; an id that does not is a volume of its own.

    Example:
        >>> volumes(["kidney_5_0010", "kidney_5_0009", "case7_day2_slice_0001"])
        {'kidney_5': ['kidney_5_0009', 'kidney_5_0010'], 'case7_day2': ['case7_day2_slice_0001']}
    """
    numbered: dict[str, list[tuple[int, str]]] = {}
    for image in images:
        match = re.fullmatch(r"(.+?)(?:_slice)?_(\d+)", image)
        name, number = (match[1], int(match[2])) if match else (image, 0)
        numbered.setdefault(name, []).append((number, image))
    return {name: [image for _, image in sorted(slices)] for name, slices in numbered.items()}


def _rows(found: Found, empty: float) -> list[metrics.DiceSums]:
    return [metrics.dice_sums(p, t) for p, t in zip(found.pred, found.truth, strict=True)]


def _in_all(counts: Counts) -> Iterator[metrics.DiceSums]:
    return chain.from_iterable(counts.values())


def _mean(counts: Counts, empty: float) -> float:
    return float(sum(counts.values()) / len(counts))


def _mean_f_beta(counts: Counts, empty: float) -> float:
    return _mean({image: metrics.f_beta(rows, empty=empty) for image, rows in counts.items()}, 0)


def _itself(found: Found, empty: float) -> Found:
    return found


def _surface_dice(counts: Counts, empty: float) -> float:
    sums = [
        metrics.surface_sums(
            (counts[image].pred[0] for image in slices),
            (counts[image].truth[0] for image in slices),
        )
        for slices in volumes(counts).values()
    ]
    return metrics.surface_dice(sums, empty)


def _uw_madison(counts: Counts, empty: float, of: Counts | None = None) -> float:
    """Mix Dice of each row with distances of each volume: of each class, or those of `of`."""
    rows = [row for found in counts.values() for row in _rows(found, 0)]
    distances = []
    for slices in volumes(counts).values():
        scans = [(of or counts)[image] for image in slices]
        distances += [
            metrics.hausdorff([scan.pred[i] for scan in scans], [scan.truth[i] for scan in scans])
            for i in range(len(scans[0].truth))
        ]
    return metrics.dice_and_hausdorff(rows, distances, empty)


def _classes_together(counts: Counts) -> Counts:
    return {image: Found(_one(found.pred), _one(found.truth)) for image, found in counts.items()}


def _one(masks: Sequence[RLE]) -> list[RLE]:
    return [union(masks, masks[0].shape)]


RULES: dict[str, Rule] = {
    "mean_dice": Rule(_rows, lambda counts, empty: metrics.mean_dice(_in_all(counts), empty)),
    "global_dice": Rule(_rows, lambda counts, empty: metrics.global_dice(_in_all(counts), empty)),
    "f_beta": Rule(
        _rows,
        lambda counts, empty: metrics.f_beta(_in_all(counts), empty=empty),
        {"the mean of each image's F-beta": _mean_f_beta},
    ),
    "instance_precision": Rule(
        lambda found, empty: metrics.instance_precision(found.pred, found.truth, empty=empty),
        _mean,
    ),
    "iou_precision": Rule(
        lambda found, empty: metrics.iou_precision(found.pred[0], found.truth[0], empty),
        _mean,
    ),
    "average_precision": Rule(
        lambda found, empty: metrics.match_detections(found.pred, found.confidence, found.truth),
        lambda counts, empty: metrics.average_precision(counts.values(), empty),
    ),
    "dice_and_hausdorff": Rule(
        _itself,
        _uw_madison,
        {
            "distances of all classes together": lambda counts, empty: _uw_madison(
                counts, empty, _classes_together(counts)
            ),
            "Dice 0 where both are empty": lambda counts, empty: _uw_madison(counts, 0.0),
        },
    ),
    "surface_dice": Rule(_itself, _surface_dice),
}
"""How a submission is scored, by the name that a profile gives the metric."""
