"""The tree of hubmap-kidney-segmentation, with drawn slides."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kagglekit.competitions import table
from kagglekit.competitions.fake.tissue import draw_kidney
from kagglekit.competitions.fake.tree import (
    draw_glass,
    image_path,
    images,
    rare_shape,
    vary,
    write_tables,
)
from kagglekit.competitions.profile import Profile
from kagglekit.rasters import open_raster
from kagglekit.rle import RLE

SIZE = (1300, 1600)
LAYOUTS = ("tiled", "planar", "striped")
"""How the real slides lie in their files: both ways, and nobody says which has which."""


def make_kidney(
    comp: Profile,
    root: Path,
    seed: int,
    train: int,
    test: int,
    size: tuple[int, int] | None,
    hidden: bool,
) -> dict[str, list[RLE]]:
    """Write the tree; arguments and result are those of `fake.make`."""
    found: dict[bool, dict[str, list[RLE]]] = {True: {}, False: {}}
    slides: list[tuple[str, int, int, int]] = []
    for in_train, number, rng in images(seed, train, test):
        image_id = f"{rng.integers(16**9):09x}"
        shape = vary(rng, size or SIZE)
        if hidden and not in_train:
            shape = rare_shape(shape, number)
        if hidden and not in_train and number == 1:
            rgb, mask = draw_glass(rng, shape), np.zeros(shape, np.uint8)
        else:
            rgb, mask = draw_kidney(rng, shape)
        path = image_path(comp, root, image_id, in_train)
        # Seeds begin with different layouts, so a hidden test brings what the visible one lacks.
        write_slide(path, rgb, LAYOUTS[(number if in_train else seed + number) % len(LAYOUTS)])
        found[in_train][image_id] = [RLE.from_mask(mask, order=comp.submission.order)]
        patient = 63_921 + 97 * (len(slides) // 2)
        slides.append((path.name, mask.shape[1], mask.shape[0], patient))
    write_tables(comp, root, found[True], found[False])
    if comp.groups and not hidden:
        header = (comp.groups.image, "width_pixels", "height_pixels", comp.groups.column)
        table.write_table(root / comp.groups.path, header, slides)
    return found[False]


def write_slide(path: Path, rgb: NDArray[np.uint8], layout: str) -> None:
    """Write a slide as TIFF.

    Args:
        path: the file.
        rgb: (height, width, 3) uint8.
        layout: "tiled" for LZW tiles of 256 pixels, "striped" for uncompressed strips, "planar"
            for an array of (1, 1, 3, height, width), which rasterio sees as three subdatasets.
    """
    import tifffile

    height, width = rgb.shape[:2]
    if layout == "planar":
        tifffile.imwrite(path, rgb.transpose(2, 0, 1)[None, None], photometric="minisblack")
    elif layout == "striped":
        tifffile.imwrite(path, rgb, photometric="rgb", rowsperstrip=16)
    else:
        with open_raster(
            path,
            "w",
            driver="GTiff",
            width=width,
            height=height,
            count=3,
            dtype="uint8",
            photometric="RGB",
            tiled=True,
            blockxsize=256,
            blockysize=256,
            compress="LZW",
            interleave="pixel",
        ) as file:
            file.write(rgb.transpose(2, 0, 1))
