# %% [markdown]
# # HuBMAP organs: train
#
# Train a U-Net to find functional tissue units in five organs, at several scales, because the
# hidden test comes from scanners with other pixel sizes; then choose a threshold for each organ.
# Attach the competition `hubmap-organ-segmentation` and the dataset that `build_offline.py` made.

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

from kagglekit import augment, competitions, models, tiles, train, tune

MINUTES = float(os.environ.get("KAGGLEKIT_MINUTES", 120))  # training time
SCALE, SCALES, WINDOW, SEED = 4, (3, 4, 5), 128, 0  # the model's scale; those of the tiles
STORED = Path("tiles")  # the images at those scales; deleted at the end
GPUS = torch.cuda.device_count()
WIDTH, BATCH = (64, 32) if GPUS else (8, 8)  # each GPU sees a batch of its own
RECIPE = models.Recipe("unet", {"width": WIDTH}, scale=SCALE, window=256)
SETTINGS = train.Settings(
    epochs=None, hours=MINUTES / 60, batch_size=BATCH, lr=5e-3, warmup=0.1, ema=0.99
)

# %%
comp = competitions.load("hubmap-organ-segmentation")
data = comp.find_data()
labelled, organs = data.train_images(), data.groups()
by_organ = {organ: [i for i in labelled if organs[i] == organ] for organ in organs.values()}
held_out = [i for ids in by_organ.values() if len(ids) > 1 for i in ids[::5]]
valid, truth = {i: labelled[i] for i in held_out}, {i: data.truth(i) for i in held_out}
learnt = {i: path for i, path in labelled.items() if i not in valid}
pictures = []
for scale in SCALES:
    tiles.store(learnt, tiles.planes(data), STORED / f"{scale}", scale)
    pictures += tiles.open_store(STORED / f"{scale}", learnt)
index = tiles.index(pictures, WINDOW)
print(f"{len(index)} tiles of {len(learnt)} images")

# %%
dataset = tiles.TileDataset(pictures, index, augment.preset("light"))
organ_of = [organs[i] for i in learnt] * len(SCALES)
sampler = tiles.evenly([organ_of[n] for n in index.picture], 4000, SEED)  # organs count alike
validation = train.Validation(comp, valid, truth, {"tta": "flips"})


def work():  # on every GPU; after a kill, the same call goes on
    torch.manual_seed(SEED)
    train.fit(models.build(RECIPE), dataset, sampler, "run", SETTINGS, validation)


accelerate.notebook_launcher(work, num_processes=max(GPUS, 1))

# %%
print(pd.read_csv("run/log.csv").to_string(index=False))
model = models.load("run/best.safetensors").to("cuda" if GPUS else "cpu")
store = tune.probabilities(model, valid, "held-out", tta="flips", progress=False)
found = tune.search(store, comp, truth, organs, parameters=["threshold"])
print(found.table())
found.draw("plateaus.png")
models.save(model, "unet.safetensors", **found.changes())
shutil.rmtree(STORED)
