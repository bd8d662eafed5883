"""True tiles and made-up ones, each with a share of every epoch."""

import numpy as np
import numpy.typing as npt

from kagglekit.tiles import Index, TileSampler, balanced


def mixed(
    index: Index,
    pseudo: npt.NDArray[np.bool_],
    share: float,
    length: int | None = None,
    negatives: float = 0.25,
    seed: int = 0,
) -> TileSampler:
    """Draw tiles as `tiles.balanced` does, a fixed share of them with pseudo labels.

    However many images the models have labelled, what is known for certain keeps its weight.

    Args:
        index: the tiles of true and pseudo-labelled pictures.
        pseudo: (N,) which are of the latter, e.g. `index.picture >= len(true_pictures)`.
        share: of an epoch's draws that are pseudo-labelled, in (0, 1).
        length: draws of an epoch; by default as many as there are true tiles.
        negatives: share of draws of either kind that are tiles with nothing in them.
        seed: of the order.

    Raises:
        ValueError: a kind has no tiles, or a number is out of its range.
    """
    numbers = [np.flatnonzero(~pseudo), np.flatnonzero(pseudo)]
    length = len(numbers[0]) if length is None else length
    lengths = [length - round(share * length), round(share * length)]
    if min(lengths) < 1 or len(pseudo) != len(index) or not all(map(len, numbers)):
        raise ValueError(
            f"share={share} of {length} draws, from {len(numbers[0])} true and {len(numbers[1])} "
            f"pseudo-labelled tiles of {len(index)} in the index: expected draws of both kinds"
        )
    parts = [
        balanced(index.select(own), count, negatives, seed=seed)
        for own, count in zip(numbers, lengths, strict=True)
    ]
    groups = [own[g] for own, part in zip(numbers, parts, strict=True) for g in part.groups]
    return TileSampler(groups, [count for part in parts for count in part.counts], seed)
