"""Optical density: how much light a stain takes away, which adds up where stains mix.

Beer and Lambert: of light 255 a pixel lets through 255 exp(-density), and a stain's density is its
concentration times its colour.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

# -log of each of the 256 grey levels; level 0 counts as 1, since its density is infinite.
_DENSITY = -np.log(np.maximum(np.arange(256), 1) / 255).astype(np.float32)

# Haematoxylin, eosin and DAB: Ruifrok and Johnston, "Quantification of histochemical staining by
# color deconvolution", 2001. Rows are density in red, green, blue.
HED = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])


def to_density(pixels: Bytes) -> Floats:
    """Return the optical density of each pixel and channel: float32 in [0, log 255].

    Args:
        pixels: (..., 3) uint8, RGB.
    """
    density: Floats = _DENSITY[pixels]
    return density


def to_pixels(density: npt.NDArray[Any]) -> Bytes:
    """Return the pixels of an optical density: uint8, rounded; below 0 is white.

    Example:
        >>> to_pixels(to_density(np.array([[1, 100, 255]], np.uint8))).tolist()
        [[1, 100, 255]]
    """
    pixels: Bytes = np.rint(255 * np.exp(-np.maximum(density, 0))).astype(np.uint8)
    return pixels


def check_rgb(pixels: npt.NDArray[Any]) -> None:
    """Refuse what is not 8-bit RGB.

    Raises:
        ValueError: another dtype or number of channels.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(
            f"pixels of shape {pixels.shape}, {pixels.dtype}; stains are told apart in RGB only: "
            "expected (h, w, 3) uint8"
        )


def perturb(pixels: Bytes, strength: float, rng: np.random.Generator) -> Bytes:
    """Stain a picture a little more or less, with each of three stains on its own.

    Tellez et al., "Whole-slide mitosis detection in H&E breast histology using PHH3 as a reference
    to train distilled stain-invariant convolutional networks", 2018: each concentration c becomes
    a·c + b, with a and b uniform.

    Args:
        pixels: (h, w, 3) uint8, RGB.
        strength: a is within 1 ± strength, b within ± strength / 10.
        rng: where a and b come from.

    Returns:
        (h, w, 3) uint8. What is white stays near white.

    Raises:
        ValueError: not 8-bit RGB.
    """
    check_rgb(pixels)
    stains = HED / np.linalg.norm(HED, axis=1, keepdims=True)
    factor = 1 + rng.uniform(-strength, strength, 3)
    offset = rng.uniform(-strength, strength, 3) / 10
    # concentrations = density @ inv(stains); scaled, shifted and mixed again, in one product
    mixed = (np.linalg.inv(stains) * factor) @ stains
    density = to_density(pixels) @ mixed.astype(np.float32) + (offset @ stains).astype(np.float32)
    return to_pixels(density)
