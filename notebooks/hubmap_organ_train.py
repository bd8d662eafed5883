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
import json
from pathlib import Path

import numpy as np
import torch

from kagglekit import competitions, inference, metrics, models, slides, tiles, train

MINUTES = float(os.environ.get("KAGGLEKIT_MINUTES", 120))  # training time
SCALE, SCALES, WINDOW, SEED = 4, (3, 4, 5), 128, 0  # the model's scale; those of the tiles
THRESHOLDS = (0.5, 0.2, 0.3, 0.4, 0.6)  # tried for each organ; of equal ones the first
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
RECIPE = models.Recipe("unet", {"width": 64 if DEVICE == "cuda" else 8}, scale=SCALE, window=256)
torch.manual_seed(SEED)

# %%
data = competitions.load("hubmap-organ-segmentation").find_data()
labelled = data.train_images()
organs = data.groups()
by_organ = {organ: [i for i in labelled if organs[i] == organ] for organ in organs.values()}
valid = {organ: ids[::5] for organ, ids in by_organ.items() if len(ids) > 1}
held_out = {image_id for ids in valid.values() for image_id in ids}

images, masks, weights = [], [], []
for image_id in (i for i in labelled if i not in held_out):
    for scale in SCALES:
        with slides.open_slide(labelled[image_id]) as slide:
            x, y = tiles.cut(slide, data.truth(image_id), WINDOW, scale)
        images.append(torch.from_numpy(x).permute(0, 3, 1, 2))  # (N, 3, 128, 128) uint8
        masks.append(torch.from_numpy(y))  # (N, 1, 128, 128) uint8
        weights += [1 / len(x) / len(by_organ[organs[image_id]])] * len(x)  # organs count alike
images, masks, weights = torch.cat(images), torch.cat(masks), torch.tensor(weights)
print(f"{len(images)} tiles of {len(labelled) - len(held_out)} images")

# %%
model = models.build(RECIPE).to(DEVICE)
train.fit_arrays(model, images, masks, minutes=MINUTES, weights=weights)


# %%
def dice(image_id, threshold):
    with slides.open_slide(labelled[image_id]) as slide:
        mask = inference.predict_mask(model, slide, threshold=threshold, progress=False)
    return metrics.dice(mask, data.truth(image_id)[0])


# %%
thresholds = dict.fromkeys(by_organ, THRESHOLDS[0])
for organ, ids in valid.items():
    scores = {t: np.mean([dice(image_id, t) for image_id in ids]) for t in THRESHOLDS}
    thresholds[organ] = max(scores, key=scores.get)
    print(f"{organ}: Dice {scores[thresholds[organ]]:.4f} at threshold {thresholds[organ]}")
models.save(model, "unet.safetensors")
Path("thresholds.json").write_text(json.dumps(thresholds))
