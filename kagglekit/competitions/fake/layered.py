"""Images that are folders of layers: those of the contrails and of the ink competition."""

import numpy as np

from kagglekit.competitions.fake.pictures import Picture, Shape, blob, grain, path_between
from kagglekit.competitions.fake.texture import blur

BANDS = tuple(f"{band:02}" for band in range(8, 17))
TIMES, LABELLED = 8, 4
LAYERS = 65


def draw_sky(rng: np.random.Generator, shape: Shape, amount: float) -> Picture:
    """Draw brightness temperatures in kelvin: nine bands at eight times, trails in the fifth.

    Ice is colder in band 15 than in 14 and 11; a trail differs from a cloud in that it is straight.
    """
    ground = 285 + 5 * grain(rng, shape, 60) + 0.4 * grain(rng, shape, 2)
    clouds = np.clip(grain(rng, shape, 40, 15), 0, None) * 14
    trails, mask = np.zeros(shape, np.float32), np.zeros(shape, bool)
    for _ in range(round(1 + 4 * amount) if amount else 0):
        line, _points = path_between(rng, shape, rng.uniform(2, 4.5), 0.02)
        mask |= line
        trails = np.maximum(trails, blur(line.astype(np.float32), 0.7))
    pixels = {}
    for place, band in enumerate(BANDS):
        ice = 3.0 + 3.5 * (band == "15") - 1.5 * (band == "11")
        stack = np.empty((*shape, TIMES), np.float32)
        for time in range(TIMES):
            # A trail is there from the fourth time on, and drifts.
            seen = np.roll(trails, time - LABELLED, axis=1) * (time >= LABELLED - 1)
            stack[..., time] = ground - 3 * place - clouds - ice * seen
            stack[..., time] += 0.15 * rng.standard_normal(shape, dtype=np.float32)
        pixels[band] = stack
    return Picture(pixels, [mask])


def draw_papyrus(rng: np.random.Generator, shape: Shape, amount: float) -> Picture:
    """Draw 65 layers of a fragment, 16-bit: fibres, and ink that shows in the middle ones only."""
    fibres = grain(rng, (shape[0], 1), 3) * 0.5 + grain(rng, (1, shape[1]), 3) * 0.5
    sheet = 0.35 + 0.06 * fibres + 0.05 * grain(rng, shape, 40)
    mask = np.zeros(shape, bool)
    for _ in range(round(1 + 5 * amount) if amount else 0):
        stroke, _points = path_between(rng, shape, max(2, min(shape) / 25), 0.1)
        mask |= stroke & (blob(rng, shape, 0.35) > 0)
    ink = blur(mask.astype(np.float32), 1.5) * (1 + 0.5 * grain(rng, shape, 2))
    pixels = {}
    for layer in range(LAYERS):
        near = float(np.exp(-(((layer - LAYERS // 2) / 9) ** 2)))
        light = sheet * (0.25 + 0.75 * near) + 0.16 * near * ink
        light += 0.02 * rng.standard_normal(shape, dtype=np.float32)
        pixels[f"{layer:02}"] = (np.clip(light, 0, 1) * 65535).astype(np.uint16)
    return Picture(pixels, [mask])
