"""A tutorial's way with the nuclei, done plainly: whole images resized, connected parts."""

import time
from collections.abc import Sequence

import cv2
import numpy as np
import segmentation_models_pytorch as smp
import torch
from dsb2018_data import Image

from kagglekit import instances, regions
from kagglekit.rle import RLE

SIDE, BATCH = 256, 8


def fit(images: Sequence[Image], minutes: float, seed: int = 0) -> torch.nn.Module:
    """Train for so many CPU minutes."""
    started = time.process_time()
    torch.manual_seed(seed)
    model = smp.Unet("resnet18", encoder_weights=None, classes=1)
    pixels = torch.stack([_tensor(image) for image in images])
    masks = torch.stack([_mask(image) for image in images])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    dice = smp.losses.DiceLoss("binary")
    model.train()
    while True:
        for chosen in torch.randperm(len(images)).split(BATCH):
            logits = model(pixels[chosen])
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, masks[chosen])
            loss = loss + dice(logits, masks[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if time.process_time() - started > 60 * minutes:
                return model.eval()


def _tensor(image: Image) -> torch.Tensor:
    small = cv2.resize(image.pixels, (SIDE, SIDE))
    return torch.from_numpy(small).permute(2, 0, 1).float() / 255


def _mask(image: Image) -> torch.Tensor:
    mask = instances.union(image.truth, image.pixels.shape[:2]).to_mask().astype(np.uint8)
    small = cv2.resize(mask, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    return torch.from_numpy(small)[None].float()


def predict(model: torch.nn.Module, image: Image) -> tuple[RLE, list[RLE]]:
    """Return the mask of all nuclei, and each connected part."""
    with torch.inference_mode():
        prob = torch.sigmoid(model(_tensor(image)[None]))[0, 0].numpy()
    height, width = image.pixels.shape[:2]
    mask = RLE.from_mask(cv2.resize(prob, (width, height)) > 0.5)
    return mask, regions.components(mask)
