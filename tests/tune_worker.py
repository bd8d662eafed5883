"""Images and models to tune on; run as a program, a store that is killed again and again.

    python -m tests.tune_worker <folder>

Each attempt is a fork of this process. Prints JSON: how often it was killed, how often models were
called in all and in a run that nobody disturbed, and whether the maps are the same.
"""

import json
import os
import signal
import sys
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import torch

from kagglekit import tune
from kagglekit.models import Model, Recipe


class Red(torch.nn.Module):
    """Its prob is the red value (as a logit), a bit more or less of it for each fold."""

    def __init__(self, shift=0.0, planes=1, happens=lambda: None):
        super().__init__()
        self.shift = torch.nn.Parameter(torch.tensor(shift))
        self.planes, self.happens = planes, happens

    def forward(self, x):
        self.happens()
        return torch.logit(x[:, : self.planes].clamp(1e-6, 1 - 1e-6)) + self.shift


def red(shift=0.0, planes=1, happens=lambda: None, **recipe):
    recipe = {"window": 64, "stride": 32, "mean": (0.0,), "std": (1.0,)} | recipe
    return Model(Red(shift, planes, happens), Recipe(classes=planes, **recipe)).eval()


def blobs(rng, shape, coarse=8):
    """(h, w, 3) uint8, smooth."""
    small = rng.integers(0, 256, (2 + shape[0] // coarse, 2 + shape[1] // coarse, 3), np.uint8)
    return cv2.resize(small, shape[::-1], interpolation=cv2.INTER_CUBIC)


def write_images(folder, shapes, seed=0):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    images = {}
    for k, shape in enumerate(shapes):
        images[f"i{k}"] = folder / f"i{k}.png"
        cv2.imwrite(str(images[f"i{k}"]), blobs(rng, shape)[:, :, ::-1])
    return images


def content(folder):
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("i*"))}


def main(folder):
    torch.set_num_threads(1)
    images = write_images(folder / "images", [(100, 140), (90, 130), (64, 200), (70, 70)])
    fold = {image: k % 2 for k, image in enumerate(images)}
    tune._store._LONG = 95 * 100  # the first three are noted strip by strip
    calls = 0
    counted = folder / "calls"

    def attempt(out, kill_at):
        nonlocal calls
        calls = 0

        def happens():
            nonlocal calls
            calls += 1
            with counted.open("a") as file:
                file.write("x")
            if calls == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

        models = [red(0.0, happens=happens), red(0.3, happens=happens)]
        tune.out_of_fold(models, images, fold, out, progress=False, tta="flips")

    def in_child(out, kill_at):
        child = os.fork()
        if not child:
            attempt(out, kill_at)
            os._exit(0)
        return os.waitpid(child, 0)[1] != 0

    in_child(folder / "whole", -1)
    alone = len(counted.read_text())
    counted.unlink()
    kills = 0
    while kills < 20 and in_child(folder / "killed", 29):  # a strip of these takes up to 24 calls
        kills += 1
    print(json.dumps({
        "kills": kills, "alone": alone, "calls": len(counted.read_text()),
        "same": content(folder / "killed") == content(folder / "whole"),
        "left": sorted(path.name for path in (folder / "killed").glob(".*")),
    }))  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
