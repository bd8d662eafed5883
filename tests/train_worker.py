"""Trainings in processes of their own: killed, with workers, on several ranks.

    python -m tests.train_worker cases <folder>      all of test_train's cases, told as JSON
    accelerate launch ... -m tests.train_worker launched <folder>

Of the second, rank 0 trains in `host0/run` of the folder, rank 1 in `host1/run`.
"""

import csv
import json
import os
import random
import shutil
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from functools import wraps
from hashlib import sha256
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file

from kagglekit import augment, competitions, models, tiles, train
from kagglekit.models._state import digest
from kagglekit.rle import RLE
from kagglekit.slides import open_slide
from tests import forks
from tests.array_slide import smooth_picture, write_image

SETTINGS = train.Settings(
    epochs=3, batch_size=2, accumulate=2, lr=3e-3, ema=0.9, workers=0, save_minutes=0, progress=False
)  # fmt: skip
# Of each of two ranks: an epoch's nine tiles are a step of six, and one of two and one.
RANKS = replace(SETTINGS, epochs=6, batch_size=3, accumulate=1)
COMP = competitions.load("hubmap-kidney-segmentation")


class Small(torch.nn.Module):
    """A network with all that a resume can lose: batch statistics, and random numbers drawn."""

    def __init__(self, statistics=True, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        middle = [torch.nn.BatchNorm2d(4), torch.nn.Dropout(0.2)] if statistics else []
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3, padding=1), *middle, torch.nn.ReLU(), torch.nn.Conv2d(4, 1, 1)
        )

    def forward(self, x):
        return self.layers(x)


def model(statistics=True, seed=0):
    return models.Model(Small(statistics, seed), models.Recipe(window=32, stride=4))


def images(folder):
    """Write three small images where what is bright is to be found; return paths and truth."""
    paths, truth = {}, {}
    for seed in (0, 1, 2):
        pixels = smooth_picture((96, 72), seed=seed)
        path = folder / f"{seed}.tiff"
        if not path.exists():  # ranks share them: none must write what another is reading
            write_image(beside := folder / f"{seed}-{os.getpid()}.tiff", pixels)
            with suppress(FileExistsError):
                path.hardlink_to(beside)
            beside.unlink()
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
    others = {name: path for name, path in paths.items() if name != "image0"}
    valid = train.Validation(COMP, others, truth, {"min_overlap": 0})
    return dataset, tiles.shuffled(index, seed=3), valid


def fit(folder, settings=SETTINGS, statistics=True, seed=0):
    dataset, sampler, valid = parts(folder.parent / "images")
    return train.fit(model(statistics, seed), dataset, sampler, folder, settings, valid)


def outcome(folder):
    """Return all that a training came to, but for the time it took."""
    state = torch.load(folder / "state.pt", weights_only=True)
    numbers = [rank["random"]["torch"] for rank in state["ranks"]]
    tensors = [*state["model"].values(), *state["average"].values()]
    tensors += [v for moments in state["optimizer"]["state"].values() for v in moments.values()]
    with (folder / "log.csv").open() as file:
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
    return {
        "weights": sha256(b"".join(t.numpy().tobytes() for t in tensors)).hexdigest(),
        "best": digest(load_file(folder / "best.safetensors")),
        "log": rows,
        "random": [sha256(each.numpy().tobytes()).hexdigest() for each in numbers],
    }


def killed_at(moment, folder, settings):
    """Train in a fork that is killed before a file is written: the moment-th, or of that name."""

    def work():
        writings, replace_file = count(), Path.replace

        def counted(self, target):
            if moment in (next(writings), Path(target).name):
                os.kill(os.getpid(), signal.SIGKILL)
            return replace_file(self, target)

        Path.replace = counted
        fit(folder, settings)

    return forks.wait([forks.fork(work)]) == [-signal.SIGKILL]


def kill_again_and_again(start, folder, kills=4):
    """Kill a training some time after it was saved, again and again, then let it end."""
    rng, killed = random.Random(0), 0
    while killed < kills:
        ended = forks.kill_in(rng.uniform(0, 0.01), folder / "state.pt", start())
        if -signal.SIGKILL in ended:
            killed += 1
        elif any(ended):
            raise RuntimeError(f"a training ended with {ended}")
        else:  # it ended before, because this process was kept waiting
            shutil.rmtree(folder)
            killed = 0
    if any(forks.wait(start())):
        raise RuntimeError("the last training did not end well")


def alone(folder):
    """Return what trainings of one process came to: left alone, killed at writings, and with workers."""
    last = replace(SETTINGS, epochs=1)
    workers = replace(SETTINGS, workers=2)
    for name, settings in (("whole", SETTINGS), ("short", last)):
        forks.wait([forks.fork(lambda name=name, settings=settings: fit(folder / name, settings))])
    told = {"writings": sum(killed_at(k, folder / "writings", SETTINGS) for k in (2, 1, 0, 4, 3))}
    killed_at(-1, folder / "writings", SETTINGS)
    told["log"] = killed_at("log.csv", folder / "log", last)
    killed_at(-1, folder / "log", last)
    kill_again_and_again(
        lambda: [forks.fork(lambda: fit(folder / "workers", workers))], folder / "workers"
    )
    names = ("whole", "short", "writings", "log", "workers")
    return {"kills": told} | {name: outcome(folder / name) for name in names}


def rank(folder):
    """Train two ranks with batches of two, as one rank does with batches of four."""
    number = int(os.environ["RANK"])
    fit(folder / "two", replace(RANKS, epochs=3, batch_size=2), statistics=False)
    result = fit(folder / "statistics", RANKS, seed=number)
    group = torch.distributed.group.WORLD._get_backend(torch.device("cpu"))
    told = {"score": result.score, "longest wait": group.options._timeout.total_seconds()}
    Path(folder, f"{number}.json").write_text(json.dumps(told))


def mortal(loss):
    """Return a loss that kills rank 1 in its fourth step, in the middle of an epoch."""
    left = [4]

    @wraps(loss)
    def dying(*given):
        left[0] -= 1
        if left[0] == 0 and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGKILL)
        return loss(*given)

    return dying


def dying(folder):
    fit(folder, replace(RANKS, loss=mortal(RANKS.loss)), seed=int(os.environ["RANK"]))


def ranks(folder):
    """Return what trainings of two ranks came to: left alone, one rank killed, all killed."""
    import accelerate
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    accelerate.notebook_launcher(rank, (folder,), num_processes=2, use_port=forks.free_port())
    killed, left = folder / "killed", folder / "left"
    told = {}
    try:
        accelerate.notebook_launcher(dying, (killed,), num_processes=2, use_port=forks.free_port())
    except ChildFailedError as error:
        told["launcher"] = str(error)
    told["left"] = forks.wait(forks.start(2, left, lambda rank: dying(left / "run")))
    told["why"] = (left / "0.txt").read_text()
    (folder / "host0" / "run").mkdir(parents=True)
    for name in ("state.pt", "best.safetensors"):
        (folder / "host0" / "run" / name).write_bytes((killed / name).read_bytes())
    kill_again_and_again(
        lambda: forks.start(2, folder / "forks", lambda rank: fit(killed, RANKS, seed=rank)), killed
    )
    averages = forks.answers(2, folder / "forks", average)
    found = {name: outcome(folder / name) for name in ("statistics", "killed")}
    return told | found | {"averages": averages}


def average(rank):
    """Return what tells the average that a rank begins with from others."""
    return digest(train._run.Run(model(seed=rank), RANKS).judged.net.state_dict())


def cases(folder):
    folder = Path(folder)
    *_, valid = parts(folder / "images")
    valid.score(model().eval())  # all forks find everything imported and compiled
    torch.optim.AdamW(model().parameters())
    for name in ("alone", "ranks"):
        (folder / name).mkdir()
    print(json.dumps({"alone": alone(folder / "alone"), "ranks": ranks(folder / "ranks")}))


def launched(folder):
    number = os.environ["RANK"]
    fit(Path(folder, f"host{number}", "run"), RANKS, seed=int(number))


if __name__ == "__main__":
    torch.set_num_threads(1)
    cv2.setNumThreads(1)  # its threads would not be there in a fork
    globals()[sys.argv[1]](*sys.argv[2:])
