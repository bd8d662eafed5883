# %% [markdown]
# # Data Science Bowl 2018: submit
#
# Attach the competition `data-science-bowl-2018`, the dataset that `build_offline.py` made, and the
# output of the training notebook. Internet off.

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
import tempfile
from pathlib import Path

import numpy as np
import torch

from kagglekit import competitions, inference, models, mounts, slides, stain, submission, touching

MIN_AREA = 20  # smaller finds are dust, and each would count as a false nucleus
EVENED = Path(tempfile.gettempdir(), "evened.npy")

comp = competitions.load("data-science-bowl-2018")
data = comp.find_data()
trained = mounts.find_input("dsb2018-train")
options = json.loads((trained / "options.json").read_text())  # views, planes and thresholds
model = models.load(trained / "unet.safetensors")
model.to("cuda" if torch.cuda.is_available() else "cpu")


# %%
def nuclei(path):
    with slides.open_slide(path) as slide:
        pixels = slide.read(0, slide.shape[0], 0, slide.shape[1])
    np.save(EVENED, stain.even(pixels))  # nuclei bright on dark ground, as in training
    with slides.open_slide(EVENED) as slide:
        planes = inference.predict_masks(model, slide, **options, progress=False)
    mask, core, border, sure = planes
    nuclei = [one for one in touching.grow(core - border, mask) if one.area >= MIN_AREA]
    return [one for one in nuclei if 2 * (one & sure).area >= one.area]  # doubtful ones cost more


# %%
with submission.Writer(comp, data) as out:  # from here on a valid, empty submission.csv exists
    for image_id, path in out.todo():
        with out.attempt(image_id):  # a bad one costs itself
            out[image_id] = nuclei(path)
