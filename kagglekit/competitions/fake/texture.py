"""What the drawings are made of: noise, scattered points, round outlines, stains."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]

HEMATOXYLIN = (0.65, 0.70, 0.29)
EOSIN = (0.09, 0.95, 0.28)
PAS = (0.18, 0.91, 0.37)
"""Optical density of one unit of stain in red, green and blue (Ruifrok & Johnston 2001)."""


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], scale: float) -> Image:
    """Return noise of mean 0 and deviation about 1 whose waves are `scale` pixels long.

    Args:
        rng: source of randomness.
        shape: (height, width) in pixels.
        scale: distance of independent values in pixels, at least 1.

    Returns:
        (height, width) float32.
    """
    height, width = (int(side / scale) + 3 for side in shape)
    coarse = rng.standard_normal((height, width), dtype=np.float32)
    size = (int(width * scale) + 1, int(height * scale) + 1)
    fine = np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC), np.float32)
    return fine[: shape[0], : shape[1]] * np.float32(1.3)


def blur(image: NDArray[Any], sigma: float) -> Image:
    """Return an image smoothed by a Gaussian of `sigma` pixels, float32 of the same shape."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.float32)


def scatter(rng: np.random.Generator, shape: tuple[int, int], spacing: float) -> NDArray[np.int64]:
    """Return points (y, x) spread over an image about `spacing` pixels apart; (n, 2) int64."""
    y, x = np.mgrid[0 : shape[0] : spacing, 0 : shape[1] : spacing]
    points = np.column_stack((y.ravel(), x.ravel())) + rng.uniform(0, 0.8 * spacing, (y.size, 2))
    inside = (points[:, 0] < shape[0]) & (points[:, 1] < shape[1])
    return points[inside].astype(np.int64)


Disc = tuple[int, int, float]
"""Centre (y, x) and radius, in pixels."""


def place_apart(
    rng: np.random.Generator,
    shape: tuple[int, int],
    radii: NDArray[np.float64],
    gap: float,
    taken: Sequence[Disc] = (),
) -> list[Disc]:
    """Place discs at random so that none come nearer to each other than `gap` pixels.

    A disc that finds no place in forty tries is left out. Centres keep a third of the radius away
    from the image's border, so some discs are cut by it.

    Args:
        rng: source of randomness.
        shape: (height, width) in pixels.
        radii: of the discs to place, in pixels.
        gap: in pixels.
        taken: discs that are there already.

    Returns:
        The new discs.
    """
    placed: list[Disc] = []
    for radius in radii.tolist():
        margin = radius / 3
        for _ in range(40):
            y = int(rng.uniform(margin, max(shape[0] - margin, margin + 1)))
            x = int(rng.uniform(margin, max(shape[1] - margin, margin + 1)))
            if all(np.hypot(y - b, x - a) > radius + r + gap for b, a, r in (*taken, *placed)):
                placed.append((y, x, radius))
                break
    return placed


def depth_in_blob(
    rng: np.random.Generator,
    shape: tuple[int, int],
    centre: tuple[float, float],
    radius: float,
    wobble: float = 0.05,
    stretch: float = 1.0,
) -> Image:
    """Return how deep each pixel lies inside a roundish outline, in pixels; outside it is negative.

    Args:
        rng: source of randomness.
        shape: (height, width) in pixels.
        centre: (y, x) of the blob.
        radius: its mean radius in pixels.
        wobble: deviation of the outline from an ellipse, as a share of the radius.
        stretch: long axis over short axis.

    Returns:
        (height, width) float32.
    """
    y, x = np.ogrid[: shape[0], : shape[1]]
    angle = rng.uniform(0, np.pi)
    dy, dx = (y - centre[0]).astype(np.float32), (x - centre[1]).astype(np.float32)
    along = (dy * np.sin(angle) + dx * np.cos(angle)) / np.sqrt(stretch)
    across = (dy * np.cos(angle) - dx * np.sin(angle)) * np.sqrt(stretch)
    theta = np.arctan2(across, along)
    outline = np.ones(theta.shape, np.float32)
    for waves in (2, 3, 5):
        size = wobble * rng.normal() / np.sqrt(waves - 1)
        outline += np.float32(size) * np.cos(waves * theta + rng.uniform(0, 2 * np.pi))
    depth: Image = (radius * outline - np.hypot(along, across)).astype(np.float32)
    return depth


def soft_step(values: NDArray[Any], at: float | NDArray[Any], width: float) -> Image:
    """Return 0 well below `at`, 1 well above, and a smooth ramp about `width` wide between."""
    ramp: Image = (1 / (1 + np.exp(np.clip(-4 * (values - at) / width, -30, 30)))).astype(
        np.float32
    )
    return ramp


def stained(
    rng: np.random.Generator, amounts: dict[tuple[float, float, float], Image], noise: float = 2.5
) -> NDArray[np.uint8]:
    """Return the picture of stained tissue in transmitted light (Beer-Lambert).

    Args:
        rng: source of randomness.
        amounts: for each stain, by its optical densities, how much of it lies at each pixel:
            (height, width) float32, 0 for none, about 1 for a dark nucleus.
        noise: deviation of the camera's noise, of 255.

    Returns:
        (height, width, 3) uint8, RGB.
    """
    light = np.array([243, 241, 244], np.float32) + rng.uniform(-4, 4, 3).astype(np.float32)
    shape = next(iter(amounts.values())).shape
    rgb = np.empty((*shape, 3), np.uint8)
    for channel in range(3):
        density = sum(amount * np.float32(stain[channel]) for stain, amount in amounts.items())
        seen = light[channel] * np.exp(-density)
        seen += noise * rng.standard_normal(shape, dtype=np.float32)
        rgb[..., channel] = np.clip(seen, 0, 255)
    return rgb
