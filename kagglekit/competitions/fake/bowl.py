"""The tree of data-science-bowl-2018, with drawn nuclei."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from kagglekit.competitions import table, template
from kagglekit.competitions.fake.nuclei import draw_nuclei
from kagglekit.competitions.profile import Profile
from kagglekit.rle import RLE

SIZES = ((256, 256), (256, 320), (360, 360), (520, 696), (260, 347), (390, 239))
SHARES = (0.45, 0.2, 0.13, 0.12, 0.05, 0.05)
"""The (height, width) that the real images have, in pixels, and about how often."""


def make_bowl(
    comp: Profile,
    root: Path,
    seed: int,
    train: int,
    test: int,
    size: tuple[int, int] | None,
) -> dict[str, list[RLE]]:
    """Write the tree; arguments and result are those of `fake.make`."""
    rng = np.random.default_rng(seed)
    rules, tree = comp.submission, comp.tree
    rows: list[tuple[str, str]] = []
    truth: dict[str, list[RLE]] = {}
    for number in range(train + test):
        image_id = rng.bytes(32).hex()
        shape = _shape(rng, size)
        # Every fifth image is stained tissue, as about every sixth real one is.
        rgb, labels = draw_nuclei(rng, shape, stain=number % 5 == 3)
        in_train = number < train
        _write_rgba(root, tree.train_images if in_train else tree.test_images, image_id, rgb)
        masks = [labels == label for label in range(1, int(labels.max()) + 1)]
        rles = [RLE.from_mask(mask, order=rules.order) for mask in masks]
        if not in_train:
            truth[image_id] = rles
            continue
        rows += [(image_id, rle.to_text()) for rle in rles]
        for mask in masks:
            path = root / template.fill(
                tree.train_masks or "", id=image_id, instance=rng.bytes(32).hex()
            )
            path.parent.mkdir(exist_ok=True)
            cv2.imwrite(str(path), mask.astype(np.uint8) * 255)
    table.write_table(
        root / comp.train_table.path, (comp.train_table.id, comp.train_table.rle), rows
    )
    empty = [(image_id, rules.empty) for image_id in sorted(truth)]
    table.write_table(root / rules.sample, (rules.id, rules.rle), empty)
    return truth


def _shape(rng: np.random.Generator, size: tuple[int, int] | None) -> tuple[int, int]:
    if size is None:
        return SIZES[rng.choice(len(SIZES), p=SHARES)]
    return int(size[0] * rng.uniform(0.85, 1.15)), int(size[1] * rng.uniform(0.85, 1.15))


def _write_rgba(root: Path, where: str, image_id: str, rgb: NDArray[np.uint8]) -> None:
    path = root / template.fill(where, id=image_id)
    path.parent.mkdir(parents=True)
    alpha = np.full((*rgb.shape[:2], 1), 255, np.uint8)
    cv2.imwrite(str(path), np.concatenate((rgb[..., ::-1], alpha), axis=2))
