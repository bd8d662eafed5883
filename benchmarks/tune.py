"""Tuning: what it gains, and what a look at a slide costs beside the usual loop.

    uv run python benchmarks/tune.py cost
    uv run python benchmarks/tune.py gain --minutes 1.5 --images 40

`cost`: Dice of a slide of 12,000 x 12,000 pixels at many thresholds, from a map at scale 4; each
way in a process of its own. `gain`: two folds of a small U-Net trained on a synthetic tree of
organs, their out-of-fold predictions, and what the search makes of them.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np
import torch

from kagglekit import augment, competitions, metrics, models, slides, tiles, train, tune
from kagglekit.competitions import fake
from kagglekit.rle import RLE, RLEBuilder
from kagglekit.tune._cut import cut_planes
from kagglekit.tune._sums import dice_sums

SIDE, SCALE = 12_000, 4
FEW = [k / 20 for k in range(1, 20)]
WAYS = {
    "one look": "255 thresholds, `tune`, metrics made of Dice's sums",
    "masks": "19 thresholds, `tune`, any metric: masks as runs",
    "loop": "19 thresholds, the usual loop: the map enlarged in memory, `prob > t` for each",
}


def make() -> tuple[np.ndarray, RLE]:
    """Return a map of bytes, and a truth that it nearly fits."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (SIDE // 100, SIDE // 100), np.uint8)
    smooth = cv2.resize(small, (SIDE // SCALE,) * 2, interpolation=cv2.INTER_CUBIC)
    # Steep, as a trained model's: few pixels are in doubt.
    table = 255 / (1 + np.exp(-0.15 * (np.arange(256) - 140.0)))
    values = table.round().astype(np.uint8)[smooth]
    builder = RLEBuilder((SIDE, SIDE), "C")
    for y in range(0, SIDE, 400):
        rows = cv2.resize(values[y // SCALE : (y + 400) // SCALE], (SIDE, 400))
        builder.push((rows > 140).astype(np.uint8))
    return values[None], builder.finish().reorder("F")


def measure(way: str) -> None:
    values, truth = make()
    prob = tune.Prob(values, SCALE, (SIDE, SIDE))
    dense = truth.to_mask().astype(bool) if way == "loop" else None
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, perf_counter()
    if way == "one look":
        scores = [metrics.dice_score(each) for each in dice_sums(prob, 0, truth, False)]
    elif way == "masks":
        found = cut_planes(prob, [tune.Cut(threshold) for threshold in FEW], [0], False)
        scores = [metrics.dice(mask, truth) for [mask] in found]
    else:
        big = cv2.resize(values[0].astype(np.float32) / 255, (SIDE, SIDE))
        scores = []
        for threshold in FEW:
            mask = big > threshold
            scores.append(2 * (mask & dense).sum() / (mask.sum() + dense.sum()))
    seconds = perf_counter() - started
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"| {WAYS[way]} | {max(scores):.4f} | {seconds:.1f} | {max(more, 0):.0f} |")


def cost() -> None:
    print("| way | best Dice | s | MB beside map and truth |\n|---|---|---|---|", flush=True)
    for way in WAYS:
        subprocess.run([sys.executable, __file__, "cost", "--way", way], check=True)


def gain(minutes: float, count: int) -> None:
    comp = competitions.load("hubmap-organ-segmentation")
    with tempfile.TemporaryDirectory() as folder:
        fake.make(comp, Path(folder) / "tree", train=count, test=12, size=(700, 700))
        data = comp.find_data(Path(folder) / "tree")
        images, organs = data.train_images(), data.groups()
        fold = dict(zip(images, tiles.folds(list(images), k=2).tolist(), strict=True))
        folds = []
        for k in range(2):
            torch.manual_seed(k)
            model = models.build(models.Recipe("unet", {"width": 8}, scale=4, window=128))
            pictures = [
                tiles.Picture(slides.open_slide(path), data.truth(name), 4)
                for name, path in images.items()
                if fold[name] != k
            ]
            index = tiles.index(pictures, 128)
            dataset = tiles.TileDataset(pictures, index, augment.preset("light"))
            settings = train.Settings(
                epochs=None, hours=minutes / 60, lr=5e-3, warmup=0.1, ema=0.99, progress=False
            )
            sampler = tiles.shuffled(index, k)
            made = train.fit(model, dataset, sampler, Path(folder, f"{k}"), settings)
            folds.append(models.load(made.path))
        truth = {name: data.truth(name) for name in images}
        store = tune.out_of_fold(folds, images, fold, Path(folder) / "oof", progress=False)
        started = perf_counter()
        found = tune.search(store, comp, truth, organs)
        print(found.table())
        print(f"\nsearched in {perf_counter() - started:.1f} s")
        found.draw("plateaus.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("cost", "gain"))
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--minutes", type=float, default=1.5)
    parser.add_argument("--images", type=int, default=40)
    given = parser.parse_args()
    if given.part == "gain":
        gain(given.minutes, given.images)
    elif given.way:
        measure(given.way)
    else:
        cost()
