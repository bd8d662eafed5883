# %% [markdown]
# # Severstal: train
#
# Train a U-Net to find four kinds of defects in steel, then choose for each kind the smallest area
# that is worth reporting. Attach the competition `severstal-steel-defect-detection` and the dataset
# that `build_offline.py` made.

# %%
import glob
import os
import runpy

root = os.environ.get("KAGGLEKIT_INPUT", "/kaggle/input")
found = glob.glob(f"{root}/kagglekit-offline/install.py")
found += glob.glob(f"{root}/datasets/*/kagglekit-offline/install.py")
if not found:
    raise FileNotFoundError("attach the dataset kagglekit-offline to this notebook")
_ = runpy.run_path(found[0], run_name="__main__")

# %%
import json
from functools import partial
from pathlib import Path

import accelerate
import numpy as np
import pandas as pd
import torch

from kagglekit import (
    augment,
    competitions,
    inference,
    losses,
    metrics,
    models,
    regions,
    slides,
    tiles,
    train,
)

MINUTES = float(os.environ.get("KAGGLEKIT_MINUTES", 120))  # training time
WINDOW, SEED = 128, 0
MIN_AREAS = (600, 0, 100, 300, 1000, 2000, 4000)  # tried for each class; of equal ones the first
OPTIONS = {"tta": "flips", "exclusive": True}  # a pixel has one kind of defect at most
GPUS = torch.cuda.device_count()
SCALE, WIDTH, BATCH = (1, 64, 32) if GPUS else (2, 8, 8)
SETTINGS = train.Settings(
    epochs=None, hours=MINUTES / 60, batch_size=BATCH, lr=5e-3, warmup=0.1, ema=0.99,
    # Most tiles have none of most kinds: if that counted as Dice, it would teach to find nothing.
    loss=partial(losses.bce_dice_loss, empty="skip"),
)  # fmt: skip

# %%
comp = competitions.load("severstal-steel-defect-detection")
data = comp.find_data()
kinds = data.rules.classes
recipe = models.Recipe(
    "unet", {"width": WIDTH}, classes=len(kinds), class_names=kinds, scale=SCALE, window=256
)
labelled = data.train_images()  # of the folder: a table may list only those with a defect
valid = {i: labelled[i] for i in list(labelled)[::5][:500]}
truth = {i: data.truth(i) for i in valid}
pictures = [
    tiles.Picture(slides.open_slide(path), data.truth(i), SCALE)
    for i, path in labelled.items()
    if i not in valid
]
index = tiles.index(pictures, WINDOW)
there = index.area > 0  # (N, 4): which tile shows which kinds
# Each tile counts as the rarest kind in it, and each kind is drawn as often as another, as is none.
rarest = np.where(there, there.sum(0), len(there) + 1).argmin(1)
sampler = tiles.evenly(np.where(there.any(1), rarest, len(kinds)), length=8000, seed=SEED)
print(f"{len(index)} tiles, {there.any(1).mean():.0%} of them with a defect")

# %%
dataset = tiles.TileDataset(pictures, index, augment.preset("light"))
validation = train.Validation(comp, valid, truth, OPTIONS)


def work():  # on every GPU; after a kill, the same call goes on
    torch.manual_seed(SEED)
    model = models.build(recipe)
    torch.nn.init.constant_(model.net.head.bias, -3)  # steel is sound: that need not be learnt
    train.fit(model, dataset, sampler, "run", SETTINGS, validation)


accelerate.notebook_launcher(work, num_processes=max(GPUS, 1))
print(pd.read_csv("run/log.csv").to_string(index=False))

# %%
model = models.load("run/best.safetensors").to("cuda" if GPUS else "cpu")
found = {}
for image_id, path in valid.items():
    with slides.open_slide(path) as slide:
        found[image_id] = inference.predict_masks(model, slide, **OPTIONS, progress=False)


def dice(kind, min_area):
    pairs = [(regions.drop_small(found[i][kind], min_area), truth[i][kind]) for i in valid]
    return np.mean([metrics.dice(pred, true) for pred, true in pairs])


areas = [max(MIN_AREAS, key=lambda area, k=k: dice(k, area)) for k in range(len(kinds))]
scores = np.round([dice(k, area) for k, area in enumerate(areas)], 3)
print(f"smallest areas {areas}: Dice by class {scores} on {len(valid)} held-out images")
models.save(model, "unet.safetensors")
Path("min_areas.json").write_text(json.dumps(dict(zip(kinds, areas, strict=True))))
