"""The Lovász hinge: a convex stand-in for the Jaccard index itself."""

import torch

from kagglekit.losses._inputs import Per, prepare, units


def lovasz_loss(
    logits: torch.Tensor,
    target: torch.Tensor,
    *,
    per: Per = "sample",
    symmetric: bool = False,
) -> torch.Tensor:
    """The Lovász extension of one minus the Jaccard index, at the hinges 1 - (2t-1)·logit.

    0 where every logit is on its side by 1 or more; it grows with the logits, without bound. Best
    for the last epochs, after a loss of pixels has brought the logits near: an empty target has
    a slope at one pixel only, its highest.

    Args:
        logits: (N, K, H, W) float.
        target: (N, K, H, W), 0 or 1.
        per: "sample" averages over samples and classes; "batch" sorts the pixels of all samples
            together, each class by itself.
        symmetric: average it with the same of the background, so that empty tiles teach, too.

    Returns:
        A scalar, at least 0.

    Raises:
        ValueError: the shapes differ, or `per` is none of the above.

    Example:
        >>> target = torch.tensor([[[[1.0, 0.0, 0.0]]]])
        >>> lovasz_loss(4 * target - 2, target).item()
        0.0
        >>> lovasz_loss(torch.zeros_like(target), target).item()
        1.0

    Source: Berman et al., The Lovász-softmax loss (2018), algorithm 1 and equation 11.
    """
    logits, target = prepare(logits, target)
    x, truth = units(logits, per), units(target, per)
    if symmetric:
        return (_hinge(x, truth) + _hinge(-x, 1 - truth)) / 2
    return _hinge(x, truth)


def _hinge(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the mean over the first two axes; the last has the pixels."""
    errors, order = (1 - (2 * truth - 1) * logits).sort(dim=2, descending=True)
    truth = truth.gather(2, order)
    # The Jaccard loss if the first 1, 2, 3 ... of the worst pixels are wrong and the others right.
    area = truth.sum(2, keepdim=True)
    kept = area - truth.cumsum(2)
    union = area + (1 - truth).cumsum(2)
    jaccard = 1 - kept / union
    steps = torch.diff(jaccard, dim=2, prepend=torch.zeros_like(area))
    return (errors.relu() * steps).sum(2).mean()
