"""The presets over torchvision's transforms v2, for who does without albumentations.

They draw from torch's own generator: it is seeded from the key for each picture, and put back.
"""

from typing import Any

import numpy as np
import torch

from kagglekit.augment._steps import Masks, Pixels, Step


def step(name: str, channels: int) -> Step:
    """Return what a preset does besides turning and staining."""
    from torchvision.transforms import v2

    if name != "heavy":
        return _Transforms([_some(0.8, [v2.ColorJitter(brightness=0.1, contrast=0.1)])])
    colour = {"saturation": 0.25, "hue": 0.03} if channels == 3 else {}
    smooth = {"interpolation": v2.InterpolationMode.BILINEAR}
    return _Transforms(
        [
            _some(0.7, [v2.RandomAffine(45, translate=(0.06, 0.06), scale=(0.8, 1.25), **smooth)]),
            _some(0.3, [v2.ElasticTransform(alpha=30.0, sigma=4.0, **smooth)]),
            _some(0.8, [v2.ColorJitter(brightness=0.2, contrast=0.2, **colour)]),
            _some(0.2, [v2.GaussianBlur(5, sigma=(0.3, 1.5))]),
            _some(0.2, [v2.GaussianNoise(sigma=0.03)]),
        ]
    )


def _some(share: float, transforms: list[Any]) -> Any:
    from torchvision.transforms import v2

    return v2.RandomApply(transforms, p=share)


class _Transforms:
    def __init__(self, transforms: list[Any]) -> None:
        self._transforms = transforms

    def __call__(
        self, pixels: Pixels, masks: Masks, rng: np.random.Generator
    ) -> tuple[Pixels, Masks]:
        from torchvision import tv_tensors

        largest = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
        scaled = np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32) / np.float32(largest)
        if len(scaled) not in (1, 3):  # as that many grey pictures: it knows no other colours
            scaled = scaled[:, None]
        image = tv_tensors.Image(torch.from_numpy(scaled))
        planes = tv_tensors.Mask(torch.from_numpy(np.ascontiguousarray(masks)))
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed, which would seed GPUs, too, and those are not put back.
            torch.default_generator.manual_seed(int(rng.integers(1 << 63)))
            for transform in self._transforms:
                image, planes = transform(image, planes)
        values = image.numpy().reshape(scaled.shape[0], *image.shape[-2:])
        values = values.transpose(1, 2, 0) * np.float32(largest)
        if pixels.dtype.kind == "u":
            values = np.rint(values).clip(0, largest)
        return values.astype(pixels.dtype), planes.numpy()
