"""The tutorials' mix of cross-entropy and soft Dice."""

import torch

from kagglekit.losses._inputs import Empty
from kagglekit.losses._overlap import soft_dice_loss
from kagglekit.losses._pixels import bce_loss


def bce_dice_loss(
    logits: torch.Tensor,
    target: torch.Tensor,
    bce_weight: float = 0.8,
    *,
    empty: Empty = "count",
) -> torch.Tensor:
    """Binary cross-entropy and soft Dice, mixed.

    Cross-entropy gives every pixel a steady slope; Dice cares for small objects. 0.8 is the share
    that the HuBMAP tutorial trained with.

    Args:
        logits: (N, K, H, W) float.
        target: (N, K, H, W), in [0, 1].
        bce_weight: share of the cross-entropy, in [0, 1].
        empty: as in `soft_dice_loss`. Where most planes of most tiles are empty, "count" first of
            all teaches to find nothing; with "skip", cross-entropy alone holds false alarms back.

    Returns:
        A scalar, at least 0.

    Raises:
        ValueError: the shapes differ, or `bce_weight` is not in [0, 1], or `empty` is another word.
    """
    if not 0 <= bce_weight <= 1:
        raise ValueError(f"bce_weight={bce_weight} must be in [0, 1]")
    dice = soft_dice_loss(logits, target, empty=empty)
    return bce_weight * bce_loss(logits, target) + (1 - bce_weight) * dice
