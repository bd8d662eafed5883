"""What every synthetic tree has: images one after the other, and the tables about them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kagglekit.competitions import table, template
from kagglekit.competitions.profile import Profile
from kagglekit.competitions.rules import SubmissionRules
from kagglekit.competitions.sample import key_cells, write_sample
from kagglekit.rle import RLE, Dialect


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
    comp: Profile,
    root: Path,
    train: Mapping[str, Sequence[RLE]],
    test: Mapping[str, Sequence[RLE]],
    about: Mapping[str, Mapping[str, str]] | None = None,
) -> None:
    """Write the table of the train masks and the sample submission.

    Args:
        comp: the competition.
        root: the tree.
        train: the masks of the train images, by id.
        test: the masks of the test images, by id.
        about: further columns, and what they say of each image, by id.
    """
    labels, rules, about = comp.train_table, comp.submission, about or {}
    further = list(next(iter(about.values()))) if about else []
    if labels.path:
        written = Dialect(order=rules.order, empty=rules.empty)
        rows = [
            [
                *key_cells(labels, image_id, name),
                *about.get(image_id, {}).values(),
                written.write(rle),
            ]
            for image_id, rles in train.items()
            for name, rle in zip(_names(rules, len(rles)), rles, strict=True)
            if rle.area or not labels.only_found
        ]
        header = [*labels.columns[:-1], *further, labels.rle]
        table.write_table(root / labels.path, header, rows)
    if about and comp.groups and comp.groups.test_path:
        lines = [[image_id, *about[image_id].values()] for image_id in sorted(test)]
        table.write_table(root / comp.groups.test_path, [comp.groups.image, *further], lines)
    sizes = {i: test[i][0].shape if test[i] else (0, 0) for i in sorted(test)}
    write_sample(root, rules, sizes)


def _names(rules: SubmissionRules, rows: int) -> Sequence[str]:
    """Return the class of each row of an image, "" where rows have none."""
    return rules.classes if rules.rows == "classes" else [""] * rows


def rare_shape(shape: tuple[int, int], number: int) -> tuple[int, int]:
    """Return the (height, width) that a hidden test springs on one: odd, tiny, or narrow."""
    height, width = shape
    odd = (height | 1, width | 1)
    tiny = (max(height // 9, 24), max(width // 7, 30))
    narrow = (max(height // 3, 24), width)
    return (odd, tiny, narrow)[number % 3]


def draw_glass(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Draw a slide with nothing on it; (height, width, 3) uint8."""
    light = 241 + 2 * rng.standard_normal((*shape, 3), dtype=np.float32)
    return light.clip(0, 255).astype(np.uint8)


def vary(rng: np.random.Generator, size: tuple[int, int]) -> tuple[int, int]:
    """Return a (height, width) with each side up to 15 % off."""
    return int(size[0] * rng.uniform(0.85, 1.15)), int(size[1] * rng.uniform(0.85, 1.15))
