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

from kagglekit import slides
from kagglekit.competitions import fake
from kagglekit.competitions.data import Data
from kagglekit.competitions.profile import Profile
from kagglekit.competitions.sample import write_sample
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
        crop: the corner (height, width) in pixels that is left of each picture.
        alter: what becomes of each picture.
        empty: whether nothing is in the pictures then.
        flat: whether the tree is mounted as /kaggle/input/<slug>.
    """

    name: str
    images: int = 2
    size: tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    alter: Callable[[Pixels], Pixels] = np.asarray
    empty: bool = False
    flat: bool = False


def _blank(pixels: Pixels) -> Pixels:
    """Return a picture of one colour, the highest of its values: alpha stays full."""
    return np.full_like(pixels, pixels.max())


def _sixteen_bits(pixels: Pixels) -> Pixels:
    return pixels.astype(np.uint16) * 257 if pixels.dtype == np.uint8 else pixels


ODDITIES = (
    Oddity("tiny", size=(240, 320), crop=(13, 9)),
    Oddity("empty", size=(240, 320), alter=_blank, empty=True),
    Oddity("long", size=(40, 700), flat=True),
    Oddity("16-bit", size=(240, 320), alter=_sixteen_bits),
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
        data = Data(tree, comp)
        images = data.test_images()
        for path in images.values():
            for part in data.layers(path).values() if path.is_dir() else [path]:
                _rewrite(part, odd)
        if comp.submission.size_columns:
            sizes = {image: data.shape(path) for image, path in images.items()}
            write_sample(tree, comp.submission, sizes)
        truth = {image: _truth_of(masks, odd, comp) for image, masks in truth.items()}
        made.append(Test(name, tree, truth, twins.plant(comp, tree, truth), odd.flat))
    return tuple(made)


def _truth_of(masks: list[RLE], odd: Oddity, comp: Profile) -> list[RLE]:
    """Return the truth of a picture after what was done to it."""
    if odd.empty:
        masks = [RLE.empty(mask.shape, mask.order) for mask in masks]
    if odd.crop:
        masks = [mask.crop(0, odd.crop[0], 0, odd.crop[1]) for mask in masks]
    objects = comp.submission.rows == "instances"
    return [mask for mask in masks if mask.area or not objects]


def _rewrite(path: Path, odd: Oddity) -> None:
    """Alter a picture and keep its form; formats that hold only bytes keep their bytes."""
    import cv2
    import tifffile

    height, width = odd.crop or (None, None)
    if path.suffix in (".tif", ".tiff"):
        with slides.open_slide(path) as slide:
            pixels = slide.read(0, slide.shape[0], 0, slide.shape[1])
        altered = odd.alter(pixels[:height, :width])
        grey = altered.shape[2] == 1
        photometric = "minisblack" if grey else "rgb"
        tifffile.imwrite(path, altered[..., 0] if grey else altered, photometric=photometric)
    elif path.suffix == ".npy":
        np.save(path, odd.alter(np.load(path)[:height, :width]))
    else:
        pixels = np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
        altered = odd.alter(pixels[:height, :width])
        cv2.imwrite(str(path), altered if path.suffix == ".png" else altered.astype(np.uint8))
