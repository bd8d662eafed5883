"""The competitions' metrics, exactly: first sums, then a score.

What is counted can be added, so the same three numbers give Dice per image, its mean over images,
or Dice pooled over all pixels:

    >>> sums = [DiceSums(both=2, pred=2, truth=4), DiceSums(both=0, pred=0, truth=0)]
    >>> mean_dice(sums)
    0.8333333333333333
    >>> global_dice(sums)
    0.6666666666666666

Masks are `RLE`s; nothing here makes more of them than the pixels of a slice or two at a time.
`docs/metrics.md` has each metric's formula, its rule for what is empty, and what is not certain.
"""

from kagglekit.metrics._detections import Detections, average_precision, match_detections
from kagglekit.metrics._dice import (
    DiceSums,
    dice,
    dice_score,
    dice_sums,
    f_beta,
    global_dice,
    mean_dice,
)
from kagglekit.metrics._hausdorff import dice_and_hausdorff, hausdorff
from kagglekit.metrics._instances import IOU_THRESHOLDS, instance_precision, iou_precision
from kagglekit.metrics._surface import SurfaceSums, surface_dice, surface_sums

__all__ = [
    "IOU_THRESHOLDS",
    "Detections",
    "DiceSums",
    "SurfaceSums",
    "average_precision",
    "dice",
    "dice_and_hausdorff",
    "dice_score",
    "dice_sums",
    "f_beta",
    "global_dice",
    "hausdorff",
    "instance_precision",
    "iou_precision",
    "match_detections",
    "mean_dice",
    "surface_dice",
    "surface_sums",
]
