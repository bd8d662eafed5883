# %% [markdown]
# # Data Science Bowl 2018: train
#
# Train a U-Net to find nuclei and, as a second plane, their cores, which tell touching nuclei apart.
# Attach the competition `data-science-bowl-2018` and the dataset that `build_offline.py` made.

# %%
import glob, os, runpy
root = os.environ.get("KAGGLEKIT_INPUT", "/kaggle/input")
slug = "kagglekit-offline"
found = [*glob.glob(f"{root}/{slug}/install.py"), *glob.glob(f"{root}/*/*/{slug}/install.py")]
if not found:
    raise FileNotFoundError(f"attach the dataset {slug} to this notebook")
runpy.run_path(found[0], run_name="__main__");

# %%
import random, time

import numpy as np
import torch

from kagglekit import competitions, inference, instances, losses, metrics, models, slides, tiles, touching, tta

MINUTES = float(os.environ.get("KAGGLEKIT_MINUTES", 60))  # training time
WINDOW, BATCH, PEAK_LR, SEED = 128, 8, 5e-3, 0
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
RECIPE = models.Recipe("unet", {"width": 64 if DEVICE == "cuda" else 12}, classes=2, window=256)
torch.manual_seed(SEED)
random.seed(SEED)

# %%
data = competitions.load("data-science-bowl-2018").find_data()
train = data.train_images()
valid = list(train)[::8]
images, masks, weights = [], [], []
for image_id in train.keys() - set(valid):
    nuclei = data.truth(image_id)
    with slides.open_slide(train[image_id]) as slide:
        planes = [instances.union(nuclei, slide.shape), touching.cores(nuclei, slide.shape)]
        x, y = tiles.cut(slide, planes, WINDOW)
    images.append(torch.from_numpy(x).permute(0, 3, 1, 2))  # (N, 3, 128, 128) uint8
    masks.append(torch.from_numpy(y))  # (N, 2, 128, 128) uint8
    weights += [1 / len(x)] * len(x)  # every image counts alike, as in the metric
images, masks, weights = torch.cat(images), torch.cat(masks), torch.tensor(weights)
print(f"{len(images)} tiles of {len(train) - len(valid)} images")

# %%
model = models.build(RECIPE).to(DEVICE)
optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LR, weight_decay=1e-2)
started = time.monotonic()
done, report_at = 0.0, 0.1
while done < 1:
    for group in optimizer.param_groups:
        group["lr"] = PEAK_LR * min(0.05 + done / 0.1, 1 - done) + 1e-6  # warm up, then down to nothing
    chosen = torch.multinomial(weights, BATCH)
    view = random.choice(tta.views("d4"))  # a nucleus has no right way up
    light = 1 + 0.2 * torch.randn(BATCH, 3, 1, 1)  # microscopes and stains differ
    x = (view.apply(images[chosen]) * light).clamp(0, 255).to(DEVICE)
    loss = losses.bce_dice_loss(model(x), view.apply(masks[chosen]).to(DEVICE))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    done = (time.monotonic() - started) / (60 * MINUTES)
    if done >= report_at:
        print(f"{min(done, 1):4.0%}  loss {loss.item():.4f}")
        report_at += 0.1

# %%
model.eval()
dice, precision = [], []
for image_id in valid:
    with slides.open_slide(train[image_id]) as slide:
        mask, core = inference.predict_masks(model, slide, tta="flips", progress=False)
    truth = data.truth(image_id)
    dice.append(metrics.dice(mask, instances.union(truth, mask.shape)))
    precision.append(metrics.instance_precision(touching.grow(core, mask), truth))
print(f"{len(valid)} held-out images: Dice {np.mean(dice):.4f}, competition's score {np.mean(precision):.4f}")
models.save(model, "unet.safetensors")
