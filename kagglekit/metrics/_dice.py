"""Dice and F-beta: three counts of pixels, and what is made of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kagglekit.errors import RLEError
from kagglekit.rle import RLE

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
    same_shape(pred.shape, truth.shape)
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
    """Return the mean of each mask's Dice: the metric of HuBMAP, Severstal and Carvana.

    Args:
        sums: the pixel counts of each image; where a competition has one row for each image and
            class, of each of these rows.
        empty: the score of a mask when neither prediction nor truth has a pixel.

    Raises:
        ValueError: there is no image.
    """
    scores = [dice_score(each, empty) for each in sums]
    if not scores:
        raise ValueError("mean Dice of no images is not defined")
    return sum(scores) / len(scores)


def global_dice(sums: Iterable[DiceSums], empty: float = 1.0) -> float:
    """Return the Dice of all pixels of all images together: the metric of the contrails.

    Args:
        sums: the pixel counts of each image.
        empty: the score when no image has a pixel in either mask.
    """
    return dice_score(sum(sums, DiceSums(0, 0, 0)), empty)


def f_beta(sums: Iterable[DiceSums], beta: float = 0.5, empty: float = 1.0) -> float:
    """Return F-beta of all pixels of all images together: Vesuvius' metric, with beta 0.5.

    With precision p and recall r, (1 + β²)·p·r / (β²·p + r), which is
    (1 + β²)·|P ∩ T| / (|P| + β²·|T|). Beta below 1 punishes a false alarm more than a miss.

    Args:
        sums: the pixel counts of each image.
        beta: how many times recall counts what precision counts; above 0.
        empty: the score when no image has a pixel in either mask.

    Raises:
        ValueError: beta is not above 0.

    Example:
        >>> f_beta([DiceSums(both=2, pred=2, truth=4)])
        0.8333333333333334
    """
    if not beta > 0:
        raise ValueError(f"beta={beta} must be above 0")
    total = sum(sums, DiceSums(0, 0, 0))
    weight = total.pred + beta**2 * total.truth
    return (1 + beta**2) * total.both / weight if weight else empty


def dice(pred: Mask, truth: Mask, empty: float = 1.0) -> float:
    """Return the Dice coefficient of two masks: `dice_score(dice_sums(pred, truth), empty)`.

    Example:
        >>> dice(np.array([[1, 1, 0]]), np.array([[0, 1, 1]]))
        0.5
        >>> dice(RLE.from_text("1 2", (1, 3)), RLE.from_text("2 2", (1, 3)))
        0.5
    """
    return dice_score(dice_sums(pred, truth), empty)


def same_shape(pred: tuple[int, ...], truth: tuple[int, ...]) -> None:
    """Refuse two masks that do not cover the same pixels.

    Raises:
        RLEError: the shapes differ.
    """
    if tuple(pred) != tuple(truth):
        raise RLEError(f"prediction is {pred} pixels and truth {truth}: they must be equal")


def _foreground(mask: NDArray[Any], name: str) -> NDArray[np.bool_]:
    mask = np.asarray(mask)
    if mask.dtype.kind not in "biu":
        raise RLEError(
            f"`{name}` is an array of {mask.dtype}, expected bool or integers",
            hint="threshold probabilities first: prob > 0.5",
        )
    foreground: NDArray[np.bool_] = mask != 0
    return foreground
