"""Open any image as a shape and `read(window, scale)`.

Files of any size are read window by window, so the whole picture is never in memory. Arrays are
always (height, width, channels). `docs/slides.md` lists what each layout of file returns, what is
refused and why.
"""

import os
from pathlib import Path

from kagglekit.errors import SlideError
from kagglekit.slides._gdal import FAILURES, cause, remedy
from kagglekit.slides._layout import describe_picture, describe_tiff
from kagglekit.slides._npy import describe_npy
from kagglekit.slides._slide import Slide
from kagglekit.slides._sniff import sniff
from kagglekit.slides._source import Source
from kagglekit.slides._tissue import tissue_mask

__all__ = ["Slide", "SlideError", "open_slide", "tissue_mask"]

_DAMAGED = (
    "the file is damaged, or of a kind that this GDAL cannot decode: fetch it again or convert it"
)


def open_slide(path: str | os.PathLike[str]) -> Slide:
    """Open an image: TIFF (tiled, striped, planar, 5-D, pyramids, BigTIFF), PNG, JPEG, GIF or npy.

    Channels: RGB as it is; RGBA without its alpha; grey as one channel; three one-band pages of one
    size (the 5-D TIFFs of HuBMAP) as three channels; the largest page of several; a GIF's colours.
    Palettes (except a GIF's), CMYK, Lab and other band counts are refused.

    Args:
        path: the image file. Only its header is read now.

    Returns:
        A `Slide`.

    Raises:
        SlideError: no such file, not an image, damaged, or a layout that has no one right reading.

    Example:
        >>> with open_slide("aaa6a05cc.tiff") as slide:  # doctest: +SKIP
        ...     tile = slide.read(0, 1024, 0, 1024, scale=4)  # (256, 256, 3) uint8
    """
    path = Path(path)
    kind = sniff(path)
    try:
        return Slide(_describe(path, kind))
    except SlideError:
        raise
    except UnicodeEncodeError as error:
        raise SlideError(
            f"{path}: its name is not UTF-8, and GDAL takes no other", hint="rename it"
        ) from error
    except FAILURES as error:
        why = cause(error)
        hint = remedy(why, lambda: _DAMAGED)
        raise SlideError(f"{path}: cannot open: {why}", hint=hint) from error


def _describe(path: Path, kind: str) -> Source:
    if kind == "npy":
        return describe_npy(path)
    return describe_tiff(path) if kind == "GTiff" else describe_picture(path, kind)
