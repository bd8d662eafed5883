# %% [markdown]
# # HuBMAP kidney: submit
#
# Attach the competition `hubmap-kidney-segmentation`, the dataset that `build_offline.py` made, and
# the output of the training notebook. Internet off.

# %%
import os
import runpy
from glob import glob

INPUT = os.environ.get("KAGGLEKIT_INPUT", "/kaggle/input")
bundle = "kagglekit-offline/install.py"
found = glob(f"{INPUT}/{bundle}") + glob(f"{INPUT}/datasets/*/{bundle}")
runpy.run_path(max(found, default=f"{INPUT}/{bundle}"), run_name="__main__");  # raises if it does not fit

# %%
import torch

from kagglekit import competitions, inference, models, mounts, slides, submission

comp = competitions.load("hubmap-kidney-segmentation")
data = comp.find_data()
model = models.load(mounts.find_input("hubmap-kidney-train") / "unet.safetensors")
model.to("cuda" if torch.cuda.is_available() else "cpu")

# %%
with submission.Writer(comp, data) as out:  # from here on a valid, empty submission.csv exists
    for image_id, path in out.todo():
        with slides.open_slide(path) as slide:
            out[image_id] = inference.predict_mask(model, slide, tta="flips")
