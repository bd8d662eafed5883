"""Folds that never split a group: images of one patient, one slide, one car."""

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt


def folds(
    groups: Sequence[Hashable],
    k: int,
    amounts: npt.NDArray[np.int64] | npt.NDArray[np.float64] | None = None,
    seed: int = 0,
) -> npt.NDArray[np.int64]:
    """Share out images over folds: whole groups, and as evenly as that allows.

    The largest group goes first, each to the fold that it makes least uneven.

    Args:
        groups: one per image, e.g. its patient.
        k: number of folds, at least 2.
        amounts: (N,) or (N, S), what is to be spread evenly: e.g. the mask area of each image, or a
            column per class. By default images are counted.
        seed: which of equal groups goes first.

    Returns:
        (N,) int64, the fold of each image, 0 to k - 1. None is empty.

    Raises:
        ValueError: fewer groups than folds, or amounts for another number of images.

    Example:
        >>> folds(["a", "a", "b", "c", "c"], k=2).tolist()
        [1, 1, 0, 0, 0]
    """
    members: dict[Hashable, list[int]] = {}
    for image, group in enumerate(groups):
        members.setdefault(group, []).append(image)
    if not 2 <= k <= len(members):
        raise ValueError(f"k={k} folds of {len(members)} groups: expected 2 to {len(members)}")
    counted = np.ones(len(groups)) if amounts is None else np.asarray(amounts, float)
    if len(counted) != len(groups):
        raise ValueError(f"amounts for {len(counted)} images, groups for {len(groups)}")
    # Images are counted beside whatever else is, so that groups without it are spread too.
    parts = np.column_stack([counted, np.ones(len(groups))])
    parts = parts / np.maximum(parts.sum(axis=0), 1e-12)
    sums = [parts[images].sum(axis=0) for images in members.values()]
    ties = np.random.default_rng(seed).permutation(len(members))
    order = np.lexsort((ties, [-one.sum() for one in sums]))
    load = np.zeros((k, parts.shape[1]))
    fold = np.empty(len(groups), np.int64)
    images_of = list(members.values())
    for i in order:
        # An empty fold, as long as there is one, is always the least uneven choice.
        uneven = [((load + sums[i] * (np.arange(k) == j)[:, None]) ** 2).sum() for j in range(k)]
        best = int(np.argmin(uneven))
        load[best] += sums[i]
        fold[images_of[i]] = best
    return fold
