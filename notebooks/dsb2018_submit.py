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
import torch

from kagglekit import competitions, inference, models, mounts, slides, submission, touching

MIN_AREA = 15  # smaller finds are dust, and each would count as a false nucleus

comp = competitions.load("data-science-bowl-2018")
data = comp.find_data()
model = models.load(mounts.find_input("dsb2018-train") / "unet.safetensors")
model.to("cuda" if torch.cuda.is_available() else "cpu")

# %%
with submission.Writer(comp, data) as out:  # from here on a valid, empty submission.csv exists
    for image_id, path in out.todo():
        with out.attempt(image_id), slides.open_slide(path) as slide:  # a bad one costs itself
            mask, core = inference.predict_masks(model, slide, tta="flips", progress=False)
            out[image_id] = [one for one in touching.grow(core, mask) if one.area >= MIN_AREA]
