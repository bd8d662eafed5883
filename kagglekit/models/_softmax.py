"""Classes that exclude each other, said as logits of their own."""

from itertools import accumulate

import torch


def one_against_rest(logits: torch.Tensor) -> torch.Tensor:
    """Return logits whose sigmoids are the softmax of those given.

    The logit of a probability is log p_k - log(1 - p_k), and 1 - p_k the sum of the other planes'
    probabilities. So whatever expects a yes or no of each plane, thresholds and averages, serves
    classes that exclude each other, too.

    Args:
        logits: (N, K, ...) of any float dtype, K >= 2.

    Returns:
        (N, K, ...) float32, or float64 for that; in float32 none is above 87.3, where the rest is
        smaller than the smallest number of full precision.

    Example:
        >>> logits = torch.tensor([[1.0, 2.0, 3.0]])
        >>> one_against_rest(logits).sigmoid().allclose(logits.softmax(1))
        True
    """
    planes = logits if logits.dtype == torch.float64 else logits.float()
    logs = planes.log_softmax(1)
    each = logs.exp().unbind(1)
    none = torch.zeros_like(each[0])
    # Summed from both ends: taken from 1, the rest of a class that is certain would be lost.
    before = accumulate(each[:-1], initial=none)
    behind = list(accumulate(each[:0:-1], initial=none))[::-1]
    rest = torch.stack([a + b for a, b in zip(before, behind, strict=True)], 1)
    return logs - rest.clamp(min=torch.finfo(rest.dtype).tiny).log()
