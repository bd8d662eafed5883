"""Sound notebooks of strangers, in which the fault catalogue plants one fault each.

None has heard of kagglekit; NumPy, pandas and rasterio are all they import. Cells are parted by
lines of `#%%`.
"""

BOWL = """\
import csv, glob, os, sys
import numpy as np
import rasterio

ROOT = "/kaggle/input/competitions/data-science-bowl-2018"
if not os.path.isdir(ROOT):
    ROOT = "/kaggle/input/data-science-bowl-2018"
#%%
def read(path):
    with rasterio.open(path) as image:
        rgb = image.read([1, 2, 3]).transpose(1, 2, 0)
    return (rgb / (257 if rgb.dtype == np.uint16 else 1)).astype(np.uint8)

def predict(rgb):
    grey = rgb.mean(axis=2)
    if grey.max() - grey.min() < 20:
        return np.zeros(grey.shape, bool)
    mask = grey > (grey.min() + grey.max()) / 2
    return ~mask if mask.mean() > 0.5 else mask

def encode(mask):
    flat = np.concatenate([[0], mask.T.ravel(), [0]]).astype(int)
    edges = np.flatnonzero(np.diff(flat)) + 1
    edges[1::2] -= edges[::2]
    return " ".join(map(str, edges))
#%%
rows = []
paths = sorted(glob.glob(f"{ROOT}/stage1_test/*/images/*.png"))
for path in paths:
    image_id = os.path.basename(path)[:-4]
    rgb = read(path)
    mask = predict(rgb)
    text = encode(mask)
    rows.append((image_id, text))
#%%
with open("submission.csv", "w", newline="") as file:
    csv.writer(file).writerows([("ImageId", "EncodedPixels"), *rows])
"""
"""One row for each image, the threshold in the middle of its greys."""

KIDNEY = """\
import os
import numpy as np
import pandas as pd
import rasterio

root = "/kaggle/input/competitions/hubmap-kidney-segmentation"
sample = pd.read_csv(f"{root}/sample_submission.csv")
#%%
def read(path):
    with rasterio.open(path) as image:
        if image.count == 3:
            return image.read([1, 2, 3]).transpose(1, 2, 0)
        bands = [rasterio.open(name).read(1) for name in image.subdatasets]
    return np.stack(bands, axis=-1)

def encode(mask):
    flat = np.pad(mask.T.ravel(), 1).astype(np.int8)
    edges = np.flatnonzero(np.diff(flat)) + 1
    edges[1::2] -= edges[::2]
    return " ".join(map(str, edges))
#%%
texts = {}
for image_id in sample["id"]:
    slide = read(f"{root}/test/{image_id}.tiff")
    dark = slide[..., 1] < np.percentile(slide[..., 1], 20)
    texts[image_id] = encode(dark)
#%%
sample["predicted"] = sample["id"].map(texts)
sample.to_csv("submission.csv", index=False)
"""
"""The ids of the sample submission, planar slides too, pandas."""

SCRIPT = BOWL.replace("#%%\n", "")
"""The same as a script."""
