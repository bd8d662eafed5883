"""Images and models to tune on; run as a program, a store that is killed again and again.

    python -m tests.tune_worker <folder>

Each attempt is a fork of this process, or two that are ranks. Prints JSON: how often each store was
killed, how often models were called in all and in a run that nobody disturbed, and whether the
maps are the same.
"""

import json
import os
import shutil
import signal
import sys
import time
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import torch

from kagglekit import tune
from kagglekit.models import Model, Recipe
from tests import forks


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


def attempt(folder, out, kill_at=-1, rank=0):
    """Fill a store; be killed in a call of a model, and note every one and whose it was."""
    names = [f"i{k}" for k in range(4)]
    images = {name: folder / "images" / f"{name}.png" for name in names}
    fold = {name: k % 2 for k, name in enumerate(names)}
    calls = 0

    def happens():
        nonlocal calls
        calls += 1
        with (folder / f"{out.name}-calls").open("a") as file:
            file.write(str(rank))
        if calls == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def slow(path, quick=tune._store.fingerprint):
        time.sleep(0.1 * rank)  # the first has begun before the second looks what is left
        return quick(path)

    tune._store.fingerprint = slow
    models = [red(0.0, happens=happens), red(0.3, happens=happens)]
    options = {"progress": False, "tta": "flips", "batch_size": 1}
    store = tune.out_of_fold(models, images, fold, out, **options)
    return [len(prob.values) for prob in store.values()]


def alone(folder, out, kill_at=-1):
    return forks.wait([forks.fork(lambda: attempt(folder, out, kill_at))])


def ranks(folder, out, kill_at=-1):
    children = forks.start(2, folder / "ranks", lambda rank: attempt(folder, out, kill_at, rank))
    return forks.wait_as_launchers_do(children)


def killed(fill, folder, out):
    """Fill a store that is killed until it is whole; return how often it was."""
    kills = 0
    while kills < 20:
        ended = fill(folder, out, 29)  # a strip of these takes up to 24 calls
        if not any(ended):
            break
        kills += -signal.SIGKILL in ended
    return kills


def main(folder):
    torch.set_num_threads(1)
    write_images(folder / "images", [(100, 140), (90, 130), (64, 200), (70, 70)])
    tune._store._LONG = 95 * 100  # the first three are noted strip by strip
    kills = {"whole": any(alone(folder, folder / "whole"))}
    kills["alone"] = killed(alone, folder, folder / "alone")
    kills["both"] = killed(ranks, folder, folder / "both")
    # What the first rank would have had of four images is there; what is left is for both.
    (folder / "rest").mkdir()
    for path in [*(folder / "whole").glob("i0.*"), *(folder / "whole").glob("i2.*")]:
        shutil.copy(path, folder / "rest")
    kills["rest"] = any(ranks(folder, folder / "rest"))
    print(json.dumps({
        name: {
            "kills": number,
            "calls": (folder / f"{name}-calls").read_text(),
            "same": content(folder / name) == content(folder / "whole"),
            "left": sorted(path.name for path in (folder / name).glob(".*")),
        }
        for name, number in kills.items()
    }))  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
