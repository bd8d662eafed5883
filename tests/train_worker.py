"""Trainings in processes of their own: killed at chosen moments, or several ranks of one.

python -m tests.train_worker kills <folder> [<kill at step> ...]
python -m tests.train_worker ranks <folder>
"""

import csv
import json
import os
import signal
import sys
import traceback
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file

from kagglekit import augment, competitions, models, tiles, train
from kagglekit.models._state import digest
from kagglekit.rle import RLE
from kagglekit.slides import open_slide
from tests.array_slide import smooth_picture, write_image

SETTINGS = train.Settings(
    epochs=3, batch_size=2, accumulate=2, lr=3e-3, ema=0.9, workers=0, save_minutes=0, progress=False
)  # fmt: skip
COMP = competitions.load("hubmap-kidney-segmentation")


class Small(torch.nn.Module):
    """A network with all that a resume can lose: batch statistics, and random numbers drawn."""

    def __init__(self, statistics=True):
        super().__init__()
        torch.manual_seed(0)
        middle = [torch.nn.BatchNorm2d(4), torch.nn.Dropout(0.2)] if statistics else []
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3, padding=1), *middle, torch.nn.ReLU(), torch.nn.Conv2d(4, 1, 1)
        )

    def forward(self, x):
        return self.layers(x)


def model(statistics=True):
    return models.Model(Small(statistics), models.Recipe(window=32, stride=4))


def images(folder):
    """Write two small images where what is bright is to be found; return paths and truth."""
    paths, truth = {}, {}
    for seed in (0, 1):
        pixels = smooth_picture((96, 72), seed=seed)
        path = folder / f"{seed}.tiff"
        if not path.exists():  # ranks share them, and one must not replace what another reads
            write_image(path, pixels)
        paths[f"image{seed}"] = path
        truth[f"image{seed}"] = [RLE.from_mask((pixels[:, :, 0] > 140).astype(np.uint8))]
    return paths, truth


def parts(folder):
    """Return dataset, sampler and validation of the images in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    paths, truth = images(folder)
    pictures = [tiles.Picture(open_slide(paths["image0"]), truth["image0"])]
    index = tiles.index(pictures, 32)  # nine tiles: two steps of four, and a tail
    dataset = tiles.TileDataset(pictures, index, augment.preset("light"))
    valid = train.Validation(COMP, paths, truth, {"min_overlap": 0})
    return dataset, tiles.shuffled(index, seed=3), valid


def fit(folder, settings=SETTINGS, statistics=True):
    dataset, sampler, valid = parts(folder.parent / "images")
    return train.fit(model(statistics), dataset, sampler, folder, settings, valid)


def outcome(folder):
    """Return all that a training came to, but for the time it took."""
    state = torch.load(folder / "state.pt", weights_only=True)
    tensors = [*state["model"].values(), *state["average"].values()]
    tensors += [v for moments in state["optimizer"]["state"].values() for v in moments.values()]
    with (folder / "log.csv").open() as file:
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
    return {
        "weights": sha256(b"".join(t.numpy().tobytes() for t in tensors)).hexdigest(),
        "best": digest(load_file(folder / "best.safetensors")),
        "log": rows,
        "random": sha256(state["ranks"][0]["random"]["torch"].numpy().tobytes()).hexdigest(),
    }


def attempt(folder, moment):
    """Train in a fork that is killed before the moment-th writing of a file; return whether."""
    child = os.fork()
    if child == 0:
        left = [moment]
        replace_file = Path.replace

        def counted(self, target):
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return replace_file(self, target)

        Path.replace = counted
        code = 1
        try:
            fit(folder)
            code = 0
        except BaseException:
            traceback.print_exc()
        os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def kills(folder, *moments):
    """Print, as JSON, what an undisturbed training came to, and one killed again and again."""
    folder = Path(folder)
    fit(folder / "whole")  # here, so that all forks find everything imported and compiled
    killed = [attempt(folder / "killed", int(moment)) for moment in moments]
    attempt(folder / "killed", -1)
    found = {"whole": outcome(folder / "whole"), "killed": outcome(folder / "killed")}
    print(json.dumps(found | {"kills": sum(killed)}))


def rank(folder):
    """Train two ranks with batches of two, as one rank does with batches of four."""
    fit(folder / "two", replace(SETTINGS, accumulate=1), statistics=False)
    result = fit(folder / "statistics", replace(SETTINGS, accumulate=1))
    Path(folder, f"{os.environ['RANK']}.json").write_text(json.dumps(result.score))


def ranks(folder):
    import accelerate

    *_, valid = parts(Path(folder) / "images")
    valid.score(model().eval())  # both forks find everything imported and compiled
    accelerate.notebook_launcher(rank, (Path(folder),), num_processes=2, use_port="29631")


if __name__ == "__main__":
    torch.set_num_threads(1)
    cv2.setNumThreads(1)  # its threads would not be there in a fork
    globals()[sys.argv[1]](*sys.argv[2:])
