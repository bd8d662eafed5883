"""The tree of hubmap-kidney-segmentation, with drawn slides."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kagglekit.competitions import table, template
from kagglekit.competitions.fake.tissue import draw_kidney
from kagglekit.competitions.profile import Profile
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
) -> dict[str, list[RLE]]:
    """Write the tree; arguments and result are those of `fake.make`."""
    rng = np.random.default_rng(seed)
    rules, tree = comp.submission, comp.tree
    rows: list[tuple[str, str]] = []
    slides: list[tuple[str, int, int, int]] = []
    truth: dict[str, list[RLE]] = {}
    first_patient = int(rng.integers(60_000, 70_000))
    for number in range(train + test):
        image_id = f"{rng.integers(16**9):09x}"
        height, width = (int(side * rng.uniform(0.85, 1.15)) for side in size or SIZE)
        rgb, mask = draw_kidney(rng, (height, width))
        in_train = number < train
        where = tree.train_images if in_train else tree.test_images
        path = root / template.fill(where, id=image_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Seeds begin with different layouts, so a hidden test brings what the visible one lacks.
        layout = LAYOUTS[(number if in_train else seed + number - train) % len(LAYOUTS)]
        write_slide(path, rgb, layout)
        rle = RLE.from_mask(mask, order=rules.order)
        if in_train:
            rows.append((image_id, rle.to_text()))
        else:
            truth[image_id] = [rle]
        slides.append((path.name, width, height, first_patient + 97 * (number // 2)))
    table.write_table(
        root / comp.train_table.path, (comp.train_table.id, comp.train_table.rle), rows
    )
    empty = [(image_id, rules.empty) for image_id in sorted(truth)]
    table.write_table(root / rules.sample, (rules.id, rules.rle), empty)
    if comp.groups:
        header = (comp.groups.image, "width_pixels", "height_pixels", comp.groups.column)
        table.write_table(root / comp.groups.path, header, slides)
    return truth


def write_slide(path: Path, rgb: NDArray[np.uint8], layout: str) -> None:
    """Write a slide as TIFF.

    Args:
        path: the file.
        rgb: (height, width, 3) uint8.
        layout: "tiled" for LZW tiles of 256 pixels, "striped" for uncompressed strips, "planar"
            for an array of (1, 1, 3, height, width), which rasterio sees as three subdatasets.
    """
    import rasterio
    import tifffile

    height, width = rgb.shape[:2]
    if layout == "planar":
        tifffile.imwrite(path, rgb.transpose(2, 0, 1)[None, None], photometric="minisblack")
    elif layout == "striped":
        tifffile.imwrite(path, rgb, photometric="rgb", rowsperstrip=16)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(
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
