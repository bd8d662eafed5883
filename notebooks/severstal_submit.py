# %% [markdown]
# # Severstal: submit
#
# Attach the competition `severstal-steel-defect-detection`, the dataset that `build_offline.py`
# made, and the output of the training notebook. Internet off.

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

import torch

from kagglekit import competitions, inference, models, mounts, regions, slides, submission

comp = competitions.load("severstal-steel-defect-detection")
data = comp.find_data()
trained = mounts.find_input("severstal-train")
model = models.load(trained / "unet.safetensors")
model.to("cuda" if torch.cuda.is_available() else "cpu")
min_areas = json.loads((trained / "min_areas.json").read_text())

# %%
with submission.Writer(comp, data) as out:  # from here on a valid, empty submission.csv exists
    for image_id, path in out.todo():
        with out.attempt(image_id), slides.open_slide(path) as slide:
            masks = inference.predict_masks(
                model, slide, tta="flips", exclusive=True, progress=False
            )
            named = zip(data.rules.classes, masks, strict=True)
            out[image_id] = [regions.drop_small(mask, min_areas[name]) for name, mask in named]
