"""What all losses do with their inputs first."""

from typing import Literal, TypeAlias

import torch

Per: TypeAlias = Literal["sample", "batch"]
Empty: TypeAlias = Literal["count", "skip"]
_ROUNDING = 1e-3  # masks that were resized go a little beyond 1


def prepare(logits: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits and target in one dtype that can hold sums: float32, or float64 if given.

    Raises:
        ValueError: they are not both (N, K, H, W) with equal sizes, or a target on the CPU is not
            in [0, 1]; to ask a GPU for that would be to wait for it.
    """
    if logits.shape != target.shape or logits.ndim != 4:
        raise ValueError(
            f"logits {tuple(logits.shape)} and target {tuple(target.shape)} must both be "
            "(N, K, H, W) with equal sizes"
        )
    if target.device.type == "cpu" and target.numel():
        low, high = (value.item() for value in target.aminmax())
        if low < -_ROUNDING or high > 1 + _ROUNDING:
            raise ValueError(
                f"target is in [{low:g}, {high:g}], expected [0, 1]: a mask of 0 and 255 is to be "
                "divided by 255, a map of class numbers to be made one plane per class"
            )
    # float16 cannot count beyond 2048; under autocast the logits come in it.
    dtype = torch.promote_types(logits.dtype, torch.float32)
    return logits.to(dtype), target.to(dtype)


def units(values: torch.Tensor, per: Per) -> torch.Tensor:
    """Return (N, K, H, W) as (units, K, pixels): a unit is a sample, or the whole batch.

    Raises:
        ValueError: `per` is something else.
    """
    if per == "sample":
        return values.flatten(2)
    if per == "batch":
        return values.transpose(0, 1).flatten(1).unsqueeze(0)
    raise ValueError(f'per={per!r} must be "sample" or "batch"')


def average(losses: torch.Tensor, truth: torch.Tensor, empty: Empty) -> torch.Tensor:
    """Average (units, K) losses, with or without those whose truth (units, K, pixels) is empty.

    Raises:
        ValueError: `empty` is neither "count" nor "skip".
    """
    if empty == "count":
        return losses.mean()
    if empty == "skip":
        counted = truth.sum(2) > 0
        return (losses * counted).sum() / counted.sum().clamp(min=1)
    raise ValueError(f'empty={empty!r} must be "count" or "skip"')


def check_smooth(smooth: float) -> None:
    """Raise ValueError if `smooth` is not above 0."""
    if smooth <= 0:
        raise ValueError(f"smooth={smooth} must be above 0: an empty tile would divide 0 by 0")
