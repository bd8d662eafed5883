"""What `kagglekit tiles` does: a competition's train images as pictures, with an index beside."""

import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import cv2

from kagglekit import instances, touching
from kagglekit.competitions.data import Data
from kagglekit.errors import DataError
from kagglekit.rle import RLE
from kagglekit.slides import Slide
from kagglekit.tiles._cut import Picture
from kagglekit.tiles._index import Index, index
from kagglekit.tiles._moments import Moments
from kagglekit.tiles._store import open_store, store


def planes(data: Data) -> Callable[[str, Slide], Sequence[RLE]]:
    """Return the function that gives a train image's masks as planes a network can learn.

    They are the competition's own, one or one per class; where it has one mask per instance, all
    of them together and their cores.
    """

    def make(name: str, slide: Slide) -> Sequence[RLE]:
        truth = data.truth(name)
        if data.profile.submission.rows != "instances":
            return truth
        return [instances.union(truth, slide.shape), touching.cores(truth, slide.shape)]

    return make


def prepare(
    data: Data, out: Path, scale: int, window: int, png: bool, say: Callable[[str], None]
) -> Moments:
    """Write the train images of a competition for training.

    Args:
        data: the competition's folder.
        out: where to: `<id>.npy` and `<id>.json` for each image, and `index.csv` of its tiles.
        scale: image pixels per model pixel.
        window: side of the index's tiles in model pixels.
        png: also write each tile, and each of its masks, as a PNG in a folder of the image.
        say: called with each line of the summary.

    Returns:
        The moments of all pixels.

    Raises:
        DataError: there are no train images, or a PNG cannot hold their pixels.
    """
    images = data.train_images()
    moments = store(images, planes(data), out, scale)
    pictures = open_store(out, images)
    found = index(pictures, window)
    found.to_csv(out / "index.csv", list(images))
    if png:
        _write_pngs(pictures, list(images), found, out)
    full = int((found.area.sum(axis=1) > 0).sum())
    largest = 255 if pictures[0].slide.dtype == "uint8" else 65535
    say(f"{out}: {len(images)} pictures at scale {scale}, {len(found)} tiles of {window} pixels")
    say(f"tiles with something in them: {full}, with tissue: {int((found.tissue > 0).sum())}")
    for name, values in (("mean", moments.mean), ("std", moments.std)):
        say(f"{name} = ({', '.join(f'{value / largest:.4f}' for value in values)})")
    return moments


def _write_pngs(pictures: Sequence[Picture], names: Sequence[str], found: Index, out: Path) -> None:
    """Write `<id>/<y0>_<x0>.png`, and `<y0>_<x0>_mask<plane>.png` with 0 and 255.

    Those of another picture, or of tiles of another size, are removed first; `<id>/tiles.txt` says
    what there are.
    """
    for name in names:
        _begin_pngs(out / name, f"{found.window}\n{(out / f'{name}.json').read_text('utf-8')}")
    for number, tile in zip(found.picture.tolist(), found.tile.tolist(), strict=True):
        picture, folder = pictures[number], out / names[number]
        if picture.slide.channels not in (1, 3) or picture.slide.dtype.name not in _PNG_DTYPES:
            raise DataError(
                f"`{names[number]}` has {picture.slide.channels} channels of "
                f"{picture.slide.dtype}; a PNG holds 1 or 3 of {' or '.join(_PNG_DTYPES)}",
                hint="leave out --png: the .npy holds them",
            )
        pixels, masks = picture.read(tile, found.window)
        stem = f"{tile[0]:05d}_{tile[2]:05d}"
        named = {f"{stem}.png": pixels[:, :, ::-1]}  # OpenCV writes blue, green, red
        named |= {f"{stem}_mask{i}.png": mask * 255 for i, mask in enumerate(masks)}
        for name, content in named.items():
            part = folder / f".part-{name}"
            if not (folder / name).is_file():
                cv2.imwrite(str(part), content)
                part.replace(folder / name)


def _begin_pngs(folder: Path, made_of: str) -> None:
    folder.mkdir(exist_ok=True)
    note, told = folder / "tiles.txt", sha256(made_of.encode()).hexdigest()
    if note.is_file() and note.read_text("utf-8") == told:
        return
    for path in folder.iterdir():
        if _PNG.fullmatch(path.name):
            path.unlink()
    note.write_text(told, "utf-8")


_PNG = re.compile(r"(\.part-)?\d{5,}_\d{5,}(_mask\d+)?\.png")
_PNG_DTYPES = ("uint8", "uint16")
