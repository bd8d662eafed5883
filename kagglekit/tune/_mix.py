"""True tiles and made-up ones, each with a share of every epoch."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from kagglekit.rle import RLE
from kagglekit.tiles import Index, Picture, TileSampler, balanced


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


def doubt_share(
    index: Index, pictures: Sequence[Picture], doubt: Mapping[int, RLE]
) -> npt.NDArray[np.float64]:
    """Return which share of each tile's pixels the models are not sure of.

    Args:
        index: the tiles.
        pictures: of the index.
        doubt: `PseudoLabels.doubt` of pictures, by their place in the list; others have none.

    Returns:
        (N,) float64 in [0, 1].

    Example:
        >>> index.select(doubt_share(index, pictures, doubt) < 0.01)  # doctest: +SKIP
    """
    shares = np.zeros(len(index))
    for i, (which, tile) in enumerate(zip(index.picture.tolist(), index.tile, strict=True)):
        if which in doubt:
            y0, y1, x0, x1 = pictures[which].box(tile)
            shares[i] = doubt[which].crop(y0, y1, x0, x1).area / ((y1 - y0) * (x1 - x0))
    return shares
