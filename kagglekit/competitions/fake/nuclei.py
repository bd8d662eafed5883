"""A field of cell nuclei, drawn: bright in fluorescence, or purple in stained tissue."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kagglekit.competitions.fake.texture import (
    EOSIN,
    HEMATOXYLIN,
    Image,
    blur,
    depth_in_blob,
    smooth_noise,
    soft_step,
    stained,
)


class _Field(NamedTuple):
    """Where nuclei lie: labels, 0 outside; signal, float32, 0 outside and about 1 inside."""

    labels: NDArray[np.int32]
    signal: Image


def draw_nuclei(
    rng: np.random.Generator, shape: tuple[int, int], stain: bool
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Draw a field of nuclei, some of them touching.

    Args:
        rng: source of randomness.
        shape: (height, width) in pixels.
        stain: purple on light tissue, instead of bright on dark.

    Returns:
        The image, (height, width, 3) uint8 RGB, and the instances, (height, width) int32: 0
        outside, then 1, 2, … for one nucleus each.
    """
    field = _nuclei(rng, shape)
    image = _histology(rng, field) if stain else _fluorescence(rng, field)
    return image, field.labels


def _nuclei(rng: np.random.Generator, shape: tuple[int, int]) -> _Field:
    labels = np.zeros(shape, np.int32)
    signal = np.zeros(shape, np.float32)
    radius = min(rng.uniform(7, 15), min(shape) / 8)
    share = rng.uniform(0.06, 0.22)
    count = max(1, round(share * shape[0] * shape[1] / (np.pi * radius**2)))
    crowded = smooth_noise(rng, shape, min(shape) / 2.5)
    for _ in range(count):
        # Of two places the one nearer to a crowd, so that nuclei gather and touch.
        places = rng.integers(0, shape, (2, 2))
        y, x = max(places.tolist(), key=lambda place: crowded[place[0], place[1]])
        own = radius * float(np.clip(rng.lognormal(0, 0.18), 0.6, 1.6))
        y0, x0, y1, x1 = (int(v) for v in (y - 2 * own, x - 2 * own, y + 2 * own, x + 2 * own))
        y0, x0, y1, x1 = max(y0, 0), max(x0, 0), min(y1, shape[0]), min(x1, shape[1])
        part = (slice(y0, y1), slice(x0, x1))
        depth = depth_in_blob(
            rng, (y1 - y0, x1 - x0), (y - y0, x - x0), own, 0.06, float(rng.uniform(1, 1.9))
        )
        free = (depth > 0) & (labels[part] == 0)
        # Nuclei lie side by side: one that would mostly hide behind others is left out.
        if np.count_nonzero(free) < max(20, 0.75 * np.count_nonzero(depth > 0)):
            continue
        labels[part][free] = labels.max() + 1
        bright = np.float32(rng.lognormal(0, 0.25))
        body = soft_step(depth, 0.3, 2.0) * (0.85 + 0.2 * np.sqrt(np.clip(depth / own, 0, 1)))
        signal[part] = np.maximum(signal[part], bright * body)
    return _Field(labels, signal)


def _fluorescence(rng: np.random.Generator, field: _Field) -> NDArray[np.uint8]:
    """Return bright nuclei on a dark ground, with haze around them and the camera's noise."""
    shape = field.labels.shape
    chromatin = 1 + 0.12 * smooth_noise(rng, shape, 3) + 0.12 * smooth_noise(rng, shape, 7)
    sharp = blur(field.signal * chromatin, rng.uniform(0.8, 1.4))
    haze = blur(field.signal, 14)
    light = rng.uniform(35, 150) * (sharp + 0.12 * haze) + rng.uniform(4, 16)
    light += np.sqrt(np.maximum(light, 0)) * 0.35 * rng.standard_normal(shape, dtype=np.float32)
    grey = np.clip(light, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _histology(rng: np.random.Generator, field: _Field) -> NDArray[np.uint8]:
    """Return purple nuclei in pink tissue with light gaps."""
    shape = field.labels.shape
    fibres = np.abs(smooth_noise(rng, shape, 9)) + 0.5 * np.abs(smooth_noise(rng, shape, 4))
    gaps = soft_step(smooth_noise(rng, shape, 40), 0.6, 0.8)
    pink = (0.12 + 0.16 * fibres) * (1 - 0.8 * gaps) + 0.18 * field.signal
    grain = 1 + 0.14 * smooth_noise(rng, shape, 2.5) + 0.10 * smooth_noise(rng, shape, 6)
    nuclei = rng.uniform(0.6, 0.95) * field.signal * grain + 0.03 * fibres
    amounts = {HEMATOXYLIN: nuclei, EOSIN: pink}
    return stained(rng, {stain: blur(np.maximum(it, 0), 0.9) for stain, it in amounts.items()})
