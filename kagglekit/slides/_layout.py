"""From a file to a `Source`: which dataset, which bands, what its blocks are."""

import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from kagglekit.errors import SlideError
from kagglekit.slides._gdal import open_dataset
from kagglekit.slides._npy import as_returned
from kagglekit.slides._pages import TO_RGB, choose, choose_bands, lookup
from kagglekit.slides._source import Array, GdalSource, state_of
from kagglekit.slides._tiff import read_pages

_LARGEST_BLOCK = 1 << 30


def describe_tiff(path: Path) -> GdalSource:
    """Decide which pages and bands of a TIFF are the picture.

    Raises:
        SlideError: the layout has no one right reading, or the index is damaged.
    """
    pages = choose(path, read_pages(path))
    bands = choose_bands(path, pages[0])
    names = tuple(
        str(path) if page.number == 1 else f"GTIFF_DIR:{page.number}:{path}" for page in pages
    )
    for page, name in zip(pages, names, strict=True):
        dataset = open_dataset(name, "GTiff")
        if page.unlisted:
            raise SlideError(
                f"{path}: the index of page {page.number} leaves out {page.unlisted} of its strips "
                "or tiles",
                hint="the file is damaged: fetch it again",
            )
        # GDAL shows a picture of four bands where it has turned the pixels into RGBA itself.
        if dataset.shape != page.shape or dataset.count != page.samples:
            raise SlideError(
                f"{path}: page {page.number} is {page.shape} of {page.samples} band(s) by its "
                f"index, and GDAL shows {dataset.shape} of {dataset.count}",
                hint=TO_RGB,
            )
    height, _ = block = dataset.block_shapes[0]
    page = pages[0]
    # GDAL shows a compressed page of one tall strip as blocks of one row each, which it can only
    # decode one after the other.
    stored = page.strip_rows
    sequential = page.compression != 1 and stored is not None and height < stored
    return _source(
        path,
        "GTiff",
        dataset,
        names=names,
        bands=bands,
        block=block,
        sequential=sequential,
        needs=max(page.needs for page in pages),
        lookup=lookup(path, page),
    )


def describe_picture(path: Path, driver: str) -> GdalSource:
    """Decide which bands of a PNG, JPEG or GIF are the picture.

    Raises:
        SlideError: palette indices (in a PNG), CMYK inks, or a damaged header.
    """
    if driver == "PNG":
        _check_header(path)
    dataset = open_dataset(str(path), driver)
    colours = {colour.name for colour in dataset.colorinterp}
    table = None
    if driver == "GIF":
        _check_canvas(path, dataset.shape)
        table = _colours(dataset.colormap(1))
    elif "palette" in colours:
        raise SlideError(f"{path}: its pixels are palette indices, not colours", hint=TO_RGB)
    if driver == "JPEG":
        space = dataset.tags(ns="IMAGE_STRUCTURE").get("SOURCE_COLOR_SPACE", "")
        if space in ("CMYK", "YCbCrK"):
            raise SlideError(f"{path}: its pixels are CMYK inks, not RGB", hint=TO_RGB)
    width = dataset.width
    if driver == "PNG" and _is_interlaced(path):
        _check_block(path, dataset, dataset.shape)  # all passes are in memory at once
    return _source(
        path,
        driver,
        dataset,
        names=(str(path),),
        bands=(1,) if dataset.count < 3 else (1, 2, 3),
        block=(1, width),
        sequential=True,
        needs=0,
        lookup=table,
    )


def _source(
    path: Path,
    driver: str,
    dataset: Any,
    *,
    names: tuple[str, ...],
    bands: tuple[int, ...],
    block: tuple[int, int],
    lookup: Array | None,
    **rest: Any,
) -> GdalSource:
    kinds = set(dataset.dtypes)
    if len(kinds) != 1:
        raise SlideError(f"{path}: bands of different types: {', '.join(dataset.dtypes)}")
    try:
        stored = np.dtype(kinds.pop())
    except TypeError:
        stored = np.dtype(complex)  # complex_int16 and its like
    if stored.kind == "c":
        raise SlideError(
            f"{path}: pixels are complex numbers", hint="save their real part or magnitude"
        )
    _check_block(path, dataset, block)
    count = len(names) * len(bands)
    return GdalSource(
        path=path,
        driver=driver,
        names=names,
        bands=bands,
        shape=dataset.shape,
        channels=lookup.shape[1] if lookup is not None and lookup.ndim == 2 else count,
        dtype=as_returned(stored) if lookup is None else lookup.dtype,
        block=(min(block[0], dataset.height), min(block[1], dataset.width)),
        stored_bands=dataset.count * len(names),
        state=state_of(path),
        lookup=lookup,
        **rest,
    )


def _check_block(path: Path, dataset: Any, block: tuple[int, int]) -> None:
    """Refuse what could only be decoded by holding gigabytes."""
    size = math.prod(block) * dataset.count * np.dtype(dataset.dtypes[0]).itemsize
    if size > _LARGEST_BLOCK:
        raise SlideError(
            f"{path}: one stored block is {block[0]:,} x {block[1]:,} pixels, {size / 2**30:.1f} "
            "GiB; nothing smaller can be decoded",
            hint="save it in tiles or short strips, on a machine that can hold it",
        )


def _check_header(path: Path) -> None:
    """Compare the checksum of a PNG's header, which says what all the rest means: GDAL does not."""
    header = _png_header(path)
    if len(header) != 33 or zlib.crc32(header[12:29]) != int.from_bytes(header[29:], "big"):
        raise SlideError(f"{path}: the PNG's header is damaged", hint="fetch the file again")


def _check_canvas(path: Path, shape: tuple[int, int]) -> None:
    """Refuse a GIF whose first frame is a part of the picture (GIF89a, CompuServe 1990)."""
    with path.open("rb") as file:
        width, height = struct.unpack("<6xHH", file.read(10))
    if (height, width) != shape:
        raise SlideError(
            f"{path}: its first frame is {shape[0]} x {shape[1]} and the picture "
            f"{height} x {width}",
            hint="save the whole picture as PNG, for example with Pillow",
        )


def _is_interlaced(path: Path) -> bool:
    return _png_header(path)[28] == 1


def _png_header(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(33)


def _colours(table: dict[int, tuple[int, int, int, int]]) -> Array:
    """Turn a GIF's palette into (n, 3) uint8, or (n, 1) when every entry is a grey."""
    colours = np.array([table[i][:3] for i in sorted(table)], np.uint8)
    grey = (colours == colours[:, :1]).all()
    return np.ascontiguousarray(colours[:, :1]) if grey else colours
