"""The images of the 2018 Data Science Bowl for the benchmark: their groups, folds and arrays."""

import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from kagglekit import competitions, tiles
from kagglekit.rle import RLE

FOLDS = 5


@dataclass(frozen=True)
class Image:
    """One labelled image.

    Attributes:
        name: its id.
        pixels: (h, w, 3) uint8 RGB.
        truth: a mask for each nucleus.
        fold: 0 to 4; the last one is held out.
    """

    name: str
    pixels: np.ndarray
    truth: list[RLE]
    fold: int


def load(tar: Path, scratch: Path) -> list[Image]:
    """Unpack the archive and read it all."""
    with tarfile.open(tar) as packed:
        packed.extractall(scratch, filter="data")
    data = competitions.load("data-science-bowl-2018").find_data(scratch)
    paths = data.train_images()
    pixels = [cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1] for path in paths.values()]
    kinds = [kind(image) for image in pixels]
    amounts = np.array([[one == each for each in sorted(set(kinds))] for one in kinds], float)
    fold = tiles.folds(groups(pixels), FOLDS, amounts)
    return [
        Image(name, image, data.truth(name), int(number))
        for name, image, number in zip(paths, pixels, fold, strict=True)
    ]


def kind(pixels: np.ndarray) -> str:
    """Tell how an image was taken, and its size: spread evenly over the folds."""
    stained = np.ptp(pixels, axis=2).mean() > 3
    how = "stained" if stained else "bright field" if pixels.mean() > 110 else "dark ground"
    return f"{how}, {pixels.shape[0]} x {pixels.shape[1]}"


def groups(images: Sequence[np.ndarray]) -> list[int]:
    """Give images that may be crops of one slide one number.

    They are of one size, and their grounds of one colour and grain, directly or through others
    between them. On a dark ground nothing tells slides apart: there each image is a group.
    """
    looks = np.array([look(image) for image in images])
    alike = np.abs(looks[:, None] - looks[None]).max(axis=2) < 2
    alike &= np.array([[a.shape == b.shape for a in images] for b in images])
    dark = np.array(["dark" in kind(image) for image in images])
    alike &= ~(dark[:, None] | dark[None]) | np.eye(len(images), dtype=bool)
    found = np.arange(len(images))
    while True:
        least = np.array([found[row].min() for row in alike])
        if (least == found).all():
            return found.tolist()
        found = least


def look(pixels: np.ndarray) -> np.ndarray:
    """Return the colours of an image's ground, and its grain."""
    grey = pixels.mean(axis=2)
    grain = np.median(np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 1)))
    return np.append(np.percentile(pixels, (2, 10, 25, 50), axis=(0, 1)).ravel() / 3, 2 * grain)
