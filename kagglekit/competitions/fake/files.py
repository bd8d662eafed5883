"""Images and masks, written as the files that a competition has."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kagglekit.competitions import template
from kagglekit.competitions.fake.kidney import write_slide
from kagglekit.competitions.fake.pictures import Mask, Picture
from kagglekit.competitions.profile import Profile
from kagglekit.rasters import open_raster


def write_image(comp: Profile, path: Path, picture: Picture, layout: str) -> None:
    """Write a picture: a file, or a folder of one file for each layer.

    Args:
        comp: the competition, whose image format is used.
        path: the file or folder; folders above it are made.
        picture: what to write.
        layout: of TIFF files in colour: "tiled", "planar" or "striped".
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(picture.pixels, dict):
        _write(path, picture.pixels, layout)
        return
    path.mkdir(parents=True, exist_ok=True)
    for name, pixels in picture.pixels.items():
        _write(path / template.fill(comp.tree.layers or "", layer=name), pixels, layout)


def write_mask(comp: Profile, path: Path, mask: Mask) -> None:
    """Write a mask: 0 and 255 as GIF, PNG or TIFF; 0 and 1 where it is an array.

    Masks beside 8-bit PNG images of three channels are 16-bit, 0 and 65535, as those of salt are.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, mask.astype(np.int32)[..., None])
    elif path.suffix == ".gif":
        _write_gif(path, mask.astype(np.uint8) * 255)
    elif (comp.images.format, comp.images.channels) == ("PNG", 3):
        _write(path, mask.astype(np.uint16) * 65535, "striped")
    else:
        _write(path, mask.astype(np.uint8) * 255, "striped")


def write_outlines(
    path: Path, kind: str, outlines: Mapping[str, Sequence[NDArray[np.float64]]]
) -> None:
    """Write outlines as JSON lines, with one of another kind among them that does not count."""
    lines = []
    for image_id, shapes in outlines.items():
        other = {"type": "glomerulus", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]]]}
        own = [{"type": kind, "coordinates": [shape.tolist()]} for shape in shapes]
        lines.append(json.dumps({"id": image_id, "annotations": [other, *own]}))
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def _write(path: Path, pixels: NDArray[Any], layout: str) -> None:
    import tifffile

    if path.suffix == ".npy":
        np.save(path, pixels)
    elif path.suffix in (".tif", ".tiff"):
        if pixels.ndim == 3:
            write_slide(path, pixels, layout)
        else:
            tifffile.imwrite(path, pixels, photometric="minisblack")
    else:
        bgr = pixels[..., ::-1] if pixels.ndim == 3 else pixels
        cv2.imwrite(str(path), bgr)


def _write_gif(path: Path, grey: NDArray[np.uint8]) -> None:
    height, width = grey.shape
    with open_raster(
        path, "w", driver="GIF", height=height, width=width, count=1, dtype="uint8"
    ) as file:
        file.write(grey, 1)
