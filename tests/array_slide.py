"""Pictures, in memory and in files, for tests that need a slide."""

import warnings
from types import SimpleNamespace

import rasterio
import torch
import torch.nn.functional as F

from kagglekit.scaling import shrink

TILED = {"tiled": True, "blockxsize": 128, "blockysize": 128}


def smooth_picture(shape, channels=3, seed=0):
    """Blobs, as uint8: a threshold cuts each somewhere."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, channels, 2 + shape[0] // 16, 2 + shape[1] // 16, generator=generator)
    fine = F.interpolate(coarse, shape, mode="bicubic", align_corners=False)[0]
    return (fine.clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy()


def write_image(path, pixels, driver="GTiff", **profile):
    """Write (h, w, C) pixels to a file; give `tiled`, `blockysize`, `compress` ... of a TIFF."""
    height, width, channels = pixels.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver=driver, height=height, width=width, count=channels,
            dtype=pixels.dtype, **profile,
        ) as file:  # fmt: skip
            file.write(pixels.transpose(2, 0, 1))
    return path


class ArraySlide(SimpleNamespace):
    """A slide in memory, as if stored in blocks; it notes which boxes are read.

    Attributes:
        reads: `y0, y1, x0, x1` of each read, in order.
    """

    def __init__(self, pixels, block=(1, 1), sequential=False):
        super().__init__(
            pixels=pixels, block=block, sequential=sequential, reads=[], shape=pixels.shape[:2],
            channels=pixels.shape[2], dtype=pixels.dtype,
        )  # fmt: skip

    def read(self, y0, y1, x0, x1, scale=1):
        self.reads.append((y0, y1, x0, x1))
        pixels = self.pixels[y0:y1, x0:x1].copy()
        return pixels if scale == 1 else shrink(pixels, scale)
