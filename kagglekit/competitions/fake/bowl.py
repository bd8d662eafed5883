"""The tree of data-science-bowl-2018, with drawn nuclei."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from kagglekit.competitions import template
from kagglekit.competitions.fake.nuclei import draw_nuclei
from kagglekit.competitions.fake.tree import (
    draw_glass,
    image_path,
    images,
    rare_shape,
    vary,
    write_tables,
)
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
    hidden: bool,
) -> dict[str, list[RLE]]:
    """Write the tree; arguments and result are those of `fake.make`."""
    found: dict[bool, dict[str, list[RLE]]] = {True: {}, False: {}}
    for in_train, number, rng in images(seed, train, test):
        image_id = rng.bytes(32).hex()
        shape = vary(rng, size) if size else SIZES[rng.choice(len(SIZES), p=SHARES)]
        # Every fifth image is stained tissue, as about every sixth real one is.
        rare = hidden and not in_train
        if rare:
            shape = rare_shape(shape, number)
        rgb, labels = draw_nuclei(rng, shape, stain=number % 5 == 3)
        if rare and number == 1:
            rgb, labels = draw_glass(rng, shape), np.zeros(shape, np.int32)
        alpha = np.full((*shape, 1), 255, np.uint8)
        path = image_path(comp, root, image_id, in_train)
        cv2.imwrite(str(path), np.concatenate((rgb[..., ::-1], alpha), axis=2))
        masks = [labels == label for label in range(1, int(labels.max()) + 1)]
        found[in_train][image_id] = [RLE.from_mask(m, order=comp.submission.order) for m in masks]
        if in_train and comp.tree.train_masks and not hidden:
            _write_masks(root, comp.tree.train_masks, image_id, masks, rng)
    write_tables(comp, root, found[True], found[False])
    return found[False]


def _write_masks(
    root: Path,
    where: str,
    image_id: str,
    masks: list[NDArray[np.bool_]],
    rng: np.random.Generator,
) -> None:
    for mask in masks:
        path = root / template.fill(where, id=image_id, instance=rng.bytes(32).hex())
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), mask.astype(np.uint8) * 255)
