"""Feeding a training: tiles per second and memory, side by side, each in a process of its own.

    uv run python benchmarks/train.py              # prints the table
    uv run python benchmarks/train.py --small      # a sixteenth of the pixels, for a quick look

The same synthetic slide at scale 2, the same 256-pixel tiles, augmented to the same degree (the
square's symmetries, light and contrast by a tenth); batches of 16 in steady state (the best epoch
counts), the best of several runs that take turns.

- kagglekit: the picture stored once (`tiles.store`), a `TileDataset` over it, `augment.preset`.
- in memory: the tutorials' way, all tiles in one array before training begins, a plain Dataset over
  it with an albumentations pipeline.
- PNG files: the same Dataset, which reads a PNG of each tile and of its mask.

Memory is what the process holds of its own beyond its imports: pages of a mapped file are the
system's, who takes them back when they are needed.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

from kagglekit import augment, tiles
from kagglekit.rle import RLE
from kagglekit.slides import open_slide

WINDOW, SCALE, BATCH, EPOCHS, RUNS = 256, 2, 16, 3, 3
CONTESTANTS = ("kagglekit", "in memory", "PNG files")


class Arrays(Dataset[Any]):
    """Tiles that are somewhere, read by a function."""

    def __init__(self, count: int, read: Any) -> None:
        import albumentations

        self.count, self.read = count, read
        self.augment = albumentations.Compose(
            [
                albumentations.HorizontalFlip(p=0.5),
                albumentations.VerticalFlip(p=0.5),
                albumentations.Transpose(p=0.5),
                albumentations.RandomBrightnessContrast(0.1, 0.1, p=0.8),
            ]
        )

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        pixels, mask = self.read(i)
        made = self.augment(image=pixels, mask=mask)
        image = np.ascontiguousarray(made["image"].transpose(2, 0, 1))
        return torch.from_numpy(image), torch.from_numpy(made["mask"])[None]


def make(folder: Path, side: int) -> None:
    """Draw a slide of noise with a mask of discs; write it in each contestant's form."""
    pixels = np.random.default_rng(0).integers(0, 255, (side, side, 3), np.uint8)
    np.save(folder / "slide.npy", pixels)
    tiles.store({"slide": folder / "slide.npy"}, discs, folder / "store", SCALE, progress=False)
    picture = tiles.open_store(folder / "store", ["slide"])[0]
    for i, (image, planes) in enumerate(zip(*cut(picture), strict=True)):
        cv2.imwrite(str(folder / f"{i}.png"), image)
        cv2.imwrite(str(folder / f"{i}_mask.png"), planes[0])


def discs(name: str, slide: Any) -> list[RLE]:
    """Return a mask of discs, of the size and as far apart as glomeruli are."""
    (height, width), apart, radius = slide.shape, 1500, 180
    y, x = np.arange(apart) - apart // 2, np.arange(width) % apart - apart // 2
    row = ((y[:, None] ** 2 + x**2) < radius**2).astype(np.uint8)
    return [RLE.from_mask(np.tile(row, (-(-height // apart), 1))[:height])]


def cut(picture: tiles.Picture) -> tuple[np.ndarray, np.ndarray]:
    """Return all tiles of a stored picture as arrays."""
    return tiles.cut(picture.slide, picture.masks, WINDOW)


def dataset(name: str, folder: Path) -> tuple[Dataset[Any], dict[str, Any]]:
    """Return a contestant's dataset, and how its loader is to draw."""
    pictures = tiles.open_store(folder / "store", ["slide"])
    if name == "kagglekit":
        index = tiles.index(pictures, WINDOW)
        ours = tiles.TileDataset(pictures, index, augment.preset("light"))
        return ours, {"sampler": tiles.shuffled(index), "collate_fn": tiles.collate}
    if name == "in memory":
        images, masks = cut(pictures[0])
        return Arrays(len(images), lambda i: (images[i], masks[i, 0])), {"shuffle": True}
    count = len(list(folder.glob("*_mask.png")))

    def read(i: int) -> tuple[np.ndarray, np.ndarray]:
        mask = cv2.imread(str(folder / f"{i}_mask.png"), cv2.IMREAD_UNCHANGED)
        return cv2.imread(str(folder / f"{i}.png")), mask

    return Arrays(count, read), {"shuffle": True}


def own_memory() -> float:
    """Return the megabytes that this process holds of its own, mapped files left out."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1024


def feed(name: str, folder: Path) -> dict[str, float]:
    """Run one contestant in this process."""
    torch.set_num_threads(1)
    augment.preset("light")  # imports albumentations, which all of them use
    before = own_memory()
    data, drawing = dataset(name, folder)
    loader = DataLoader(data, batch_size=BATCH, **drawing)
    peak, best = 0.0, float("inf")
    for _ in range(EPOCHS + 1):
        started = time.process_time()
        for _ in loader:
            peak = max(peak, own_memory())
        best = min(best, time.process_time() - started)
    return {"speed": len(data) / best, "memory": peak - before}  # type: ignore[arg-type]


def runs(folder: Path) -> Iterator[tuple[str, dict[str, float]]]:
    """Run every contestant, several times in turns."""
    for _ in range(RUNS):
        for name in CONTESTANTS:
            command = [sys.executable, __file__, "--feed", name, str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            yield name, json.loads(done.stdout)


def main() -> None:
    """Make the data, run everything, print the table."""
    side = 4096 if "--small" in sys.argv else 16384
    with tempfile.TemporaryDirectory() as scratch:
        make(Path(scratch), side)
        found: dict[str, list[dict[str, float]]] = {name: [] for name in CONTESTANTS}
        for name, result in runs(Path(scratch)):
            found[name].append(result)
        with open_slide(Path(scratch) / "slide.npy") as slide:
            print(f"slide {slide.shape} at scale {SCALE}, tiles of {WINDOW}, no workers\n")
    print("| | tiles per CPU second | ratio to kagglekit | own memory, MB |")
    print("|---|---|---|---|")
    ours = max(result["speed"] for result in found["kagglekit"])
    for name, results in found.items():
        speed = max(result["speed"] for result in results)
        memory = min(result["memory"] for result in results)
        print(f"| {name} | {speed:.0f} | {speed / ours:.2f} | {memory:.0f} |")


if __name__ == "__main__":
    if "--feed" in sys.argv:
        print(json.dumps(feed(sys.argv[-2], Path(sys.argv[-1]))))
    else:
        main()
