# %% [markdown]
# # Data Science Bowl 2018: train
#
# Train a U-Net to find nuclei and, as a second plane, their cores, which tell touching nuclei
# apart. Attach the competition `data-science-bowl-2018` and the dataset that `build_offline.py`
# made.

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
import numpy as np
import torch

from kagglekit import (
    competitions,
    inference,
    instances,
    metrics,
    models,
    slides,
    tiles,
    touching,
    train,
)

MINUTES = float(os.environ.get("KAGGLEKIT_MINUTES", 60))  # training time
WINDOW, SEED = 128, 0
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
RECIPE = models.Recipe("unet", {"width": 64 if DEVICE == "cuda" else 12}, classes=2, window=256)
torch.manual_seed(SEED)

# %%
data = competitions.load("data-science-bowl-2018").find_data()
labelled = data.train_images()
valid = list(labelled)[::8]
images, masks, weights = [], [], []
for image_id in (i for i in labelled if i not in valid):
    nuclei = data.truth(image_id)
    with slides.open_slide(labelled[image_id]) as slide:
        planes = [instances.union(nuclei, slide.shape), touching.cores(nuclei, slide.shape)]
        x, y = tiles.cut(slide, planes, WINDOW)
    images.append(torch.from_numpy(x).permute(0, 3, 1, 2))  # (N, 3, 128, 128) uint8
    masks.append(torch.from_numpy(y))  # (N, 2, 128, 128) uint8
    weights += [1 / len(x)] * len(x)  # every image counts alike, as in the metric
images, masks, weights = torch.cat(images), torch.cat(masks), torch.tensor(weights)
print(f"{len(images)} tiles of {len(labelled) - len(valid)} images")

# %%
model = models.build(RECIPE).to(DEVICE)
train.fit_arrays(model, images, masks, minutes=MINUTES, weights=weights)

# %%
dice, precision = [], []
for image_id in valid:
    with slides.open_slide(labelled[image_id]) as slide:
        mask, core = inference.predict_masks(model, slide, tta="flips", progress=False)
    truth = data.truth(image_id)
    dice.append(metrics.dice(mask, instances.union(truth, mask.shape)))
    precision.append(metrics.instance_precision(touching.grow(core, mask), truth))
print(f"Dice on {len(valid)} held-out images: {np.mean(dice):.4f}")
print(f"the competition's score on them: {np.mean(precision):.4f}")
models.save(model, "unet.safetensors")
