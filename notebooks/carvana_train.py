# %% [markdown]
# # Carvana: train
#
# Train a U-Net to cut cars out of photographs, at a quarter of their resolution, and check it on
# cars that it has never seen. Attach the competition `carvana-image-masking-challenge` and the
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
import shutil
from pathlib import Path

import accelerate
import pandas as pd
import torch

from kagglekit import augment, competitions, models, tiles, train

MINUTES = float(os.environ.get("KAGGLEKIT_MINUTES", 120))  # training time
WINDOW, FOLDS, SEED = 128, 4, 0
STORED = Path("tiles")  # the photographs at that scale; deleted at the end
GPUS = torch.cuda.device_count()
# On a CPU half the size of the pictures: more of them are seen in the same time.
SCALE, WIDTH, BATCH, LR = (4, 64, 32, 5e-3) if GPUS else (8, 8, 4, 1e-2)
RECIPE = models.Recipe("unet", {"width": WIDTH}, scale=SCALE, window=256)
SETTINGS = train.Settings(
    epochs=None, hours=MINUTES / 60, batch_size=BATCH, lr=LR, warmup=0.1, ema=0.99
)

# %%
comp = competitions.load("carvana-image-masking-challenge")
data = comp.find_data()
labelled, cars = data.train_images(), data.groups()  # 16 views of a car are alike: all or none
fold = tiles.folds([cars[image_id] for image_id in labelled], FOLDS, seed=SEED)
learnt = {i: path for (i, path), n in zip(labelled.items(), fold, strict=True) if n}
valid = [i for i in labelled if i not in learnt][:160]  # ten cars tell enough of an epoch
tiles.store(learnt, tiles.planes(data), STORED, SCALE)
pictures = tiles.open_store(STORED, learnt)
index = tiles.index(pictures, WINDOW)
print(f"{len(index)} tiles of {len(learnt)} images")

# %%
dataset = tiles.TileDataset(pictures, index, augment.preset("light"))
sampler = tiles.evenly(index.picture, length=8000, seed=SEED)
validation = train.Validation(
    comp, {i: labelled[i] for i in valid}, {i: data.truth(i) for i in valid}, {"tta": "flips"}
)


def work():  # on every GPU; after a kill, the same call goes on
    torch.manual_seed(SEED)
    train.fit(models.build(RECIPE), dataset, sampler, "run", SETTINGS, validation)


accelerate.notebook_launcher(work, num_processes=max(GPUS, 1))

# %%
print(pd.read_csv("run/log.csv").to_string(index=False))
shutil.copy("run/best.safetensors", "unet.safetensors")
shutil.rmtree(STORED)
