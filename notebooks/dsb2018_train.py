# %% [markdown]
# # Data Science Bowl 2018: train
#
# Train a U-Net to find nuclei and, as planes of their own, their cores and the borders between
# them, which tell touching nuclei apart. Attach the competition `data-science-bowl-2018` and the
# dataset that `build_offline.py` made.

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
import shutil
from pathlib import Path

import accelerate
import numpy as np
import pandas as pd
import torch

from kagglekit import (
    augment,
    competitions,
    instances,
    models,
    slides,
    stain,
    tiles,
    touching,
    train,
)

MINUTES = float(os.environ.get("KAGGLEKIT_MINUTES", 60))  # training time
WINDOW, MIN_AREA, SEED = 128, 20, 0
SURE = (0.5, 0.6, 0.7, 0.8, 0.9)  # one is chosen on held-out images
EVENED = Path("evened")  # the images, all nuclei bright on dark ground; deleted at the end
GPUS = torch.cuda.device_count()
WIDTH, BATCH = (64, 32) if GPUS else (12, 8)  # each GPU sees a batch of its own
RECIPE = models.Recipe("unet", {"width": WIDTH}, classes=3, window=256)
SETTINGS = train.Settings(
    epochs=None, hours=MINUTES / 60, batch_size=BATCH, lr=5e-3, warmup=0.1, ema=0.99
)

# %%
comp = competitions.load("data-science-bowl-2018")
data = comp.find_data()
EVENED.mkdir(exist_ok=True)
paths, truth = {}, {}
for image_id, path in data.train_images().items():
    with slides.open_slide(path) as slide:
        pixels = slide.read(0, slide.shape[0], 0, slide.shape[1])
    paths[image_id], truth[image_id] = EVENED / f"{image_id}.npy", data.truth(image_id)
    np.save(paths[image_id], stain.even(pixels))
valid = {image_id: paths[image_id] for image_id in list(paths)[::8]}


def picture(image_id):
    slide, nuclei = slides.open_slide(paths[image_id]), truth[image_id]
    targets = (instances.union, touching.cores, tiles.borders)
    return tiles.Picture(slide, [target(nuclei, slide.shape) for target in targets])


pictures = [picture(image_id) for image_id in paths if image_id not in valid]
index = tiles.index(pictures, WINDOW)
print(f"{len(index)} tiles of {len(pictures)} images")


# %%
def options(sure):  # nuclei, cores, borders, and once more nuclei where the network is sure
    return {"tta": "flips", "planes": (0, 1, 2, 0), "threshold": (0.5, 0.8, 0.4, sure)}


def finish(planes):
    mask, core, border, sure = planes
    nuclei = [one for one in touching.grow(core - border, mask) if one.area >= MIN_AREA]
    return [one for one in nuclei if 2 * (one & sure).area >= one.area]  # doubtful ones cost more


def validation(sure):
    return train.Validation(comp, valid, truth, options(sure), finish)


dataset = tiles.TileDataset(pictures, index, augment.preset("light"))
sampler = tiles.evenly(index.picture, length=5000, seed=SEED)  # every image alike, as in the metric


def work():  # on every GPU; after a kill, the same call goes on
    torch.manual_seed(SEED)
    train.fit(models.build(RECIPE), dataset, sampler, "run", SETTINGS, validation(SURE[0]))


accelerate.notebook_launcher(work, num_processes=max(GPUS, 1))

# %%
print(pd.read_csv("run/log.csv").to_string(index=False))
model = models.load("run/best.safetensors").to("cuda" if GPUS else "cpu")
sure = max(SURE, key=lambda sure: validation(sure).score(model).value)
print(f"half of a nucleus has to be above {sure}")
models.save(model, "unet.safetensors")
Path("options.json").write_text(json.dumps(options(sure)))
shutil.rmtree(EVENED)
