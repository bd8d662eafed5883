"""The library's way with the nuclei: tiles, three planes, seeds grown over the mask."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from dsb2018_data import Image, kind

from kagglekit import (
    augment,
    inference,
    instances,
    models,
    regions,
    slides,
    stain,
    tiles,
    touching,
    train,
)
from kagglekit.models import Model
from kagglekit.rle import RLE

WINDOW, BATCH, TRIED = 128, 4, 16
RECIPE = models.Recipe("unet", {"width": 16}, classes=3, window=256)


# How nuclei come out of the planes: thresholds of mask, cores and borders; above which probability
# at least half of a nucleus has to be; and fewest pixels. Chosen on the fourth fold, for a model of
# the first three.
MASK, CORE, BORDER, SURE, AREA = 0.5, 0.8, 0.4, 0.9, 20


def fit(images: Sequence[Image], minutes: float, scratch: Path, seed: int = 0) -> Model:
    """Train for so many CPU minutes, the measuring of a step included."""
    started = time.process_time()
    pictures = [_picture(image, scratch) for image in images]
    index = tiles.index(pictures, WINDOW)
    dataset = tiles.TileDataset(pictures, index, augment.preset("light"))
    kinds = np.array([kind(image.pixels) for image in images])[index.picture]

    def run(steps: int) -> Model:
        torch.manual_seed(seed)
        model = models.build(RECIPE).to(memory_format=torch.channels_last)
        settings = train.Settings(
            epochs=1, batch_size=BATCH, lr=3e-3, warmup=0.1, ema=0.998, workers=0, progress=False
        )
        with tempfile.TemporaryDirectory() as folder:
            sampler = _sampler(kinds, index.picture, steps * BATCH, seed)
            made = train.fit(model, dataset, sampler, folder, settings)
            return models.load(made.path)

    run(1)  # imports what it needs
    before = time.process_time()
    run(TRIED)
    now = time.process_time()
    return run(max(1, int((60 * minutes - (now - started)) * TRIED / (now - before))))


def _picture(image: Image, scratch: Path) -> tiles.Picture:
    path = scratch / f"{image.name}.npy"
    np.save(path, stain.even(image.pixels))
    shape = image.pixels.shape[:2]
    planes = [
        instances.union(image.truth, shape),
        touching.cores(image.truth, shape),
        tiles.borders(image.truth, shape),
    ]
    return tiles.Picture(slides.open_slide(path), planes)


def _sampler(kinds: np.ndarray, picture: np.ndarray, length: int, seed: int) -> tiles.TileSampler:
    """Draw a kind of image as often as the square root of how many there are."""
    groups = [np.flatnonzero(kinds == each) for each in np.unique(kinds)]
    shares = np.sqrt([len(np.unique(picture[group])) for group in groups])
    ends = np.rint(np.cumsum(shares) / shares.sum() * length).astype(int)
    return tiles.TileSampler(groups, np.diff(ends, prepend=0).tolist(), seed)


def probabilities(
    model: Model | Sequence[Model], images: Sequence[Image], scratch: Path, tta: str
) -> list[np.ndarray]:
    """Return (3, h, w) of each image."""
    found = []
    for image in images:
        path = scratch / "image.npy"
        np.save(path, stain.even(image.pixels))
        with slides.open_slide(path) as slide:
            prob = inference.predict_prob(
                model, slide, scratch / "prob.npy", tta=tta, progress=False
            )
            found.append(np.array(prob))
    return found


def decode(prob: np.ndarray) -> tuple[RLE, list[RLE]]:
    """Return the mask of all nuclei, and each."""
    mask = RLE.from_mask(prob[0] > MASK)
    seeds = RLE.from_mask((prob[1] > CORE) & (prob[2] < BORDER))
    sure = RLE.from_mask(prob[0] > SURE)
    nuclei = [one for one in touching.grow(seeds, mask) if one.area >= AREA]
    # A doubtful nucleus costs more, where it is none, than it brings where it is one.
    likely = [one for one in nuclei if 2 * (one & sure).area >= one.area]
    return regions.drop_small(mask, AREA), likely
