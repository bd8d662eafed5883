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

import numpy as np
import torch

from kagglekit import (
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
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SCALE, WIDTH = (1, 64) if DEVICE == "cuda" else (2, 8)
torch.manual_seed(SEED)

# %%
data = competitions.load("severstal-steel-defect-detection").find_data()
names = data.rules.classes
shown = {"classes": len(names), "class_names": names, "window": 256, "scale": SCALE}
recipe = models.Recipe("unet", {"width": WIDTH}, **shown)
labelled = data.train_images()  # of the folder: a table may list only those with a defect
valid = list(labelled)[::5]
images, masks = [], []
for image_id in (i for i in labelled if i not in valid):
    with slides.open_slide(labelled[image_id]) as slide:
        x, y = tiles.cut(slide, data.truth(image_id), WINDOW, SCALE)
    images.append(torch.from_numpy(x).permute(0, 3, 1, 2))  # (N, 3, 128, 128) uint8
    masks.append(torch.from_numpy(y))  # (N, 4, 128, 128) uint8
images, masks = torch.cat(images), torch.cat(masks)
there = masks.flatten(2).any(2).float()  # (N, 4): which tile shows which kinds
weights = (there / there.sum(0).clamp(min=1)).sum(1)  # each kind as often as another,
nothing = ~there.any(1)
weights += 0.5 * weights.sum() * nothing / nothing.sum().clamp(min=1)  # and a third shows none
print(f"{len(images)} tiles, {there.any(1).float().mean():.0%} of them with a defect")

# %%
model = models.build(recipe).to(DEVICE)
torch.nn.init.constant_(model.net.head.bias, -3)  # steel is sound: no steps are spent to learn that
# Most tiles have none of most kinds: if that counted as Dice, it would teach to find nothing.
loss = partial(losses.bce_dice_loss, empty="skip")
train.fit_arrays(model, images, masks, minutes=MINUTES, weights=weights, loss=loss)

# %%
found = {}
for image_id in valid:
    with slides.open_slide(labelled[image_id]) as slide:  # a pixel has one kind of defect at most
        found[image_id] = inference.predict_masks(
            model, slide, tta="flips", exclusive=True, progress=False
        )


def dice(kind, min_area):
    pairs = [(found[i][kind], data.truth(i)[kind]) for i in valid]
    return np.mean([metrics.dice(regions.drop_small(m, min_area), truth) for m, truth in pairs])


# %%
min_areas = {
    name: max(MIN_AREAS, key=lambda area, k=k: dice(k, area)) for k, name in enumerate(names)
}
scores = [dice(k, min_areas[name]) for k, name in enumerate(names)]
print(f"smallest areas {min_areas}: Dice by class {np.round(scores, 3).tolist()}")
print(f"the competition's score on {len(valid)} held-out images: {np.mean(scores):.4f}")
models.save(model, "unet.safetensors")
Path("min_areas.json").write_text(json.dumps(min_areas))
