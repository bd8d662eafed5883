"""An augmentation as steps that draw from one generator, and albumentations as one such step.

albumentations 2.0.8, the last release under a free licence and the one on Kaggle, has three traps,
which `adapt` mends:

- Its random state is made with the pipeline and copied into every DataLoader worker, so that all
  workers, and every epoch of workers that are not kept, disturb their pictures alike. Here the
  state is set for each picture, from its key. (`set_random_seed` would be no cure: it gives every
  transform of the pipeline the same numbers, so that all of them happen or none.)
- An argument it does not know is ignored with a warning. Here that is an error.
- Importing it asks the network for a newer version.
"""

import os
import random
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from kagglekit import stain

Pixels = npt.NDArray[Any]
Masks = npt.NDArray[np.uint8]


class Step(Protocol):
    """One change of a picture: draws what it needs from `rng`, and returns new arrays."""

    def __call__(
        self, pixels: Pixels, masks: Masks, rng: np.random.Generator
    ) -> tuple[Pixels, Masks]:
        """Return changed pixels, (h, w, C), and masks, (K, h, w), of the same dtypes."""
        ...


class Augmentation:
    """Steps, one after the other, that draw from a generator made of a key.

    Args:
        steps: what is done to each picture. A step keeps nothing from one picture to the next.

    Example:
        >>> flip = Augmentation([turn])
        >>> picture, masks = np.arange(12, dtype=np.uint8).reshape(2, 2, 3), np.eye(2, dtype="u1")
        >>> a, _ = flip(picture, masks[None], key=(0, 1, 2))
        >>> b, _ = flip(picture, masks[None], key=(0, 1, 2))
        >>> bool((a == b).all())
        True
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = tuple(steps)

    def __call__(self, pixels: Pixels, masks: Masks, key: Sequence[int]) -> tuple[Pixels, Masks]:
        """Disturb one picture.

        Args:
            pixels: (h, w, C): uint8, uint16, or float32 in [0, 1].
            masks: (K, h, w) uint8, 0 or 1.
            key: non-negative integers, e.g. (seed, epoch, sample): all that the result depends on.

        Returns:
            Pixels and masks of the same shapes (h and w may change places if they differ) and
            dtypes, contiguous. The arrays given are left as they are.

        Raises:
            ValueError: the masks are not of the pixels' size.
        """
        if masks.shape[1:] != pixels.shape[:2]:
            raise ValueError(
                f"masks of {masks.shape[1:]} pixels for a picture of {pixels.shape[:2]}"
            )
        rng = np.random.default_rng(key)
        for step in self.steps:
            pixels, masks = step(pixels, masks, rng)
        return np.ascontiguousarray(pixels), np.ascontiguousarray(masks)


def turn(pixels: Pixels, masks: Masks, rng: np.random.Generator) -> tuple[Pixels, Masks]:
    """Show a square in one of its eight symmetries, anything else in one of four: exact, and free.

    Tissue, nuclei and the sky have no right way up.
    """
    transpose, down, along = (bool(bit) for bit in rng.integers(0, 2, 3))
    if transpose and pixels.shape[0] == pixels.shape[1]:
        pixels, masks = _changed(cv2.transpose, pixels, masks)
    if down or along:
        code = -1 if down and along else int(along)  # OpenCV's for both, along, down
        pixels, masks = _changed(lambda image: cv2.flip(image, code), pixels, masks)
    return pixels, masks


def _changed(change: Callable[[Any], Any], pixels: Pixels, masks: Masks) -> tuple[Pixels, Masks]:
    """Turn a picture and its masks by OpenCV: NumPy takes up to thirty times as long."""
    channels = pixels.shape[2]
    if channels <= 4:  # more, OpenCV does not know everywhere
        turned = change(pixels)
        pixels = turned.reshape(*turned.shape[:2], channels)  # it drops the axis of a single one
    else:
        pixels = np.stack([change(pixels[..., k]) for k in range(channels)], axis=2)
    if len(masks) == 1:
        return pixels, change(masks[0])[None]  # `stack` would copy it once more
    return pixels, np.stack([change(mask) for mask in masks]) if len(masks) else masks


def restain(pixels: Pixels, masks: Masks, rng: np.random.Generator) -> tuple[Pixels, Masks]:
    """Stain an RGB picture by up to a quarter more or less: `kagglekit.stain.perturb`."""
    return stain.perturb(pixels, 0.25, rng), masks


def hide(pixels: Pixels, masks: Masks, rng: np.random.Generator) -> tuple[Pixels, Masks]:
    """Black out up to four rectangles of one picture in five, in its masks too.

    What nobody can see is not asked for.
    """
    if rng.random() >= 0.2:
        return pixels, masks
    pixels, masks = pixels.copy(), masks.copy()
    for _ in range(int(rng.integers(1, 5))):
        size = (rng.uniform(0.05, 0.15, 2) * pixels.shape[:2]).astype(int) + 1
        y, x = rng.integers(0, np.array(pixels.shape[:2]) - size + 1)
        pixels[y : y + size[0], x : x + size[1]] = 0
        masks[:, y : y + size[0], x : x + size[1]] = 0
    return pixels, masks


def adapt(build: Callable[[Any], Sequence[Any]]) -> Step:
    """Make one step of albumentations' transforms.

    Args:
        build: is given the albumentations module and returns a list of its transforms; they see
            `image` and `masks`.

    Returns:
        The step, for `Augmentation`.

    Raises:
        ValueError: a transform does not know one of its arguments.

    Example:
        >>> step = adapt(lambda A: [A.RandomGamma(gamma_limit=(80, 120), p=1)])
        >>> pixels, masks = np.full((8, 8, 3), 100, np.uint8), np.zeros((1, 8, 8), np.uint8)
        >>> Augmentation([step])(pixels, masks, key=(0, 0, 0))[0].shape
        (8, 8, 3)
    """
    module = albumentations()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        try:
            transforms = build(module)
        except UserWarning as warning:
            raise ValueError(
                f"albumentations {module.__version__} would ignore this: {warning}; see its "
                "documentation for what the argument is called now"
            ) from warning
    only_pixels = all(isinstance(each, module.ImageOnlyTransform) for each in transforms)
    return _Albumentations(module.Compose(transforms), only_pixels)


def albumentations() -> Any:
    """Import albumentations without its question to the network."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations

    return albumentations


class _Albumentations:
    def __init__(self, compose: Any, only_pixels: bool) -> None:
        self._compose, self._only_pixels = compose, only_pixels

    def __call__(
        self, pixels: Pixels, masks: Masks, rng: np.random.Generator
    ) -> tuple[Pixels, Masks]:
        # Its transforms know 8-bit numbers, and floats in [0, 1], which hold 16-bit ones exactly.
        wide = pixels.dtype == np.uint16
        given = pixels.astype(np.float32) / 65535 if wide else pixels
        self._compose.set_random_state(rng, random.Random(int(rng.integers(1 << 32))))
        targets = {"image": np.ascontiguousarray(given)}
        # What only goes through costs a third of the time; and no masks at all are an error there.
        if len(masks) and not self._only_pixels:
            targets["masks"] = np.ascontiguousarray(masks)
        made = self._compose(**targets)
        image = made["image"].reshape(*made["image"].shape[:2], pixels.shape[2])
        if wide:
            image = np.rint(image * 65535).clip(0, 65535).astype(np.uint16)
        return image, np.asarray(made.get("masks", masks))
