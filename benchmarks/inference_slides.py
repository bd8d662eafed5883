"""The slides that benchmarks/inference.py measures on: made once, kept in a cache folder.

One patch of texture, 6,000 x 6,000, is repeated and mirrored to any size: tissue on about 60 % of a
bright background, darker blobs inside the tissue, and a grain that lets LZW keep about 0.7 of the
raw bytes. The same seeds give the same pixels everywhere.
"""

import functools
import warnings
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window

PATCH = 6_000
VERSION = 1  # part of the files' names: raise it when the pixels or the weights change
ROWS = 512  # written at once

# Red, green, blue. Blobs are darker, most of all in green: there the identity network cuts.
BACKGROUND, TISSUE, BLOB = (241, 238, 243), (205, 140, 185), (140, 85, 150)


@dataclass(frozen=True)
class SlideSpec:
    """One slide: (height, width), and "tiled", "striped" or "pages" (three one-band pages)."""

    shape: tuple[int, int]
    layout: str = "tiled"

    def path(self, cache: Path) -> Path:
        height, width = self.shape
        return cache / f"slide{VERSION}-{width}x{height}-{self.layout}.tif"


LARGEST = (39_960, 50_680)  # HuBMAP's largest slide
SLIDES = {
    "warm-up": SlideSpec((1_100, 1_200)),
    "small": SlideSpec((9_000, 12_000)),
    "large": SlideSpec((25_000, 30_000)),
    "tiled": SlideSpec(LARGEST),
    "pages": SlideSpec(LARGEST, "pages"),
    "striped": SlideSpec(LARGEST, "striped"),
    # The sides of the last hold no multiple of the network's stride, of the window or of the scale.
    "odd-1": SlideSpec((3_071, 2_557)),
    "odd-2": SlideSpec((1_999, 2_803)),
    "odd-3": SlideSpec((333, 1_110)),
}


def slide(name: str, cache: Path) -> Path:
    """Return the path of a slide, writing it first if the cache lacks it."""
    spec = SLIDES[name]
    path = spec.path(cache)
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.unlink(missing_ok=True)
        write(spec, part)
        part.rename(path)
    return path


def write(spec: SlideSpec, path: Path) -> None:
    """Write a slide a strip at a time, compressed on all cores."""
    height, width = spec.shape
    options = {
        "driver": "GTiff",
        "height": height,
        "width": width,
        "dtype": "uint8",
        "compress": "lzw",
        "predictor": 2,
        "num_threads": "all_cpus",
        "bigtiff": "yes" if spec.layout == "pages" else "if_safer",  # three together pass 4 GB
    }
    if spec.layout != "striped":
        options |= {"tiled": True, "blockxsize": 512, "blockysize": 512}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        if spec.layout == "pages":
            # As tifffile writes (1, 1, 3, H, W) with photometric="minisblack": a page per channel.
            for band in range(3):
                options["append_subdataset"] = band > 0  # the first one makes the file
                with rasterio.open(path, "w", count=1, **options) as file:
                    for y0, rows in strips(spec.shape):
                        place = Window(0, y0, width, len(rows))
                        file.write(rows[..., band], 1, window=place)
        else:
            with rasterio.open(path, "w", count=3, photometric="rgb", **options) as file:
                for y0, rows in strips(spec.shape):
                    file.write(rows.transpose(2, 0, 1), window=Window(0, y0, width, len(rows)))


def strips(shape):
    """Yield the first row of each strip and its pixels, (rows, width, 3) uint8."""
    height, width = shape
    texture = patch()
    columns = mirrored(np.arange(width))
    for y0 in range(0, height, ROWS):
        rows = mirrored(np.arange(y0, min(y0 + ROWS, height)))
        yield y0, texture[rows][:, columns]


def mirrored(at):
    """Map positions of an endless mirrored row of patches into the patch."""
    there_and_back = at % (2 * PATCH)
    return np.minimum(there_and_back, 2 * PATCH - 1 - there_and_back)


@functools.cache
def patch():
    """Make the texture, (6000, 6000, 3) uint8."""
    rng = np.random.default_rng(0)
    tissue = waves(rng, 700) + 0.3 * waves(rng, 90) + 0.25  # above 0 it is tissue
    blob = waves(rng, 110)
    grain = cv2.GaussianBlur(rng.standard_normal((PATCH, PATCH), np.float32), (0, 0), 0.7)
    inside = ramp(tissue, 0, 0.03)
    # Blobs keep away from the tissue's edge: a window with one always shows much tissue.
    dark = ramp(tissue, 0.3, 0.5) * ramp(blob, 0.1, 0.4)
    pixels = np.empty((PATCH, PATCH, 3), np.uint8)
    for band in range(3):
        plain = BACKGROUND[band] + inside * (TISSUE[band] - BACKGROUND[band])
        plain += dark * (BLOB[band] - TISSUE[band])
        own = rng.standard_normal((PATCH, PATCH), np.float32)  # the camera's, in each channel
        plain += (4 + 14 * inside) * grain + (1 + 4 * inside) * own
        pixels[..., band] = np.clip(plain + 0.5, 0, 255)
    return pixels


def waves(rng, cell):
    """Return smooth noise of about unit variance whose hills are about `cell` pixels wide."""
    side = PATCH // cell + 3
    coarse = rng.standard_normal((side, side), np.float32)
    fine = cv2.resize(coarse, (side * cell, side * cell), interpolation=cv2.INTER_CUBIC)
    return fine[cell // 2 :, cell // 2 :][:PATCH, :PATCH]


def ramp(values, low, high):
    """Rise from 0 at `low` to 1 at `high`."""
    return np.clip((values - low) / (high - low), 0, 1)


def raw_mb(path: Path) -> tuple[float, float]:
    """Return the megabytes of a slide's pixels, and of its file."""
    [spec] = [spec for spec in SLIDES.values() if spec.path(path.parent) == path]
    return 3 * spec.shape[0] * spec.shape[1] / 1e6, path.stat().st_size / 1e6
