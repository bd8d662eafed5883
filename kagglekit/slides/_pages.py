"""Which pages and bands of a TIFF are the picture, and which pictures have no one right reading.

The largest page is the picture, wherever it stands: scanners store thumbnails, labels and pyramids
beside it. Three one-band pages of that size are its three colours (the "5-D" TIFFs of HuBMAP).
"""

import json
import math
import re
from pathlib import Path

import numpy as np

from kagglekit.errors import SlideError
from kagglekit.slides._tiff import Page

_REFUSED = {
    3: "palette indices, not colours",
    4: "a transparency mask",
    5: "CMYK inks, not RGB",
    8: "CIE L*a*b*, not RGB",
    9: "ICC L*a*b*, not RGB",
    10: "ITU L*a*b*, not RGB",
    32803: "a raw camera mosaic, not colours",
    32844: "LogL, not RGB",
    32845: "LogLuv, not RGB",
}
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _YCBCR = 0, 1, 6
_JPEG = 7
_WITHOUT_PREDICTOR = (32773, 34887)  # PackBits and LERC: the program that wrote it took one
_ALPHA = (1, 2)
_COLOURS = 3
TO_RGB = "convert it to RGB first, for example with Pillow: image.convert('RGB')"


def choose(path: Path, pages: list[Page]) -> list[Page]:
    """Return the page that is the picture, or the three that are its colours.

    Raises:
        SlideError: several pages have the largest size and are not three colours, or the file's
            description speaks of images that have no page.
    """
    full = [page for page in pages if not page.reduced] or pages
    largest = max(math.prod(page.shape) for page in full)
    same = [page for page in full if math.prod(page.shape) == largest]
    _check_described(path, same[0], len(pages))
    if len(same) == 1:
        return same
    alike = {(page.shape, page.bits, page.sample_format, page.photometric) for page in same}
    if len(same) == 3 and len(alike) == 1 and same[0].samples == 1:
        _check_colours(path, same[0])
        return same
    listed = ", ".join(
        f"{page.number}: {page.shape[0]} x {page.shape[1]} of {page.samples} band(s), "
        f"{page.bits[0] if page.bits else '?'} bits"
        for page in same[:8]
    )
    raise SlideError(
        f"{path}: {len(same)} pages share the largest size ({listed}"
        f"{', ...' if len(same) > 8 else ''}); expected one page, or three alike of one band each",
        hint="save the pages that are the picture as a file of their own",
    )


def choose_bands(path: Path, page: Page) -> tuple[int, ...]:
    """Return the bands (from 1) to read of a page: one grey, or three colours; never alpha.

    Raises:
        SlideError: the numbers are not grey or RGB, or their meaning is not said.
    """
    if page.photometric in _REFUSED:
        raise SlideError(f"{path}: its pixels are {_REFUSED[page.photometric]}", hint=TO_RGB)
    if page.photometric not in (None, _WHITE_IS_ZERO, _BLACK_IS_ZERO, 2, _YCBCR):
        raise SlideError(
            f"{path}: photometric interpretation {page.photometric} is not known here", hint=TO_RGB
        )
    if page.photometric == _YCBCR and page.compression != _JPEG:
        raise SlideError(f"{path}: its pixels are YCbCr without JPEG, not RGB", hint=TO_RGB)
    if page.predictor != 1 and page.compression in _WITHOUT_PREDICTOR:
        raise SlideError(
            f"{path}: a predictor with PackBits or LERC: some programs store differences then, and "
            "some do not",
            hint="save it again with another compression, with the program that wrote it",
        )
    if page.samples in (1, 3):
        return (1,) if page.samples == 1 else (1, 2, 3)
    if page.samples in (2, 4) and page.extra[-1:] and page.extra[-1] in _ALPHA:
        return (1,) if page.samples == 2 else (1, 2, 3)
    known = " and the last is not marked as alpha" if page.samples in (2, 4) else ""
    bands = [1, 2, 3] if page.samples > 2 else [1]
    raise SlideError(
        f"{path}: {page.samples} bands{known}; expected 1 (grey), 2 (grey and alpha), "
        "3 (RGB) or 4 (RGB and alpha)",
        hint="save the bands you need as .npy: "
        f"np.save('a.npy', rasterio.open('a.tiff').read({bands}).transpose(1, 2, 0))",
    )


def lookup(path: Path, page: Page) -> np.ndarray | None:
    """Return the table that turns white-is-zero pixels around, None where nothing is to be turned.

    Raises:
        SlideError: white is zero, in numbers that have no largest value.
    """
    if page.photometric != _WHITE_IS_ZERO:
        return None
    bits = page.bits[0] if page.bits else 1
    if bits > 16 or page.sample_format[:1] not in ((1,), ()):
        raise SlideError(
            f"{path}: white is zero in {bits}-bit numbers that are signed, float or too large "
            "to be turned around",
            hint="save it as black-is-zero first",
        )
    dtype = np.uint8 if bits <= 8 else np.uint16
    return np.arange((1 << bits) - 1, -1, -1).astype(dtype)


def _check_described(path: Path, page: Page, count: int) -> None:
    described = _images_described(page)
    if described > count:
        raise SlideError(
            f"{path}: its description speaks of {described} images of "
            f"{page.shape[0]} x {page.shape[1]}, and the file has {count} page(s): the others "
            "cannot be reached",
            hint="save it again with one page for each image, or as one RGB page",
        )


def _check_colours(path: Path, page: Page) -> None:
    """Refuse three pages that the description calls slices, or moments, of a grey picture."""
    text = page.description
    if text.startswith("ImageJ="):
        sizes = re.findall(r"^(slices|frames)=(\d{1,9})\s*$", text, re.MULTILINE)
    elif "<OME" in text[:4096]:
        sizes = re.findall(r'\b(SizeZ|SizeT)="(\d{1,9})"', text)
    else:
        return
    found = [f"{name}={size}" for name, size in sizes if int(size) == _COLOURS]
    if found:
        raise SlideError(
            f"{path}: its three pages are no colours: its description says {found[0]}",
            hint="save the page that is the picture as a file of its own; if they are colours "
            "after all, all three as one RGB page",
        )


def _images_described(page: Page) -> int:
    """How many pages ImageJ's, tifffile's or OME's description of a page promises; 0: none."""
    text = page.description
    if text.startswith("ImageJ="):
        found = re.search(r"^images=(\d{1,9})\s*$", text, re.MULTILINE)
        return int(found[1]) if found else 0
    if text.startswith('{"shape":'):
        return _pages_of_shape(text, page)
    if "<OME" in text[:4096]:
        return _pages_of_ome(text, page)
    return 0


def _pages_of_shape(text: str, page: Page) -> int:
    try:
        values = math.prod(int(side) for side in json.loads(text)["shape"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return 0
    return values // (math.prod(page.shape) * page.samples)


def _pages_of_ome(text: str, page: Page) -> int:
    pixels = re.search(r"<(?:\w+:)?Pixels\b[^>]*>", text)
    if not pixels:
        return 0
    sizes = dict(re.findall(r'\bSize([CZT])="(\d{1,9})"', pixels[0]))
    return math.prod(int(size) for size in sizes.values()) // page.samples if sizes else 0
