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
import numpy as np
import torch

from kagglekit import competitions, inference, metrics, models, slides, tiles, train

MINUTES = float(os.environ.get("KAGGLEKIT_MINUTES", 120))  # training time
SCALE, WINDOW, SEED = 4, 128, 0
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
RECIPE = models.Recipe("unet", {"width": 64 if DEVICE == "cuda" else 8}, scale=SCALE, window=256)
torch.manual_seed(SEED)

# %%
data = competitions.load("hubmap-kidney-segmentation").find_data()
labelled = data.train_images()
patients = data.groups()
held_out = patients[next(iter(labelled))]  # a patient's slides are alike: all or none
valid = [image_id for image_id in labelled if patients[image_id] == held_out]

images, masks = [], []
for image_id in (i for i in labelled if i not in valid):
    with slides.open_slide(labelled[image_id]) as slide:
        x, y = tiles.cut(slide, data.truth(image_id), WINDOW, SCALE, min_overlap=WINDOW // 2)
        images.append(torch.from_numpy(x).permute(0, 3, 1, 2))  # (N, 3, 128, 128) uint8
        masks.append(torch.from_numpy(y))  # (N, 1, 128, 128) uint8
images, masks = torch.cat(images), torch.cat(masks)
print(f"{len(images)} tiles, {masks.float().mean():.1%} of their pixels glomeruli")

# %%
model = models.build(RECIPE).to(DEVICE)
train.fit_arrays(model, images, masks, minutes=MINUTES)

# %%
scores = []
for image_id in valid:
    with slides.open_slide(labelled[image_id]) as slide:
        mask = inference.predict_mask(model, slide, tta="flips")
    scores.append(metrics.dice(mask, data.truth(image_id)[0]))
print(f"Dice on {len(valid)} held-out slide(s): {np.mean(scores):.4f}")
models.save(model, "unet.safetensors")
