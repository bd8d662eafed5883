# %% [markdown]
# # HuBMAP organs: submit
#
# Attach the competition `hubmap-organ-segmentation`, the dataset that `build_offline.py` made, and
# the output of the training notebook. Internet off.

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
from dataclasses import replace

import torch

from kagglekit import competitions, models, mounts, slides, submission, tune
from kagglekit.competitions import table

TRAIN_PIXEL = 0.4  # µm, of every train image

comp = competitions.load("hubmap-organ-segmentation")
data = comp.find_data()
trained = mounts.find_input("hubmap-organ-train")
model = models.load(trained / "unet.safetensors")
model.to("cuda" if torch.cuda.is_available() else "cpu")
recipe = model.recipe
organs = data.groups()
pixel_sizes = dict(table.columns(data.root / "test.csv", "id", "pixel_size"))

# %%
with submission.Writer(comp, data) as out:  # from here on a valid, empty submission.csv exists
    for image_id, path in out.todo():
        with out.attempt(image_id), slides.open_slide(path) as slide:
            # The scale at which this scanner's pixels come nearest to those of the training.
            scale = round(recipe.scale * TRAIN_PIXEL / float(pixel_sizes[image_id]))
            model.recipe = replace(recipe, scale=max(scale, 1))
            out[image_id] = tune.predict_masks(
                model, slide, organs[image_id], tta="flips", progress=False
            )
