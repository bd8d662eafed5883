"""Slices of scanned bodies, 16-bit: a belly in MRI, a kidney in X-rays."""

import numpy as np

from kagglekit.competitions.fake.pictures import Picture, Shape, blob, grain
from kagglekit.competitions.fake.texture import depth_in_blob, place_apart, soft_step


def draw_belly(rng: np.random.Generator, shape: Shape, amount: float) -> Picture:
    """Draw a slice of a belly in MRI, 16-bit as it comes: large bowel, small bowel, stomach."""
    body = depth_in_blob(rng, shape, (shape[0] / 2, shape[1] / 2), 0.42 * min(shape), 0.04, 1.4)
    light = soft_step(body, 0, 4) * (0.32 + 0.05 * grain(rng, shape, 12, 3))
    masks, free = [], body > 4
    looks = ((0.55, 0.10, 5.0), (0.62, 0.22, 3.0), (0.8, 0.05, 15.0))
    for (level, rough, scale), share in zip(looks, (0.16, 0.19, 0.14), strict=True):
        depth = blob(rng, shape, share * amount, 1.6) + grain(rng, shape, 12)
        mask = (depth > 0) & free & (amount > 0)
        look = level + rough * grain(rng, shape, scale)
        light = np.where(mask, look * (0.8 + 0.2 * soft_step(depth, 2, 3)), light)
        masks.append(mask)
        free &= ~mask
    light = np.clip(light + 0.02 * grain(rng, shape, 1), 0, 1) * rng.uniform(300, 2500)
    return Picture(light.astype(np.uint16), masks)


def draw_slice(rng: np.random.Generator, shape: Shape, amount: float) -> Picture:
    """Draw a slice of a kidney in X-rays, 16-bit: vessels are dark with a bright wall.

    Cysts are as dark and have no wall; they are no vessels.
    """
    kidney = depth_in_blob(rng, shape, (shape[0] / 2, shape[1] / 2), 0.45 * min(shape), 0.04, 1.3)
    tissue = soft_step(kidney, 0, 6)
    light = 0.28 + tissue * (0.16 + 0.03 * grain(rng, shape, 25) + 0.02 * grain(rng, shape, 2))
    largest = max(min(shape) / 14, 3)
    radii = np.sort(rng.gamma(1.5, largest / 5, 28).clip(1.6, largest))[::-1]
    mask = np.zeros(shape, bool)
    for number, (y, x, radius) in enumerate(place_apart(rng, shape, radii, gap=3)):
        depth = depth_in_blob(rng, shape, (y, x), radius * max(amount, 0.3), 0.08, 1.4)
        hole = soft_step(depth, 0.5, 1.5) * tissue
        if number % 4 == 3:
            light -= 0.13 * hole
            continue
        wall = np.exp(-((depth / 1.6) ** 2)) * tissue * (amount > 0)
        light += 0.16 * wall - 0.13 * hole * (amount > 0)
        mask |= (depth > 0) & (kidney > 0) & (amount > 0)
    light += 0.012 * grain(rng, shape, 1)
    return Picture((np.clip(light, 0, 1) * 65535).astype(np.uint16), [mask])
