"""CutMix for masks: a box of another picture of the batch, with what is in it."""

from collections.abc import Sequence

import numpy as np
import torch


def cutmix(
    images: torch.Tensor, masks: torch.Tensor, key: Sequence[int], share: float = 0.5
) -> tuple[torch.Tensor, torch.Tensor]:
    """Paste a box of another picture, pixels and masks alike, into some pictures of a batch.

    Yun et al., "CutMix: Regularization strategy to train strong classifiers with localizable
    features", 2019: the box covers a uniform share of the picture, its centre is anywhere. There
    the labels are mixed by area; a mask needs no mixing, it moves with its pixels.

    Args:
        images: (N, C, h, w).
        masks: (N, K, h, w), on the same device.
        key: non-negative integers, e.g. (seed, epoch, step): all that the boxes depend on.
        share: the part of the pictures that get a box, on average, in [0, 1].

    Returns:
        New images and masks; those given are left as they are.

    Raises:
        ValueError: images and masks differ in number or size.

    Example:
        >>> images = torch.arange(4.0).reshape(4, 1, 1, 1).expand(4, 1, 8, 8)
        >>> mixed, masks = cutmix(images, images, key=(0, 0, 0), share=1)
        >>> bool((mixed == masks).all()), bool((mixed == images).all())
        (True, False)
    """
    count, _, height, width = images.shape
    if masks.shape[0] != count or masks.shape[2:] != images.shape[2:]:
        raise ValueError(
            f"images {tuple(images.shape)} and masks {tuple(masks.shape)} do not pair up: expected "
            "(N, C, h, w) and (N, K, h, w)"
        )
    rng = np.random.default_rng(key)
    mixed, planes = images.clone(), masks.clone()
    for i, other in enumerate(rng.permutation(count).tolist()):
        chosen, area, y, x = rng.random(4)
        if chosen >= share:
            continue
        rows = _span(y, area**0.5, height)
        columns = _span(x, area**0.5, width)
        mixed[i, :, rows, columns] = images[other, :, rows, columns]
        planes[i, :, rows, columns] = masks[other, :, rows, columns]
    return mixed, planes


def _span(centre: float, part: float, size: int) -> slice:
    start, stop = (round((centre + side * part / 2) * size) for side in (-1, 1))
    return slice(max(start, 0), min(stop, size))
