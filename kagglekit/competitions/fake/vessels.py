"""Tiles of hubmap-hacking-the-human-vasculature: vessels in stained tissue, as outlines."""

import cv2
import numpy as np
from numpy.typing import NDArray

from kagglekit.competitions.fake.pictures import Picture, Shape, grain
from kagglekit.competitions.fake.texture import (
    EOSIN,
    HEMATOXYLIN,
    blur,
    place_apart,
    scatter,
    stained,
)
from kagglekit.rle import from_polygons


def draw_vessels(rng: np.random.Generator, shape: Shape, amount: float) -> Picture:
    """Draw a tile: vessels are pale and full of red cells, with a pink wall; each is one instance.

    The masks are the pixels whose centres lie inside the outlines, as for everyone who reads those.
    """
    count = round(12 * amount * shape[0] * shape[1] / 512**2) + (amount > 0)
    largest = max(min(shape) / 12, 5)
    radii = rng.uniform(0.35, 1, count) * largest
    nuclei = np.zeros(shape, np.float32)
    for y, x in scatter(rng, shape, 11):
        cv2.circle(nuclei, (int(x), int(y)), round(rng.uniform(2, 3.6)), rng.uniform(0.5, 1), -1)
    pink = 0.35 + 0.08 * grain(rng, shape, 8, 3)
    masks, outlines = [], []
    for y, x, radius in place_apart(rng, shape, radii, gap=4):
        outline = _outline(rng, (y, x), radius, shape)
        mask = from_polygons([[outline.tolist()]], shape).to_mask() > 0
        if not mask.any():
            continue
        soft = blur(mask.astype(np.float32), 1)
        wall = np.clip(blur(cv2.dilate(mask.astype(np.uint8), np.ones((5, 5))), 1) - soft, 0, 1)
        cells = np.clip(grain(rng, shape, 3), 0, 1)
        pink += soft * (0.05 + 0.5 * cells - pink) + 0.4 * wall
        nuclei *= 1 - soft
        masks.append(mask)
        outlines.append(outline)
    stains = {HEMATOXYLIN: blur(nuclei, 0.8) * 0.8, EOSIN: np.maximum(blur(pink, 0.8), 0)}
    return Picture(stained(rng, stains), masks, outlines)


def _outline(
    rng: np.random.Generator, centre: tuple[int, int], radius: float, shape: Shape
) -> NDArray[np.float64]:
    """Return the corners (x, y) of a roundish outline inside the image, the first one repeated."""
    angle = np.linspace(0, 2 * np.pi, 24)
    wave = 1 + 0.15 * np.sin(2 * angle + rng.uniform(0, 6)) + 0.08 * np.sin(3 * angle)
    points = np.stack((np.cos(angle), np.sin(angle)), 1) * (radius * wave)[:, None]
    points[-1] = points[0]
    placed = np.round(points + centre[::-1])
    return np.asarray(placed.clip(0, (shape[1], shape[0])), np.float64)
