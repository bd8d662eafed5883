# %% [markdown]
# # HuBMAP kidney: train
#
# Train a U-Net to find glomeruli, at a quarter of the slides' resolution, and check it on held-out
# slides with the very call that the submission will use. Attach the competition
# `hubmap-kidney-segmentation` and the dataset that `build_offline.py` made.

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

from kagglekit import competitions, inference, losses, metrics, models, slides, tiles, tta

MINUTES = float(os.environ.get("KAGGLEKIT_MINUTES", 120))  # training time
SCALE, WINDOW, BATCH, PEAK_LR, SEED = 4, 128, 8, 5e-3, 0
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
RECIPE = models.Recipe("unet", {"width": 64 if DEVICE == "cuda" else 8}, scale=SCALE, window=256)
torch.manual_seed(SEED)
random.seed(SEED)

# %%
data = competitions.load("hubmap-kidney-segmentation").find_data()
train = data.train_images()
patients = data.groups()
held_out = patients[next(iter(train))]  # slides of one patient are alike: hold out all of them or none
valid = [image_id for image_id in train if patients[image_id] == held_out]

images, masks = [], []
for image_id in train.keys() - set(valid):
    with slides.open_slide(train[image_id]) as slide:
        x, y = tiles.cut(slide, data.truth(image_id), WINDOW, SCALE, min_overlap=WINDOW // 2)
        images.append(torch.from_numpy(x).permute(0, 3, 1, 2))  # (N, 3, 128, 128) uint8
        masks.append(torch.from_numpy(y))  # (N, 1, 128, 128) uint8
images, masks = torch.cat(images), torch.cat(masks)
print(f"{len(images)} tiles of {len(train) - len(valid)} slides, {masks.float().mean():.1%} glomeruli")

# %%
model = models.build(RECIPE).to(DEVICE)
optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LR, weight_decay=1e-2)
started = time.monotonic()
done, report_at = 0.0, 0.2
while done < 1:
    for group in optimizer.param_groups:
        group["lr"] = PEAK_LR * min(0.05 + done / 0.1, 1 - done) + 1e-6  # warm up, then down to nothing
    chosen = torch.randint(len(images), (BATCH,))
    view = random.choice(tta.views("d4"))  # a glomerulus has no right way up
    light = 1 + 0.2 * torch.randn(BATCH, 3, 1, 1)  # scanners and stains differ
    x = (view.apply(images[chosen]) * light).clamp(0, 255).to(DEVICE)
    loss = losses.bce_dice_loss(model(x), view.apply(masks[chosen]).to(DEVICE))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    done = (time.monotonic() - started) / (60 * MINUTES)
    if done >= report_at:
        print(f"{min(done, 1):4.0%}  loss {loss.item():.4f}")
        report_at += 0.2

# %%
model.eval()
scores = []
for image_id in valid:
    with slides.open_slide(train[image_id]) as slide:
        mask = inference.predict_mask(model, slide, tta="flips")
    scores.append(metrics.dice(mask, data.truth(image_id)[0]))
print(f"Dice on {len(valid)} held-out slide(s): {np.mean(scores):.4f}")
models.save(model, "unet.safetensors")
