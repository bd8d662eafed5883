"""Deep supervision: the same loss at the coarser outputs of a network."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from kagglekit.losses._pixels import bce_loss


def auxiliary_loss(
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    logits: torch.Tensor,
    auxiliary: Sequence[torch.Tensor],
    target: torch.Tensor,
    weight: float = 0.4,
) -> torch.Tensor:
    """The loss of the main output, plus `weight` times the mean loss of the auxiliary ones.

    A smaller map is judged by the target at its size, each pixel that of its centre, so that it
    stays 0 and 1. An output per image says whether there is any foreground, by cross-entropy.

    Args:
        loss: any of this package's: (logits, target) to a scalar.
        logits: (N, K, H, W) float.
        auxiliary: maps (N, K, h, w) of any size, or (N, K) for whole images; may be empty.
        target: (N, K, H, W), 0 or 1.
        weight: of all auxiliary outputs together, >= 0.

    Returns:
        A scalar.

    Raises:
        ValueError: `weight` is below 0, or shapes do not fit.

    Example:
        >>> from kagglekit.losses import bce_loss
        >>> target = torch.ones(1, 1, 4, 4)
        >>> loss = auxiliary_loss(bce_loss, 60 * target, [torch.zeros(1, 1, 2, 2)], target)
        >>> round(loss.item(), 4)  # 0.4 × log 2
        0.2773

    Source: Lee et al., Deeply-supervised nets (2015), equation 3.
    """
    if weight < 0:
        raise ValueError(f"weight={weight} must not be below 0")
    total = loss(logits, target)
    if not auxiliary:
        return total
    parts = [_part(loss, output, target) for output in auxiliary]
    return total + weight * torch.stack(parts).mean()


def _part(
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    output: torch.Tensor,
    target: torch.Tensor,
) -> torch.Tensor:
    if output.ndim == 2:
        return bce_loss(output[..., None, None], target.amax((2, 3), keepdim=True))
    # Not "nearest", which takes the upper left pixel of each block: half a pixel off.
    return loss(output, F.interpolate(target.float(), output.shape[2:], mode="nearest-exact"))
