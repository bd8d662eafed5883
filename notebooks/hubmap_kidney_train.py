# %% [markdown]
# # HuBMAP kidney: train
#
# Train a U-Net to find glomeruli, at a quarter of the slides' resolution, and check it on held-out
# slides with the very call that the submission will use. Attach the competition
# `hubmap-kidney-segmentation` and the dataset that `build_offline.py` made.

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
SCALE, WINDOW, SEED = 4, 128, 0
STORED = Path("tiles")  # the slides at that scale; deleted at the end
GPUS = torch.cuda.device_count()
WIDTH, BATCH = (64, 32) if GPUS else (8, 8)  # each GPU sees a batch of its own
RECIPE = models.Recipe("unet", {"width": WIDTH}, scale=SCALE, window=256)
SETTINGS = train.Settings(
    epochs=None, hours=MINUTES / 60, batch_size=BATCH, lr=5e-3, warmup=0.1, ema=0.99
)

# %%
comp = competitions.load("hubmap-kidney-segmentation")
data = comp.find_data()
labelled, patients = data.train_images(), data.groups()
held_out = patients[next(iter(labelled))]  # a patient's slides are alike: all or none
valid = {i: path for i, path in labelled.items() if patients[i] == held_out}
learnt = {i: path for i, path in labelled.items() if i not in valid}
tiles.store(learnt, tiles.planes(data), STORED, SCALE)
pictures = tiles.open_store(STORED, learnt)
index = tiles.index(pictures, WINDOW, min_overlap=WINDOW // 2)
print(f"{len(index)} tiles, {(index.area > 0).mean():.0%} of them with glomeruli")

# %%
dataset = tiles.TileDataset(pictures, index, augment.preset("light"))
sampler = tiles.balanced(index, length=20_000, seed=SEED)
validation = train.Validation(comp, valid, {i: data.truth(i) for i in valid}, {"tta": "flips"})


def work():  # on every GPU; after a kill, the same call goes on
    torch.manual_seed(SEED)
    train.fit(models.build(RECIPE), dataset, sampler, "run", SETTINGS, validation)


accelerate.notebook_launcher(work, num_processes=max(GPUS, 1))

# %%
print(pd.read_csv("run/log.csv").to_string(index=False))
shutil.copy("run/best.safetensors", "unet.safetensors")
shutil.rmtree(STORED)
