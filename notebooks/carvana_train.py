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
import numpy as np
import torch

from kagglekit import competitions, inference, metrics, models, slides, tiles, train

MINUTES = float(os.environ.get("KAGGLEKIT_MINUTES", 120))  # training time
SCALE, WINDOW, FOLDS, SEED = 4, 128, 4, 0
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
RECIPE = models.Recipe("unet", {"width": 64 if DEVICE == "cuda" else 8}, scale=SCALE, window=256)
torch.manual_seed(SEED)

# %%
data = competitions.load("carvana-image-masking-challenge").find_data()
labelled = data.train_images()
cars = data.groups()  # 16 views of a car are alike: all or none
fold = tiles.folds([cars[image_id] for image_id in labelled], FOLDS, seed=SEED)
valid = [image_id for image_id, number in zip(labelled, fold, strict=True) if number == 0]

images, masks = [], []
for image_id in (i for i in labelled if i not in valid):
    with slides.open_slide(labelled[image_id]) as slide:
        x, y = tiles.cut(slide, data.truth(image_id), WINDOW, SCALE)
    images.append(torch.from_numpy(x).permute(0, 3, 1, 2))  # (N, 3, 128, 128) uint8
    masks.append(torch.from_numpy(y))  # (N, 1, 128, 128) uint8
images, masks = torch.cat(images), torch.cat(masks)
print(f"{len(images)} tiles of {len(labelled) - len(valid)} images")

# %%
model = models.build(RECIPE).to(DEVICE)
train.fit_arrays(model, images, masks, minutes=MINUTES)

# %%
scores = []
for image_id in valid:
    with slides.open_slide(labelled[image_id]) as slide:
        mask = inference.predict_mask(model, slide, tta="flips", progress=False)
    scores.append(metrics.dice(mask, data.truth(image_id)[0]))
print(f"Dice on {len(valid)} images of unseen cars: {np.mean(scores):.4f}")
models.save(model, "unet.safetensors")
