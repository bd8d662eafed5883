"""Damaged, cut off, mis-named and hostile files.

`DAMAGE` maps a name to a function that makes the file at a path and returns the words that must
stand in the error after the path. Each is opened, and if it opens, its last row is read, then all.
"""

import os
import struct

import numpy as np

from tests.slides_factory import LAYOUTS as TIFFS
from tests.slides_factory import picture
from tests.slides_pictures import LAYOUTS as PICTURES

LAYOUTS = TIFFS | PICTURES
DAMAGE = {}
FETCH = "hint: fetch the file again from where it came from"
NO_IMAGE = "not a TIFF, PNG, JPEG, GIF or .npy: "
CUT = "it was probably cut off, fetch it again"
CUT_INDEX = (
    "hint: the file was probably cut off: fetch it again, and compare its size with the original's"
)


def damaged(name):
    return lambda make: DAMAGE.setdefault(name, make)


def tiff(tags, after=b"", following=0):
    """A little-endian TIFF of one page: its tags (code: (type, values)), then other bytes."""
    kinds = {3: "H", 4: "I"}
    entries, extra, at = b"", b"", 8 + 2 + 12 * len(tags) + 4
    for code, (kind, values) in sorted(tags.items()):
        raw = struct.pack(f"<{len(values)}{kinds[kind]}", *values)
        if len(raw) > 4:
            raw, extra = struct.pack("<I", at + len(extra)), extra + raw
        entries += struct.pack("<HHI", code, kind, len(values)) + raw.ljust(4, b"\0")
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    return head + entries + struct.pack("<I", following) + extra + after


def tags(height, width, **more):
    """The tags of a raw RGB page of one strip, behind its index; `more` replaces and adds."""
    known = {
        "width": (256, 4, [width]),
        "height": (257, 4, [height]),
        "bits": (258, 3, [8, 8, 8]),
        "compression": (259, 3, [1]),
        "photometric": (262, 3, [2]),
        "offsets": (273, 4, [500]),
        "samples": (277, 3, [3]),
        "strip_rows": (278, 4, [height]),
        "counts": (279, 4, [height * width * 3]),
        "tile_width": (322, 4, [0]),
        "tile_height": (323, 4, [0]),
        "tile_offsets": (324, 4, [0]),
        "tile_counts": (325, 4, [0]),
    }
    wanted = [key for key in known if not key.startswith("tile")]
    if "tile_width" in more:
        wanted = [key for key in known if key not in ("offsets", "counts", "strip_rows")]
    codes = {key: known[key][0] for key in known}
    return {
        codes[key]: (known[key][1], [more[key]] if key in more else known[key][2])
        for key in wanted
        if more.get(key, 0) is not None
    }


def _bytes(name, content, words):
    def make(path):
        path.write_bytes(content)
        return words

    DAMAGE[name] = make


@damaged("missing")
def _(path):
    return "cannot open: No such file or directory\nhint: check the path"


@damaged("a folder")
def _(path):
    path.mkdir()
    return "it is a folder, not an image\nhint: name one file in it"


@damaged("a pipe")
def _(path):
    os.mkfifo(path)
    return "not a regular file (a pipe, socket or device)\nhint: write it to a file first"


_bytes("empty", b"", f"the file is empty\n{FETCH}")
_bytes("one byte", b"I", f"{NO_IMAGE}its first bytes are b'I'\n{FETCH}")
_bytes("text", b"hello world", f"{NO_IMAGE}its first bytes are b'hello wo'\n{FETCH}")
_bytes(
    "HTML",
    b"\n<!doctype html><html>",
    f"{NO_IMAGE}it is an HTML page (a failed download?)\n{FETCH}",
)
_bytes(
    "git-lfs",
    b"version https://git-lfs.github.com/spec/v1\n",
    f"{NO_IMAGE}it is a git-lfs pointer: the image itself was never fetched\n{FETCH}",
)
_bytes("zip", b"PK\x03\x04rest", f"{NO_IMAGE}it is a zip archive\n{FETCH}")
_bytes("gzip", b"\x1f\x8b\x08rest", f"{NO_IMAGE}it is a gzip archive\n{FETCH}")
_bytes(
    "VRT",
    b'<VRTDataset rasterXSize="9"></VRTDataset>',
    f"{NO_IMAGE}it is a GDAL VRT, which points to other files\n{FETCH}",
)
_bytes(
    "JPEG 2000",
    b"\0\0\0\x0cjP  \r\n\x87\n",
    f"{NO_IMAGE}it is a JPEG 2000 image\nhint: convert it to TIFF or PNG",
)
_bytes("header of 4 bytes", b"II*\0", f"the file is 4 bytes; its header needs 8\n{CUT_INDEX}")
_bytes("header only", b"II*\0\0\0\0\0", f"a TIFF header without any page\n{CUT_INDEX}")
_bytes(
    "index beyond the end",
    b"MM\0*\0\1\0\0",
    f"the file is 8 bytes; the index of page 1 needs 65,538\n{CUT_INDEX}",
)
_bytes(
    "BigTIFF header cut",
    b"II+\0\x08\0\0\0\x10\0",
    f"the file is 10 bytes; its header needs 16\n{CUT_INDEX}",
)
_bytes(
    "index cut",
    tiff(tags(9, 9))[:60],
    f"the file is 60 bytes; the index of page 1 needs 122\n{CUT_INDEX}",
)
_bytes(
    "second page beyond the end",
    tiff(tags(9, 9), bytes(900), 9_999),
    f"the file is 1,028 bytes; the index of page 2 needs 10,001\n{CUT_INDEX}",
)
_bytes(
    "no width",
    tiff(tags(9, 0), bytes(900)),
    "page 1 is 9 rows of 0 columns; expected at least one of each\nhint: the file is damaged: fetch it again",
)
_bytes(
    "unknown compression",
    tiff(tags(9, 9, compression=65000), bytes(900)),
    "Cannot open TIFF file due to missing codec of code 65000.\n"
    "hint: GDAL does not decode this kind here: convert it where it was made",
)
_bytes(
    "unknown colours",
    tiff(tags(9, 9, photometric=77), bytes(900)),
    "photometric interpretation 77 is not known here\nhint: convert it to RGB first",
)
_bytes(
    "offset beyond the end",
    tiff(tags(9, 9, offsets=1 << 30), bytes(900)),
    f"hint: the file is 1,028 bytes; its index needs 1,073,742,067: {CUT}",
)
UNLISTED = "leaves out {} of its strips or tiles\nhint: the file is damaged: fetch it again"
_bytes(
    "strips without a place",
    tiff(tags(9, 9, strip_rows=2), bytes(900)),
    f"the index of page 1 {UNLISTED.format(4)}",
)
_bytes(
    "more rows than strips",
    tiff(tags(900, 9, strip_rows=9), bytes(900)),
    f"the index of page 1 {UNLISTED.format(99)}",
)
_bytes(
    "bands without a place",
    tiff(tags(9, 9) | {284: (3, [2])}, bytes(900)),
    f"the index of page 1 {UNLISTED.format(2)}",
)
_bytes(
    "tiles without a place",
    tiff(
        tags(40, 40, tile_width=16, tile_height=16, tile_offsets=500, tile_counts=768),
        bytes(2000),
    ),
    f"the index of page 1 {UNLISTED.format(8)}",
)
_bytes(
    "strips without a length",
    tiff(tags(9, 9, strip_rows=5) | {273: (4, [500, 635]), 279: (4, [135])}, bytes(900)),
    f"the index of page 1 {UNLISTED.format(1)}",
)
_bytes(
    "four gigabytes in one strip",
    tiff(tags(9, 9, compression=5, counts=4_000_000_000), bytes(900)),
    f"its index needs 4,000,000,500: {CUT}",
)
_bytes(
    "one tile of 10 GB",
    tiff(
        tags(
            60_000,
            60_000,
            compression=8,
            tile_width=60_000,
            tile_height=60_000,
            tile_offsets=500,
            tile_counts=99,
        ),
        bytes(900),
    ),
    "one stored block is 60,000 x 60,000 pixels, 10.1 GiB; nothing smaller can be decoded\nhint: save it in tiles or short strips",
)
_bytes(
    "npy header damaged", b"\x93NUMPY\1\0\x10\0{'descr': ((((  \n", "its .npy header is damaged: "
)
_bytes(
    "npy of objects",
    b"\x93NUMPY\1\0\x46\0{'descr': '|O', 'fortran_order': False, 'shape': (3, 3), }".ljust(79)
    + b"\n",
    "an array of object; expected bool, integers or floats",
)
_bytes("npy of the future", b"\x93NUMPY\x09\0\x10\0{}", "its .npy header is damaged: ")
# fmt: on


def _cut(layout, keep, words):
    def make(path):
        LAYOUTS[layout](path, picture((75, 91)))
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * keep)])
        return words.format(is_=int(len(data) * keep), was=len(data))

    DAMAGE[f"cut off: {layout}"] = make


def _spoil(layout, where, words, length=200):
    def make(path):
        LAYOUTS[layout](path, picture((75, 91)))
        data = bytearray(path.read_bytes())
        at = int(len(data) * where)
        data[at : at + length] = np.random.default_rng(5).bytes(length)
        path.write_bytes(data)
        return words

    DAMAGE[f"damaged: {layout}"] = make


ROWS = "cannot read rows "
for layout in (
    "strips of 8, raw, by pixel",
    "tiles, LZW, by pixel",
    "strips of 8, deflate, by band",
):
    _cut(layout, 0.9, f": {CUT}")
_cut("JPEG tiles", 0.7, f": {CUT}")
_cut("JPEG strips, RGB", 0.9, f": {CUT}")
_cut("5-D", 0.5, "the file is {is_:,} bytes; the index of page 2 needs ")
_cut("5-D, OME BigTIFF tiles", 0.9, "; the index of page 1 needs ")
_cut("PNG", 0.7, f"the file does not end as a PNG does: {CUT}")
_cut("JPEG", 0.97, f"the file does not end as a JPEG does: {CUT}")
_cut("GIF", 0.7, "")
_cut(
    "npy", 0.7, "the file is {is_:,} bytes; its header needs {was:,}\nhint: it was probably cut off"
)
THERE = "\nhint: the file is damaged there: fetch it again, and compare its checksum"
for layout in (
    "tiles, LZW, by pixel",
    "strips of 8, LZW, predictor, by band",
    "strips of 8, LZMA, by pixel",
    "JPEG strips, RGB",
    "PNG",
    "PNG, interlaced",
    "JPEG progressive",
):
    _spoil(layout, 0.5, THERE)
_spoil("JPEG tiles", 0.4, THERE, length=60)
_spoil("JPEG", 0.9, THERE, length=20)
_spoil("fax, white is zero", 0.1, THERE, length=60)
_spoil("strips of 8, deflate, by pixel", 0.3, THERE, length=8000)
_spoil("tiles, zstd, by pixel", 0.3, THERE, length=8000)


@damaged("damaged: header of a PNG")
def _(path):
    LAYOUTS["PNG"](path, picture((75, 91)))
    data = bytearray(path.read_bytes())
    data[19] ^= 1  # the width
    path.write_bytes(data)
    return "the PNG's header is damaged\nhint: fetch the file again"


@damaged("4,097 pages")
def _(path):
    page = b"\x02\0" + struct.pack("<HHII", 256, 4, 1, 5) + struct.pack("<HHII", 257, 4, 1, 5)
    path.write_bytes(
        b"II*\0\x08\0\0\0"
        + b"".join(page + struct.pack("<I", 8 + 30 * (i + 1)) for i in range(4097))
        + bytes(30)
    )
    return "more than 4,096 pages; expected one picture\nhint: save the page you need as a file of its own"
