"""What goes on after a stop, tried with the versions of Kaggle's image, which has no pytest.

    python -m tests.kaggle_worker <folder>

Prints JSON: how often networks were called in a whole prediction and training, in those that were
stopped, and in the rest of these; and whether the same came of both.
"""

import json
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from kagglekit import inference, models, tiles, train
from kagglekit.rle import RLE
from kagglekit.slides import open_slide

RECIPE = models.Recipe("unet", {"width": 4}, window=64)
OPTIONS = {"min_overlap": 0, "batch_size": 1, "progress": False}
SETTINGS = train.Settings(epochs=2, batch_size=2, workers=0, progress=False)


def counted(stop_at):
    """Return a network, and a list that grows with its calls; it stops at one of them."""
    torch.manual_seed(0)
    model, calls = models.build(RECIPE), []

    def count(*_):
        calls.append(1)
        if len(calls) == stop_at:
            raise KeyboardInterrupt

    model.register_forward_pre_hook(count)
    return model, calls


def predict(slide, notes, stop_at=None):
    """Return the mask, and how many windows the network has seen."""
    model, calls = counted(stop_at)
    mask = None
    with suppress(KeyboardInterrupt):
        mask = inference.predict_mask(model.eval(), slide, checkpoint=notes, **OPTIONS)
    return mask, len(calls)


def fit(slide, folder, stop_at=None):
    """Train; return the weights, and how many batches the network has seen."""
    model, calls = counted(stop_at)
    picture = tiles.Picture(slide, [RLE.from_mask(slide.read(0, 300, 0, 200)[..., 0] > 128)])
    index = tiles.index([picture], 64)
    dataset = tiles.TileDataset([picture], index)
    with suppress(KeyboardInterrupt):
        train.fit(model, dataset, tiles.shuffled(index), folder, SETTINGS)
    return [*model.parameters()], len(calls)


def main(folder):
    """Do all of it."""
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    pixels = np.random.default_rng(0).integers(0, 256, (300, 200, 3), np.uint8)
    np.save(folder / "a.npy", pixels)
    with open_slide(folder / "a.npy") as slide:
        whole, calls = predict(slide, None)
        _, first = predict(slide, folder / "notes", calls - 1)
        rest, second = predict(slide, folder / "notes")
        trained, batches = fit(slide, folder / "whole")
        _, before = fit(slide, folder / "parts", batches - 2)
        again, after = fit(slide, folder / "parts")
    found = {
        "numpy": np.__version__,
        "predicted": [calls, first, second],
        "is_right": rest == whole and whole.area > 0,
        "trained": [batches, before, after],
        "is_trained": all(torch.equal(a, b) for a, b in zip(trained, again, strict=True)),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
