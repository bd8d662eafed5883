"""Pictures written once at the resolution the model sees, where reading a tile costs nothing.

A picture becomes `<name>.npy` and `<name>.masks.npy`, mapped into memory by whoever reads them, and
`<name>.json`, which holds its masks' runs and what it was made of, and is written last: a picture
with all three is done.
Everything is written beside and renamed, so a kill at any moment leaves whole pictures, and the
next run goes on after them.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

import kagglekit
from kagglekit.bars import tqdm
from kagglekit.errors import DataError
from kagglekit.fingerprint import fingerprint
from kagglekit.replacing import replacing
from kagglekit.rle import RLE
from kagglekit.slides import Slide, open_slide
from kagglekit.tiles._bits import Bits, write_bits
from kagglekit.tiles._cut import Picture, shrink_mask
from kagglekit.tiles._moments import Moments

_STRIP_BYTES = 32 << 20

Masks = Callable[[str, Slide], Sequence[RLE]]


def store(
    images: Mapping[str, Path],
    masks: Masks,
    out: Path | str,
    scale: int = 1,
    progress: bool = True,
) -> Moments:
    """Write pictures at a scale; those that are there already are kept: of the same file and masks.

    Args:
        images: names and files of the pictures, as `Data.train_images` returns them.
        masks: called with a name and its open slide, returns the picture's masks.
        out: the folder; made if needed.
        scale: image pixels per model pixel.
        progress: show a bar.

    Returns:
        The moments of all pixels of all pictures. Divided by the largest pixel value (255), `mean`
        and `std` are what a `models.Recipe` wants.

    Raises:
        ValueError: scale is below 1, a mask is not of its slide's shape, or a name cannot be that
            of its files.
        SlideError: a picture cannot be read.
    """
    if scale < 1:
        raise ValueError(f"scale={scale} must be at least 1")
    wrong = [name for name in images if "/" in name or name.endswith(".masks")]
    if wrong:
        raise ValueError(f"names that files cannot have, with / or .masks: {', '.join(wrong[:5])}")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    moments = Moments()
    for name, path in tqdm(images.items(), desc="tiles", disable=not progress):
        with open_slide(path) as slide:
            picture = Picture(slide, masks(name, slide), scale)
            source: dict[str, Any] = {"scale": scale, "source": fingerprint(path)}
            source["truth"] = _digest(picture.masks)
            kept = _load(out, name)
            if kept is None or any(kept.get(key) != value for key, value in source.items()):
                # Else a kill between the files could leave the new pixels with the old masks.
                (out / f"{name}.json").unlink(missing_ok=True)
                kept = source | _write(picture, out / f"{name}.npy")
                with replacing(out / f"{name}.json") as file:
                    file.write(json.dumps(kept).encode())
        own = kept["moments"]
        moments.merge(Moments(own["count"], tuple(own["mean"]), tuple(own["squares"])))
    return moments


def open_store(out: Path | str, names: Iterable[str]) -> list[Picture]:
    """Open pictures that `store` has written.

    Args:
        out: the folder.
        names: which, in the order wanted.

    Returns:
        Pictures whose scale is 1: they are stored at the resolution the model sees. Close their
        slides, or leave that to Python.

    Raises:
        DataError: pictures are missing or were not finished.
    """
    out, missing = Path(out), []
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        kept = _load(out, name)
        if kept is None:
            missing.append(name)
        else:
            found[name] = kept
    if missing:
        raise DataError(
            f"`{out}` lacks {len(missing)} of {len(missing) + len(found)} pictures",
            problems=missing[:20],
            hint="run `kagglekit tiles` again: it goes on where it was stopped",
        )
    pictures = []
    for name, known in found.items():
        slide = open_slide(out / f"{name}.npy")
        masks = [RLE.from_text(text, slide.shape) for text in known["masks"]]
        bits = Bits(out / f"{name}.masks.npy")
        pictures.append(Picture(slide, masks, bits=bits, stored_scale=known["scale"]))
    return pictures


def _write(picture: Picture, path: Path) -> dict[str, Any]:
    """Write the pixels, a strip of rows at a time; return what is to be known of them."""
    slide, moments = picture.slide, Moments()
    header = {
        "descr": np.lib.format.dtype_to_descr(slide.dtype),
        "fortran_order": False,
        "shape": (*picture.shape, slide.channels),
    }
    height, width = slide.shape
    rows = _strip(slide, picture.scale)
    with replacing(path) as file:
        np.lib.format.write_array_header_1_0(file, header)
        for y0 in range(0, height, rows):
            strip = slide.read(y0, min(y0 + rows, height), 0, width, picture.scale)
            moments.add(strip)
            file.write(np.ascontiguousarray(strip).data)
    masks = [shrink_mask(mask, picture.scale) for mask in picture.masks]
    write_bits(masks, picture.shape, path.with_suffix(".masks.npy"))
    texts = [mask.reorder("F").to_text() for mask in masks]
    return {"masks": texts, "moments": vars(moments), "version": kagglekit.__version__}


def _strip(slide: Slide, scale: int) -> int:
    """Rows to read at a time: whole blocks and whole cells, some megabytes."""
    both = math.lcm(slide.block[0], scale)
    row_bytes = slide.shape[1] * slide.channels * slide.dtype.itemsize
    unit = both if both * row_bytes <= 4 * _STRIP_BYTES else scale
    return unit * max(_STRIP_BYTES // row_bytes // unit, 1)


def _digest(masks: Sequence[RLE]) -> str:
    """Return what tells masks from others: corrected labels are written again."""
    digest = sha256()
    for mask in masks:
        digest.update(f"{mask.reorder('F').to_text()}\n".encode())
    return digest.hexdigest()


def _load(out: Path, name: str) -> dict[str, Any] | None:
    """Return what is known of a picture; None where it was not finished, or is damaged."""
    try:
        for end in ("npy", "masks.npy"):
            np.load(out / f"{name}.{end}", mmap_mode="r")  # whole, by its header
        kept = json.loads((out / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, EOFError):
        return None
    return kept if isinstance(kept, dict) and kept.keys() >= {"masks", "moments", "scale"} else None
