"""Grey textures: steel plates with defects, and salt under layers of rock."""

import numpy as np

from kagglekit.competitions.fake.pictures import (
    Picture,
    Shape,
    blob,
    grain,
    grey_as_rgb,
    path_between,
)
from kagglekit.competitions.fake.texture import soft_step


def draw_plate(rng: np.random.Generator, shape: Shape, amount: float) -> Picture:
    """Draw a steel plate with up to four kinds of defects, one class for each pixel.

    The kinds are pits (dark specks), stripes (thin and vertical), scratches (bright lines along the
    plate) and patches (rough and dark).
    """
    light = 0.45 + 0.05 * grain(rng, shape, 300) + 0.05 * grain(rng, shape, 2.0, 6.0)
    light += 0.03 * np.sin(np.arange(shape[1]) / rng.uniform(4, 9)).astype(np.float32)
    # As on real plates most have no defect of a kind, and scratches are the commonest one.
    there = rng.uniform(size=4) < (0.25, 0.2, 0.6, 0.3)
    size = 0.12 + 0.2 * amount
    area = blob(rng, shape, size, 2) > 0
    pits = area & (grain(rng, shape, 4) > 0.9)
    middle = round(rng.uniform(0.2, 0.8) * shape[1])
    stripes = np.zeros(shape, bool)
    stripes[:, middle : middle + max(3, round(12 * amount))] = True
    scratches, _ = path_between(rng, shape, 2 + 6 * amount, 0.1)
    scratches |= (blob(rng, shape, size, 6) > 0) & (grain(rng, shape, 9) > 0.4)
    patches = blob(rng, shape, size, 1.5) > 3 * grain(rng, shape, 7)
    masks, free = [], np.ones(shape, bool)
    for mask, found in zip((pits, stripes, scratches, patches), there, strict=True):
        masks.append(mask & free if found and amount else np.zeros(shape, bool))
        free &= ~masks[-1]
    rough = grain(rng, shape, 1.5, 3.0)
    light = light - 0.22 * masks[0] + 0.1 * masks[1] * (1 + 0.6 * rough)
    light = light + 0.24 * masks[2] - masks[3] * (0.1 + 0.13 * np.abs(rough))
    return Picture(grey_as_rgb(light), masks)


def draw_ground(rng: np.random.Generator, shape: Shape, amount: float) -> Picture:
    """Draw layers of rock, and salt: a body without layers, bright where it begins."""
    y = np.arange(shape[0], dtype=np.float32)[:, None]
    bent = y + 0.1 * shape[0] * grain(rng, shape, max(shape) / 3) + grain(rng, shape, 9)
    layers = 0.5 + 0.2 * np.sin(bent / rng.uniform(1.6, 3)) + 0.06 * grain(rng, shape, 1.5)
    depth = blob(rng, shape, 0.15 + 0.4 * amount, rng.uniform(1, 2))
    mask = (depth > 0) & (amount > 0)
    edge = np.exp(-((depth / 2) ** 2)) * (amount > 0)
    inside = 0.47 + 0.07 * grain(rng, shape, 3.0)
    light = np.where(mask, inside, layers) + 0.3 * edge * soft_step(depth, -2, 2)
    return Picture(grey_as_rgb(light), [mask])
