"""Further hidden tests, odder than the first: what a competition's rerun may hold and nobody tells.

Each has other images and one oddity, in this order, then again from the first with other images:
images of a few pixels, images with nothing in them, very long ones in the old mount layout,
samples of 16 bits, and many images.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kagglekit.competitions import fake, template
from kagglekit.competitions.profile import Profile
from kagglekit.rehearsal import twins
from kagglekit.rehearsal.stage import Test
from kagglekit.rle import RLE

Pixels = NDArray[Any]

_FIRST_SEED = 1000  # far from those of the visible and the hidden test


@dataclass(frozen=True)
class Oddity:
    """One way in which a hidden test may differ from the visible one.

    Attributes:
        name: in a word.
        images: how many.
        size: about their (height, width) in pixels, None for the competition's own.
        alter: what becomes of each picture.
        empty: whether nothing is in the pictures then.
        flat: whether the tree is mounted as /kaggle/input/<slug>.
    """

    name: str
    images: int = 2
    size: tuple[int, int] | None = None
    alter: Callable[[Pixels], Pixels] | None = None
    empty: bool = False
    flat: bool = False


def _blank(pixels: Pixels) -> Pixels:
    """Return a picture of one colour, its brightest corner's; alpha stays full."""
    return np.full_like(pixels, pixels.max())


def _sixteen_bits(pixels: Pixels) -> Pixels:
    return pixels.astype(np.uint16) * 257 if pixels.dtype == np.uint8 else pixels


ODDITIES = (
    Oddity("tiny", size=(13, 9)),
    Oddity("empty", alter=_blank, empty=True),
    Oddity("long", size=(40, 700), flat=True),
    Oddity("16-bit", alter=_sixteen_bits),
    Oddity("many", images=12, size=(96, 128)),
)


def make(
    comp: Profile, folder: Path, count: int, oddities: tuple[Oddity, ...] = ODDITIES
) -> tuple[Test, ...]:
    """Make odd hidden tests out of synthetic images.

    Args:
        comp: the competition.
        folder: where their trees are written.
        count: how many.
        oddities: what to choose from, in order.

    Returns:
        The tests, named by their oddity: "hidden, tiny".
    """
    made = []
    for number in range(count):
        odd = oddities[number % len(oddities)]
        name = f"hidden, {odd.name}" + (
            f" {again + 1}" if (again := number // len(oddities)) else ""
        )
        tree = folder / name.replace(", ", "-").replace(" ", "-")
        seed = _FIRST_SEED + number
        truth = fake.make(comp, tree, seed=seed, train=2, test=odd.images, size=odd.size)
        if odd.alter:
            for image in truth:
                _rewrite(tree / template.fill(comp.tree.test_images, id=image), odd.alter)
        if odd.empty:
            truth = {image: _nothing(comp, masks) for image, masks in truth.items()}
        made.append(Test(name, tree, truth, twins.plant(comp, tree, truth), odd.flat))
    return tuple(made)


def _nothing(comp: Profile, masks: list[RLE]) -> list[RLE]:
    """Return the truth of an image that has lost what was in it."""
    if comp.submission.rows == "instances":
        return []
    return [RLE.empty(mask.shape, mask.order) for mask in masks]


def _rewrite(path: Path, alter: Callable[[Pixels], Pixels]) -> None:
    """Alter a picture's pixels and keep its form; formats that hold only bytes keep their bytes."""
    import cv2
    import tifffile

    if path.suffix in (".tif", ".tiff"):
        tifffile.imwrite(path, alter(tifffile.imread(path)))
    elif path.suffix == ".npy":
        np.save(path, alter(np.load(path)))
    elif path.is_file():
        altered = alter(np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)))
        cv2.imwrite(str(path), altered if path.suffix == ".png" else altered.astype(np.uint8))
