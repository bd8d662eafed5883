"""Which tile comes next: every choice a function of (seed, epoch), every key of its place in it."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler

from kagglekit.tiles._index import Index

Numbers = npt.NDArray[np.int64]


class Draw(NamedTuple):
    """One tile to be read, with all that its augmentation depends on.

    It travels to the worker in the place of a plain number, so no worker has to be told the epoch.

    Attributes:
        tile: its number in the index.
        seed: the training's seed.
        epoch: counted from 0.
        sample: place in the epoch, counted from 0.
    """

    tile: int
    seed: int
    epoch: int
    sample: int

    @property
    def key(self) -> tuple[int, int, int]:
        """(seed, epoch, sample)."""
        return self.seed, self.epoch, self.sample


class TileSampler(Sampler[Draw]):
    """Draws tiles from groups, each group by its share; made by `shuffled`, `balanced` or `evenly`.

    Every epoch is another order. Within a group each tile comes once before any comes again.

    Args:
        groups: numbers of tiles; none of them empty.
        counts: how many an epoch takes of each.
        seed: everything else follows from it.

    Attributes:
        epoch: the epoch that the next iteration draws; set it, or call `set_epoch`.
        start: where in the epoch the next iteration begins; to resume, what had been drawn.
    """

    def __init__(self, groups: Sequence[Numbers], counts: Sequence[int], seed: int = 0) -> None:
        self.groups, self.counts, self.seed = tuple(groups), tuple(counts), int(seed)
        self.epoch = 0
        self.start = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, and begin it at its start; accelerate's loaders call this."""
        self.epoch, self.start = epoch, 0

    def __len__(self) -> int:
        return sum(self.counts) - self.start

    def __iter__(self) -> Iterator[Draw]:
        order = self.order()
        for sample in range(self.start, len(order)):
            yield Draw(int(order[sample]), self.seed, self.epoch, sample)

    def order(self) -> Numbers:
        """Return the tiles of the whole epoch, in their order."""
        rng = np.random.default_rng((self.seed, self.epoch))
        drawn = [
            _rounds(group, count, rng)
            for group, count in zip(self.groups, self.counts, strict=True)
        ]
        return rng.permutation(np.concatenate(drawn))


def shuffled(index: Index, seed: int = 0) -> TileSampler:
    """Draw every tile once an epoch."""
    return TileSampler([np.arange(len(index))], [len(index)], seed)


def balanced(
    index: Index,
    length: int | None = None,
    negatives: float = 0.25,
    bins: int = 4,
    seed: int = 0,
) -> TileSampler:
    """Draw tiles with much and with little in them alike.

    Tiles with a mask are sorted into `bins` of equal width by their area, from 0 to the largest
    there is, and each bin that is not empty is drawn equally often: uniform drawing would show
    mostly the commonest kind.

    Args:
        index: the tiles; the areas of several masks are added.
        length: draws of an epoch; by default as many as there are tiles.
        negatives: share of draws that are tiles with nothing in them, in [0, 1]. Where all tiles
            are of one kind, they are all that is drawn.
        bins: number of bins.
        seed: of the order.

    Raises:
        ValueError: there is no tile, or a number is out of its range.
    """
    length = len(index) if length is None else length
    if not len(index) or length < 1 or bins < 1 or not 0 <= negatives <= 1:
        raise ValueError(
            f"{len(index)} tiles, length={length}, bins={bins}, negatives={negatives}: expected at "
            "least one of each of the first three, and a share in [0, 1]"
        )
    area = index.area.sum(axis=1)
    empty, full = np.flatnonzero(area == 0), np.flatnonzero(area)
    share = negatives if len(empty) and len(full) else float(len(full) == 0)
    groups, counts = [], []
    if share:
        groups.append(empty)
        counts.append(round(share * length))
    if share < 1:
        filled = -(-area[full] * bins // area.max())  # 1 to bins
        found = [full[filled == number] for number in np.unique(filled)]
        groups += found
        counts += _split(length - sum(counts), len(found))
    return TileSampler(groups, counts, seed)


def evenly(labels: npt.ArrayLike, length: int | None = None, seed: int = 0) -> TileSampler:
    """Draw tiles of each label equally often: each organ, image or class, whatever there is of it.

    Args:
        labels: (N,), what each tile of an index counts as, e.g. `index.picture`.
        length: draws of an epoch; by default as many as there are tiles.
        seed: of the order.

    Raises:
        ValueError: there is no tile, `length` is below 1, or labels are not one for each tile.

    Example:
        >>> sampler = evenly(["lung", "lung", "lung", "spleen"], length=6)
        >>> sorted(sampler.order().tolist())
        [0, 1, 2, 3, 3, 3]
    """
    labels = np.asarray(labels)
    length = len(labels) if length is None else length
    if not len(labels) or length < 1:
        raise ValueError(f"{len(labels)} tiles, length={length}: expected at least one of each")
    if labels.ndim != 1:
        raise ValueError(f"labels {labels.shape}: expected one for each tile")
    groups = [np.flatnonzero(labels == each) for each in np.unique(labels)]
    return TileSampler(groups, _split(length, len(groups)), seed)


def _split(total: int, parts: int) -> list[int]:
    return [(i + 1) * total // parts - i * total // parts for i in range(parts)]


def _rounds(group: Numbers, count: int, rng: np.random.Generator) -> Numbers:
    """Draw `count` of a group: as many whole permutations as needed, the last one cut."""
    rounds = [rng.permutation(group) for _ in range(-(-count // len(group)))]
    return np.concatenate(rounds)[:count] if rounds else group[:0]
