"""Losses of a segmentation network: soft Dice, and its mix with cross-entropy.

All take logits (N, K, H, W), any real number, and a target of the same shape with 0 and 1. They
compute in float32 whatever the input (so they are safe under autocast), per sample and class, and
average at the end: the competitions' Dice is per image too, a Dice pooled over the batch is not.
"""

import torch
import torch.nn.functional as F


def soft_dice_loss(
    logits: torch.Tensor, target: torch.Tensor, smooth: float = 1e-3
) -> torch.Tensor:
    """One minus the soft Dice coefficient, (2·Σpt + s) / (Σp + Σt + s).

    The smoothing s is a share of the tile's area, not a number of pixels, so a tile twice as large
    does not change the loss, and an empty target still gives a useful slope: a probability of `p`
    everywhere costs p / (p + smooth) there. The loss lies in [0, 1] for every input.

    Args:
        logits: (N, K, H, W) float.
        target: (N, K, H, W), 0 or 1.
        smooth: share of the tile's pixels added above and below the line, > 0.

    Returns:
        A scalar: the mean over samples and classes.

    Raises:
        ValueError: the shapes differ, or `smooth` is not above 0.

    Example:
        >>> perfect = torch.tensor([[[[50.0, -50.0]]]])
        >>> round(soft_dice_loss(perfect, (perfect > 0).float()).item(), 4)
        0.0

    Source: Milletari et al., V-Net (2016), equation 1, without the squares.
    """
    _check(logits, target)
    if smooth <= 0:
        raise ValueError(f"smooth={smooth} must be above 0: an empty tile would divide 0 by 0")
    prob = logits.float().sigmoid().flatten(2)  # (N, K, H*W)
    truth = target.float().flatten(2)
    extra = smooth * prob.shape[2]
    both = (prob * truth).sum(2)
    dice = (2 * both + extra) / (prob.sum(2) + truth.sum(2) + extra)  # (N, K)
    return 1 - dice.mean()


def bce_dice_loss(
    logits: torch.Tensor, target: torch.Tensor, bce_weight: float = 0.8
) -> torch.Tensor:
    """Binary cross-entropy and soft Dice, mixed.

    Cross-entropy gives every pixel a steady slope; Dice cares for small objects. 0.8 is the share
    that the HuBMAP tutorial trained with.

    Args:
        logits: (N, K, H, W) float.
        target: (N, K, H, W), 0 or 1.
        bce_weight: share of the cross-entropy, in [0, 1].

    Returns:
        A scalar, at least 0.

    Raises:
        ValueError: the shapes differ, or `bce_weight` is not in [0, 1].
    """
    _check(logits, target)
    if not 0 <= bce_weight <= 1:
        raise ValueError(f"bce_weight={bce_weight} must be in [0, 1]")
    bce = F.binary_cross_entropy_with_logits(logits.float(), target.float())
    return bce_weight * bce + (1 - bce_weight) * soft_dice_loss(logits, target)


def _check(logits: torch.Tensor, target: torch.Tensor) -> None:
    if logits.shape != target.shape or logits.ndim != 4:
        raise ValueError(
            f"logits {tuple(logits.shape)} and target {tuple(target.shape)} must both be "
            "(N, K, H, W) with equal sizes"
        )
