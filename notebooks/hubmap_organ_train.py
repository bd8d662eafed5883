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
import torch

from kagglekit import competitions, models, slides, tiles, train, tune

MINUTES = float(os.environ.get("KAGGLEKIT_MINUTES", 120))  # training time
SCALE, SCALES, WINDOW, SEED = 4, (3, 4, 5), 128, 0  # the model's scale; those of the tiles
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
RECIPE = models.Recipe("unet", {"width": 64 if DEVICE == "cuda" else 8}, scale=SCALE, window=256)
torch.manual_seed(SEED)

# %%
data = competitions.load("hubmap-organ-segmentation").find_data()
labelled = data.train_images()
organs = data.groups()
by_organ = {organ: [i for i in labelled if organs[i] == organ] for organ in organs.values()}
held_out = [i for ids in by_organ.values() if len(ids) > 1 for i in ids[::5]]

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
store = tune.probabilities(
    model, {i: labelled[i] for i in held_out}, "held-out", tta="flips", progress=False
)
truth = {i: data.truth(i) for i in held_out}
found = tune.search(store, data.profile, truth, organs, parameters=["threshold"])
print(found.table())
found.draw("plateaus.png")
models.save(model, "unet.safetensors", **found.changes())
