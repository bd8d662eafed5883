"""Files that are good, and are refused because their pixels have no one right reading.

`REFUSALS` maps a name to a function that writes a picture, (H, W, 3) uint8, to a path and returns
the message that must follow the path.
"""

import json

import numpy as np
import tifffile
from PIL import Image

from tests.slides_factory import TILED, by_rasterio, write_pages

REFUSALS = {}


def refused(name):
    return lambda write: REFUSALS.setdefault(name, write)


TO_RGB = "\nhint: convert it to RGB first, for example with Pillow: image.convert('RGB')"
BANDS = "expected 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGB and alpha)"
OWN_BANDS = "\nhint: save the bands you need as .npy: np.save('a.npy', rasterio.open('a.tiff').read([1, 2, 3]).transpose(1, 2, 0))"
OWN_PAGES = "\nhint: save the pages that are the picture as a file of their own"


def _refuse(name, message, write):
    def refuse(path, rgb):
        write(path, rgb)
        return message.format(h=rgb.shape[0], w=rgb.shape[1])

    REFUSALS[name] = refuse


def _save(mode, kind):
    return lambda path, rgb: Image.fromarray(rgb).convert(mode).save(path, kind)


def _stack(count):
    return lambda path, rgb: tifffile.imwrite(
        path, np.stack([rgb[:, :, 0]] * count), photometric="minisblack", metadata=None
    )


def _bands(count, **options):
    return lambda path, rgb: by_rasterio(
        path, np.concatenate([rgb, rgb], axis=2)[:, :, :count], **options
    )


for name, mode, kind, what in (
    ("palette TIFF", "P", "TIFF", "palette indices, not colours"),
    ("palette PNG", "P", "PNG", "palette indices, not colours"),
    ("CMYK TIFF", "CMYK", "TIFF", "CMYK inks, not RGB"),
    ("CMYK JPEG", "CMYK", "JPEG", "CMYK inks, not RGB"),
    ("Lab TIFF", "LAB", "TIFF", "CIE L*a*b*, not RGB"),
):
    _refuse(name, f"its pixels are {what}{TO_RGB}", _save(mode, kind))
for count in (2, 4):
    _refuse(
        f"{count} bands without alpha",
        f"{count} bands and the last is not marked as alpha; {BANDS}"
        + (OWN_BANDS if count > 2 else OWN_BANDS.replace("[1, 2, 3]", "[1]")),
        _bands(count, photometric="rgb" if count == 4 else "minisblack", alpha="no"),
    )
for count in (5, 6):
    _refuse(f"{count} bands", f"{count} bands; {BANDS}{OWN_BANDS}", _bands(count, **TILED))
for count in (2, 4, 5, 9):
    listed = ", ".join(
        f"{i + 1}: {{h}} x {{w}} of 1 band(s), 8 bits" for i in range(min(count, 8))
    ) + (", ..." if count > 8 else "")
    _refuse(
        f"{count} pages",
        f"{count} pages share the largest size ({listed}); expected one page, or three alike of "
        f"one band each{OWN_PAGES}",
        _stack(count),
    )


@refused("three pages of different types")
def _(path, rgb):
    grey = rgb[:, :, 0]
    write_pages(path, [(grey, {}), (grey, {}), (grey.astype(np.uint16), {})])
    listed = ", ".join(
        f"{i + 1}: {grey.shape[0]} x {grey.shape[1]} of 1 band(s), {bits} bits"
        for i, bits in enumerate((8, 8, 16))
    )
    return (
        f"3 pages share the largest size ({listed}); expected one page, or three alike of one "
        f"band each{OWN_PAGES}"
    )


def _one_page(path, rgb, description):
    tifffile.imwrite(path, rgb[:, :, 0], photometric="minisblack", metadata=None, description=description)  # fmt: skip


for name, description in {
    "one page, tifffile's three": lambda rgb: json.dumps({"shape": [1, 1, 3, *rgb.shape[:2]], "truncated": True}),
    "one page, ImageJ's three": lambda rgb: "ImageJ=1.53\nimages=3\nchannels=3\n",
    "one page, OME's three": lambda rgb: '<OME><Image><Pixels SizeC="3" SizeZ="1" SizeT="1"/></Image></OME>',
}.items():  # fmt: skip
    _refuse(
        name,
        "its description speaks of 3 images of {h} x {w}, and the file has 1 page(s): the others "
        "cannot be reached\nhint: save it again with one page for each image, or as one RGB page",
        lambda path, rgb, text=description: _one_page(path, rgb, text(rgb)),
    )


for name, options, said in (
    ("three slices, ImageJ", {"imagej": True, "metadata": {"axes": "ZYX"}}, "slices=3"),
    ("three moments, ImageJ", {"imagej": True, "metadata": {"axes": "TYX"}}, "frames=3"),
    ("three slices, OME", {"ome": True, "metadata": {"axes": "ZYX"}}, "SizeZ=3"),
    ("three moments, OME", {"ome": True, "metadata": {"axes": "TYX"}}, "SizeT=3"),
):
    _refuse(
        name,
        f"its three pages are no colours: its description says {said}\n"
        "hint: save the page that is the picture as a file of its own; if they are colours after all, "
        "all three as one RGB page",
        lambda path, rgb, options=options: tifffile.imwrite(
            path, rgb.transpose(2, 0, 1).copy(), photometric="minisblack", **options
        ),
    )


def _with_predictor(compression):
    def write(path, rgb):
        by_rasterio(path, rgb, photometric="rgb", compress="lzw", predictor=2)
        with tifffile.TiffFile(path, mode="r+b") as file:
            file.pages[0].tags[259].overwrite(compression)

    return write


for name, compression in (("PackBits", 32773), ("LERC", 34887)):
    _refuse(
        f"differences in {name}",
        "a predictor with PackBits or LERC: some programs store differences then, and some do not\n"
        "hint: save it again with another compression, with the program that wrote it",
        _with_predictor(compression),
    )


@refused("GIF whose first frame is a part of it")
def _(path, rgb):
    height, width, _ = rgb.shape
    Image.fromarray(rgb).convert("P").save(path, "GIF")
    content = bytearray(path.read_bytes())
    content[6:10] = (width + 5).to_bytes(2, "little") + (height + 4).to_bytes(2, "little")
    path.write_bytes(content)
    return (
        f"its first frame is {height} x {width} and the picture {height + 4} x {width + 5}\n"
        "hint: save the whole picture as PNG, for example with Pillow"
    )


@refused("complex numbers")
def _(path, rgb):
    by_rasterio(path, rgb[:, :, :1].astype(np.complex64))
    return "pixels are complex numbers\nhint: save their real part or magnitude"


@refused("npy, colours first")
def _(path, rgb):
    with path.open("wb") as file:
        np.save(file, rgb.repeat(5, axis=1).transpose(2, 0, 1))
    return (
        f"an array of shape (3, {rgb.shape[0]}, {5 * rgb.shape[1]}); expected (height, width) or "
        "(height, width, channels) with 1 to 128 channels\n"
        "hint: save it with its axes in that order: array.transpose(1, 2, 0)"
    )


@refused("npy, complex")
def _(path, rgb):
    with path.open("wb") as file:
        np.save(file, rgb * 1j)
    return "an array of complex128; expected bool, integers or floats\nhint: save it as uint8, uint16 or float32"
