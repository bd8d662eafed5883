# %% [markdown]
# # Carvana: submit
#
# Attach the competition `carvana-image-masking-challenge`, the dataset that `build_offline.py`
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
import torch

from kagglekit import competitions, inference, models, mounts, regions, slides, submission

comp = competitions.load("carvana-image-masking-challenge")
data = comp.find_data()
model = models.load(mounts.find_input("carvana-train") / "unet.safetensors")
model.to("cuda" if torch.cuda.is_available() else "cpu")

# %%
with submission.Writer(comp, data) as out:  # from here on a valid, empty submission.csv exists
    for image_id, path in out.todo():
        with out.attempt(image_id), slides.open_slide(path) as slide:
            mask = inference.predict_mask(model, slide, tta="flips", progress=False)
            # One car in every picture. The Writer counts along the rows, as this competition does.
            out[image_id] = regions.keep_largest(regions.fill_holes(mask, max_area=500))
