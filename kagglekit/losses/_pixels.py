"""Losses that judge each pixel by itself: cross-entropy, and focal, which forgets the easy ones."""

import torch
import torch.nn.functional as F

from kagglekit.losses._inputs import prepare


def bce_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy, -t·log(p) - (1-t)·log(1-p), averaged over all pixels.

    Args:
        logits: (N, K, H, W) float.
        target: (N, K, H, W), in [0, 1].

    Returns:
        A scalar, at least 0.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> round(bce_loss(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)).item(), 4)
        0.6931
    """
    return F.binary_cross_entropy_with_logits(*prepare(logits, target))


def focal_loss(
    logits: torch.Tensor, target: torch.Tensor, gamma: float = 2.0, alpha: float | None = None
) -> torch.Tensor:
    """Cross-entropy of each pixel, times (1 - q)^gamma, q the probability given to what is true.

    Pixels that are right already hardly count, so a few hard ones are heard among many easy ones.

    Args:
        logits: (N, K, H, W) float.
        target: (N, K, H, W), 0 or 1.
        gamma: how strongly easy pixels fade, >= 0; with 0 this is cross-entropy.
        alpha: share of the foreground's weight, in [0, 1]: its pixels count alpha times, the
            background's 1 - alpha times. By default all count once.

    Returns:
        A scalar, at least 0.

    Raises:
        ValueError: the shapes differ, `gamma` is below 0 or `alpha` not in [0, 1].

    Example:
        >>> logits, target = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
        >>> round((focal_loss(logits, target) / bce_loss(logits, target)).item(), 4)
        0.25

    Source: Lin et al., Focal loss for dense object detection (2017), equations 4 and 5.
    """
    if gamma < 0:
        raise ValueError(f"gamma={gamma} must not be below 0")
    if alpha is not None and not 0 <= alpha <= 1:
        raise ValueError(f"alpha={alpha} must be in [0, 1]")
    logits, target = prepare(logits, target)
    right = (2 * target - 1) * logits  # the larger, the better
    # (1 - q)^gamma through logarithms: computed as it is written, its slope at q = 1 is undefined
    # for a gamma below 1.
    losses = torch.exp(gamma * F.logsigmoid(-right)) * F.softplus(-right)
    if alpha is not None:
        losses = losses * (alpha * target + (1 - alpha) * (1 - target))
    return losses.mean()
