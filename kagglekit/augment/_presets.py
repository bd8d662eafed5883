"""Three augmentations by name, each over either of two libraries."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from kagglekit.augment import _torchvision
from kagglekit.augment._steps import (
    Augmentation,
    Masks,
    Pixels,
    Step,
    adapt,
    hide,
    restain,
    turn,
)

PRESETS = ("light", "heavy", "stain")
"""The names `preset` knows."""

BACKENDS = ("albumentations", "torchvision")
"""The libraries `preset` can build on."""


def preset(name: str, backend: str = "albumentations", channels: int = 3) -> Augmentation:
    """Build an augmentation by name.

    Args:
        name: "light" (the square's symmetries; light and contrast by a tenth), "heavy" (also turned
            by any angle, stretched, bent, coloured, blurred or noisy, with holes), or "stain"
            (bent and lit as little as "light" allows, but stained by up to a quarter more or less).
        backend: "albumentations", or "torchvision" for its transforms v2. Both do the same kinds of
            things to the same degree; not the same pixels.
        channels: of the pictures, which are at least 32 pixels wide. Hue, saturation and stains are
            left out unless they are 3.

    Returns:
        The augmentation, which can be pickled. It raises ValueError for floats outside [0, 1] and,
        if not "light", for pictures of other channels.

    Raises:
        ValueError: there is no such preset or backend, or stains are asked of pictures that are
            not RGB.

    Example:
        >>> [type(step).__name__ for step in preset("stain").steps]
        ['function', 'partial', '_Albumentations', 'function']
    """
    for given, known, what in ((name, PRESETS, "preset"), (backend, BACKENDS, "backend")):
        if given not in known:
            raise ValueError(f"{what} {given!r} must be one of {', '.join(map(repr, known))}")
    if name == "stain" and channels != 3:
        raise ValueError(f"preset 'stain' needs RGB, not {channels} channel(s): take 'heavy'")
    make = _albumentations if backend == "albumentations" else _torchvision.step
    last: dict[str, list[Step]] = {"light": [], "heavy": [hide], "stain": [restain]}
    check = partial(_check, None if name == "light" else channels)
    return Augmentation([turn, check, make(name, channels), *last[name]])


def _check(
    channels: int | None, pixels: Pixels, masks: Masks, rng: np.random.Generator
) -> tuple[Pixels, Masks]:
    """Refuse other channels than expected, and floats outside [0, 1], which would be cut off."""
    if channels not in (None, pixels.shape[2]):
        raise ValueError(
            f"a picture of {pixels.shape[2]} channels, and the preset is for {channels}: "
            f"preset(..., channels={pixels.shape[2]})"
        )
    if pixels.dtype.kind == "f" and not (pixels.min() >= 0 and pixels.max() <= 1):
        raise ValueError(
            f"a picture of {pixels.dtype} from {pixels.min():g} to {pixels.max():g}: expected "
            "values in [0, 1], where light and colour are changed; store it scaled to that"
        )
    return pixels, masks


def _albumentations(name: str, channels: int) -> Step:
    return adapt(_heavy(channels) if name == "heavy" else _light)


def _light(library: Any) -> list[Any]:
    return [library.RandomBrightnessContrast(brightness_limit=0.1, contrast_limit=0.1, p=0.8)]


def _heavy(channels: int) -> Callable[[Any], list[Any]]:
    def build(library: Any) -> list[Any]:
        mirror = {"border_mode": 4}  # cv2.BORDER_REFLECT_101, as everywhere in kagglekit
        bent = library.OneOf(
            [
                library.ElasticTransform(alpha=30, sigma=4, **mirror),
                library.GridDistortion(num_steps=5, distort_limit=0.2, **mirror),
            ],
            p=0.3,
        )
        colour = library.HueSaturationValue(
            hue_shift_limit=10, sat_shift_limit=25, val_shift_limit=15, p=0.5
        )
        disturbed = library.OneOf(
            [
                library.GaussNoise(std_range=(0.01, 0.05)),
                library.GaussianBlur(blur_limit=0, sigma_limit=(0.3, 1.5)),
            ],
            p=0.3,
        )
        return [
            library.Affine(
                scale=(0.8, 1.25),
                rotate=(-45, 45),
                translate_percent=(-0.06, 0.06),
                p=0.7,
                **mirror,
            ),
            bent,
            library.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.2, p=0.8),
            library.RandomGamma(gamma_limit=(80, 125), p=0.3),
            *([colour] if channels == 3 else []),
            disturbed,
        ]

    return build
