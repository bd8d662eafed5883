"""The metrics once more, from their definitions alone: loops over pixels, pairs and voxels."""

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import permutations, product

import numpy as np

THRESHOLDS = [Fraction(percent, 100) for percent in range(50, 100, 5)]


def counts(pred: np.ndarray, truth: np.ndarray) -> tuple[int, int, int, int]:
    """How many pixels are right, false alarms, missed, rightly left out."""
    found = [0, 0, 0, 0]
    for p, t in zip(pred.ravel().tolist(), truth.ravel().tolist(), strict=True):
        found[0 if p and t else 1 if p else 2 if t else 3] += 1
    return tuple(found)


def dice(pred: np.ndarray, truth: np.ndarray, empty: float) -> float:
    right, alarms, missed, _ = counts(pred, truth)
    return 2 * right / (2 * right + alarms + missed) if right + alarms + missed else empty


def f_beta(pred: np.ndarray, truth: np.ndarray, beta: float, empty: float) -> float:
    right, alarms, missed, _ = counts(pred, truth)
    if not right:
        return 0.0 if alarms or missed else empty
    precision, recall = right / (right + alarms), right / (right + missed)
    return (1 + beta**2) * precision * recall / (beta**2 * precision + recall)


def iou(pred: np.ndarray, truth: np.ndarray) -> Fraction:
    right, alarms, missed, _ = counts(pred, truth)
    either = right + alarms + missed
    return Fraction(right, either) if either else Fraction(0)


def iou_precision(pred: np.ndarray, truth: np.ndarray, empty: float) -> float:
    if not pred.any() and not truth.any():
        return empty
    return sum(iou(pred, truth) > threshold for threshold in THRESHOLDS) / 10


def instance_precision(
    pred: Sequence[np.ndarray], truth: Sequence[np.ndarray], empty: float = 1.0
) -> float:
    """Each true instance takes the first prediction over the threshold that is still free."""
    if not pred and not truth:
        return empty
    total = 0.0
    for threshold in THRESHOLDS:
        free, hits = set(range(len(pred))), 0
        for t in truth:
            fits = [i for i in sorted(free) if iou(pred[i], t) > threshold]
            free -= set(fits[:1])
            hits += bool(fits)
        total += hits / (hits + len(free) + len(truth) - hits)
    return total / len(THRESHOLDS)


def average_precision(
    images: Sequence[tuple[list[np.ndarray], list[float], list[np.ndarray]]],
    threshold: Fraction,
    empty: float,
) -> float:
    """Walk down the list of all detections; then look up the best precision at each recall."""
    truths = sum(len(truth) for _, _, truth in images)
    everything = [
        (-confidence, number, place)
        for number, (_, confidences, _) in enumerate(images)
        for place, confidence in enumerate(confidences)
    ]
    if not truths:
        return 0.0 if everything else empty
    found: set[tuple[int, int]] = set()
    curve = []
    for seen, (_, number, place) in enumerate(sorted(everything), 1):
        masks, _, truth = images[number]
        ious = [iou(masks[place], t) for t in truth]
        if ious and max(ious) >= threshold:
            found.add((number, ious.index(max(ious))))
        curve.append((len(found), len(found) / seen))
    return (
        sum(
            max((precision for hits, precision in curve if hits >= wanted), default=0.0)
            for wanted in range(1, truths + 1)
        )
        / truths
    )


def hausdorff(pred: np.ndarray, truth: np.ndarray) -> float | None:
    """Every voxel of one against every voxel of the other, both ways."""
    if not pred.any() and not truth.any():
        return None
    if not pred.any() or not truth.any():
        return 1.0
    points = [
        [[i / side for i, side in zip(at, volume.shape, strict=True)] for at in np.argwhere(volume)]
        for volume in (pred, truth)
    ]
    there = max(min(math.dist(a, b) for b in points[1]) for a in points[0])
    back = max(min(math.dist(a, b) for b in points[0]) for a in points[1])
    return max(there, back) / math.sqrt(3)


# The ways, up to turning and mirroring, in which at most four corners of a cube hang together, with
# the area of the surface that cuts them off, worked out with pencil and paper.
CUTS = {
    "000": math.sqrt(3) / 8,
    "000 001": math.sqrt(2) / 2,
    "000 001 010": 1 / 2 + 3 * math.sqrt(3) / 8,
    "000 001 010 011": 1.0,
    "000 001 010 100": 3 * math.sqrt(3) / 4,
    "000 001 011 111": math.sqrt(3) / 2 + math.sqrt(2) / 2,
}


def _images(corners: frozenset) -> set[frozenset]:
    """The same corners in every position of the cube."""
    return {
        frozenset(tuple(corner[axis] ^ flip[axis] for axis in order) for corner in corners)
        for order in permutations(range(3))
        for flip in product((0, 1), repeat=3)
    }


AREAS = {
    image: area
    for corners, area in CUTS.items()
    for image in _images(frozenset(tuple(map(int, corner)) for corner in corners.split()))
}


def cube_area(cube: np.ndarray) -> float:
    """The surface in a cube of (2, 2, 2) voxels."""
    filled = {tuple(at) for at in np.argwhere(cube).tolist()}
    if len(filled) > 4:
        filled = set(product((0, 1), repeat=3)) - filled
    area = 0.0
    while filled:
        group = {filled.pop()}
        for _ in range(3):  # a path of four corners has three steps
            group |= {a for a in filled for b in group if math.dist(a, b) == 1}
        filled -= group
        area += AREAS[frozenset(group)]
    return area


def surface(pred: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Shared and total area, cube by cube."""
    pred, truth = np.pad(pred, 1), np.pad(truth, 1)
    shared = total = 0.0
    for z, y, x in product(*(range(side - 1) for side in pred.shape)):
        here = np.s_[z : z + 2, y : y + 2, x : x + 2]
        areas = cube_area(pred[here]), cube_area(truth[here])
        total += sum(areas)
        shared += sum(areas) if all(areas) else 0.0
    return shared, total
