"""What every synthetic tree has: images one after the other, and the tables about them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from kagglekit.competitions import table, template
from kagglekit.competitions.profile import Profile
from kagglekit.rle import RLE


def images(seed: int, train: int, test: int) -> Iterator[tuple[bool, int, np.random.Generator]]:
    """Yield for each image whether it is a train image, its number, and its own randomness.

    As each image has its own, more train images leave the test as it is.
    """
    for in_train, count in ((True, train), (False, test)):
        for number in range(count):
            yield in_train, number, np.random.default_rng([seed, in_train, number])


def image_path(comp: Profile, root: Path, image_id: str, in_train: bool) -> Path:
    """Return where an image lies, and make the folder."""
    where = comp.tree.train_images if in_train else comp.tree.test_images
    path = root / template.fill(where, id=image_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def write_tables(
    comp: Profile, root: Path, train: Mapping[str, Sequence[RLE]], test: Mapping[str, Sequence[RLE]]
) -> None:
    """Write the table of the train masks and the sample submission."""
    masks = [(image_id, rle.to_text()) for image_id, rles in train.items() for rle in rles]
    header = (comp.train_table.id, comp.train_table.rle)
    table.write_table(root / comp.train_table.path, header, masks)
    sample = [(image_id, comp.submission.empty) for image_id in sorted(test)]
    header = (comp.submission.id, comp.submission.rle)
    table.write_table(root / comp.submission.sample, header, sample)


def vary(rng: np.random.Generator, size: tuple[int, int]) -> tuple[int, int]:
    """Return a (height, width) with each side up to 15 % off."""
    return int(size[0] * rng.uniform(0.85, 1.15)), int(size[1] * rng.uniform(0.85, 1.15))
