"""Boundary difference over union: the finer the outline, the more it counts."""

import torch
import torch.nn.functional as F

from kagglekit.losses._inputs import check_smooth, prepare

_MOST = 0.8  # the paper's limit: beyond it large objects have no slope but at their rim


def boundary_loss(logits: torch.Tensor, target: torch.Tensor, smooth: float = 1e-3) -> torch.Tensor:
    """Difference over union, with the inside of large objects taken out of the union.

    (Σp² + Σt - 2·Σpt) / (Σp² + Σt - (1 + a)·Σpt + s). The share a = 1 - 2·C/S, at most 0.8, comes
    from the target: S its pixels, C those of them that touch the background. A large round object
    has an `a` near 0.8 and is judged by its rim; a thread has an `a` of -1, which makes it a Dice.
    In [0, 1] for every input, 0 for a perfect prediction and for an empty one of an empty target.

    Args:
        logits: (N, K, H, W) float.
        target: (N, K, H, W), 0 or 1.
        smooth: share of the tile's pixels added below the line, > 0; see `soft_dice_loss`.

    Returns:
        A scalar in [0, 1]: the mean over samples and classes.

    Raises:
        ValueError: the shapes differ, or `smooth` is not above 0.

    Example:
        >>> target = torch.zeros(1, 1, 8, 8)
        >>> boundary_loss(target - 60, target).item()
        0.0

    Source: Sun et al., Boundary difference over union loss (2023), equations 2 and 3; the smoothing
    of the authors' code makes two empty masks cost 1, so it stands below the line only.
    """
    logits, target = prepare(logits, target)
    check_smooth(smooth)
    size = target.flatten(2).sum(2)  # (N, K)
    rim = (target - target * _inside(target)).flatten(2).sum(2)
    share = (1 - 2 * rim / size.clamp(min=1)).clamp(max=_MOST)
    prob, truth = logits.sigmoid().flatten(2), target.flatten(2)
    # (p - t)² is never below 0, unlike the difference of sums that it equals for t of 0 and 1.
    different = (prob - truth).square().sum(2)
    both = (prob * truth).sum(2)
    losses = different / (different + (1 - share) * both + smooth * truth.shape[2])
    return losses.mean()


def _inside(target: torch.Tensor) -> torch.Tensor:
    """Return 1 where all four neighbours are foreground; beyond the tile lies what is at its edge.

    A tile cuts through objects: the cut is no outline.
    """
    padded = F.pad(target, (1, 1, 1, 1), mode="replicate")
    above, below = padded[..., :-2, 1:-1], padded[..., 2:, 1:-1]
    left, right = padded[..., 1:-1, :-2], padded[..., 1:-1, 2:]
    return torch.minimum(torch.minimum(above, below), torch.minimum(left, right))
