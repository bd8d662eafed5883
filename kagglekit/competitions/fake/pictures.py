"""What the drawings of the smaller competitions have in common."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from kagglekit.competitions.fake.texture import Image, depth_in_blob, smooth_noise

Mask: TypeAlias = NDArray[np.bool_]
Shape: TypeAlias = tuple[int, int]


class Picture(NamedTuple):
    """One drawing.

    Attributes:
        pixels: (height, width) or (height, width, 3) of the competition's dtype; for images that
            are folders one such array for each layer, by name.
        masks: (height, width) bool: one, or one for each class or instance.
        outlines: where the truth is kept as outlines, those of the masks, as (n, 2) x and y.
    """

    pixels: NDArray[Any] | dict[str, NDArray[Any]]
    masks: list[Mask]
    outlines: Sequence[NDArray[np.float64]] = ()


Draw: TypeAlias = Callable[[np.random.Generator, Shape, float], Picture]
"""Draws a picture of a shape; the number, 0 to 1, says how large the things in it are, 0 for
nothing at all. The same randomness and another number is a neighbouring slice."""


def blob(rng: np.random.Generator, shape: Shape, share: float, stretch: float = 1.5) -> Image:
    """Return how deep each pixel lies in a blob at a random place, in pixels.

    Args:
        rng: source of randomness.
        shape: (height, width) in pixels.
        share: its radius as a share of the shorter side.
        stretch: long axis over short axis.
    """
    centre = (rng.uniform(0.25, 0.75) * shape[0], rng.uniform(0.25, 0.75) * shape[1])
    return depth_in_blob(rng, shape, centre, max(share * min(shape), 1.5), 0.12, stretch)


def path_between(
    rng: np.random.Generator, shape: Shape, width: float, wobble: float
) -> tuple[Mask, NDArray[np.int32]]:
    """Draw a line from border to border.

    Args:
        rng: source of randomness.
        shape: (height, width) in pixels.
        width: of the line in pixels.
        wobble: how far it leaves the straight way, as a share of the shorter side.

    Returns:
        The pixels of the line, and its points (x, y).
    """
    angle, steps = rng.uniform(0, np.pi), np.linspace(-1.5, 1.5, 40)
    middle = rng.uniform(0.2, 0.8, 2) * (shape[1], shape[0])
    bend = wobble * min(shape) * np.sin(rng.uniform(1, 4) * steps + rng.uniform(0, 6))
    along = np.stack((np.cos(angle) * steps, np.sin(angle) * steps), 1) * max(shape)
    across = np.stack((-np.sin(angle) * bend, np.cos(angle) * bend), 1)
    points = np.round(middle + along + across).astype(np.int32)
    canvas = np.zeros(shape, np.uint8)
    cv2.polylines(canvas, [points], False, 1, max(1, round(width)))
    return canvas > 0, points


def grain(rng: np.random.Generator, shape: Shape, *scales: float) -> Image:
    """Return noise of several wave lengths in pixels, mean 0, deviation about 1; float32."""
    noise = sum(smooth_noise(rng, shape, scale) for scale in scales)
    return np.asarray(noise, np.float32) / np.float32(np.sqrt(len(scales)))


def as_dtype(
    values: NDArray[np.floating[Any]], dtype: type[np.unsignedinteger[Any]]
) -> NDArray[Any]:
    """Turn values from 0 to 1 into the whole range of an integer type; others are cut off."""
    top = np.iinfo(dtype).max
    return np.asarray(np.clip(values, 0, 1) * top).astype(dtype)


def grey_as_rgb(values: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Turn values from 0 to 1 into three equal channels; (height, width, 3) uint8."""
    return np.repeat(as_dtype(values, np.uint8)[..., None], 3, axis=2)
