"""Losses of overlap: soft Dice, and Tversky, which weighs the two kinds of mistakes."""

import torch

from kagglekit.losses._inputs import Empty, Per, average, check_smooth, prepare, units


def soft_dice_loss(
    logits: torch.Tensor,
    target: torch.Tensor,
    smooth: float = 1e-3,
    *,
    per: Per = "sample",
    empty: Empty = "count",
) -> torch.Tensor:
    """One minus the soft Dice coefficient, (2·Σpt + s) / (Σp + Σt + s).

    The smoothing s is a share of the tile's area, not a number of pixels, so a tile twice as large
    does not change the loss, and an empty target still gives a useful slope: a probability of `p`
    everywhere costs p / (p + smooth) there. The loss lies in [0, 1] for every input; a perfect
    prediction costs 0, and so does an empty one of an empty target.

    Args:
        logits: (N, K, H, W) float.
        target: (N, K, H, W), in [0, 1].
        smooth: share of the tile's pixels added above and below the line, > 0.
        per: "sample" averages the loss of samples and classes, as scores per image do; "batch"
            sums over the samples first, as a score over all pixels does.
        empty: "count" averages over all; "skip" leaves out where the target has no foreground,
            for scores that do not count such images. Then nothing there holds false alarms back.

    Returns:
        A scalar in [0, 1].

    Raises:
        ValueError: the shapes differ, or an option is none of the above.

    Example:
        >>> perfect = torch.tensor([[[[50.0, -50.0]]]])
        >>> round(soft_dice_loss(perfect, (perfect > 0).float()).item(), 4)
        0.0

    Source: Milletari et al., V-Net (2016), equation 1, without the squares.
    """
    return tversky_loss(logits, target, 0.5, 0.5, smooth=smooth, per=per, empty=empty)


def tversky_loss(
    logits: torch.Tensor,
    target: torch.Tensor,
    alpha: float = 0.3,
    beta: float = 0.7,
    *,
    smooth: float = 1e-3,
    per: Per = "sample",
    empty: Empty = "count",
) -> torch.Tensor:
    """One minus the Tversky index, (TP + s) / (TP + alpha·FP + beta·FN + s).

    TP = Σpt, FP = Σp(1-t), FN = Σ(1-p)t; s is half of `smooth` times the tile's pixels, so with
    alpha = beta = 0.5 this is `soft_dice_loss`. The loss lies in [0, 1] for every input.

    Args:
        logits: (N, K, H, W) float.
        target: (N, K, H, W), in [0, 1].
        alpha: what a false pixel costs, >= 0.
        beta: what a missed pixel costs, >= 0. More than `alpha` finds more of small objects.
        smooth: as in `soft_dice_loss`.
        per: likewise.
        empty: likewise.

    Returns:
        A scalar in [0, 1].

    Raises:
        ValueError: the shapes differ, or an option is none of the above.

    Example:
        >>> nothing, all_of_it = torch.full((1, 1, 8, 8), -50.0), torch.ones(1, 1, 8, 8)
        >>> round(tversky_loss(nothing, all_of_it).item(), 2)
        1.0

    Source: Salehi et al., Tversky loss function (2017), equation 3.
    """
    logits, target = prepare(logits, target)
    check_smooth(smooth)
    if min(alpha, beta) < 0:
        raise ValueError(f"alpha={alpha} and beta={beta} must not be below 0")
    x, truth = units(logits, per), units(target, per)
    prob = x.sigmoid()
    hit = (prob * truth).sum(2)  # (units, K)
    # alpha·FP + beta·FN from three sums: half the time of summing the mistakes themselves. Their
    # difference may end a rounding below 0.
    wrong = alpha * prob.sum(2) + beta * truth.sum(2) - (alpha + beta) * hit
    wrong = wrong.clamp(min=0)
    losses = wrong / (hit + wrong + smooth / 2 * x.shape[2])
    return average(losses, truth, empty)
