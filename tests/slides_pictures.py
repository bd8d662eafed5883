"""Pictures that are no TIFFs: PNG, JPEG, GIF, npy, as `slides_factory` has the TIFFs."""

import struct
import zlib

import numpy as np
from PIL import Image

from tests.slides_factory import COLOURS, GREYS, SIDECAR, by_rasterio, flat_blocks, wide, with_last

LAYOUTS = {}


def layout(name):
    return lambda write: LAYOUTS.setdefault(name, write)


def _pillow(name, mode, kind, keep=None, **options):
    def write(path, rgb):
        image = Image.fromarray(rgb).convert(mode)
        image.save(path, kind, **options)
        pixels = np.asarray(image).astype(np.uint8)
        return (pixels if pixels.ndim == 3 else pixels[:, :, None])[:, :, :keep]

    LAYOUTS[name] = write


_pillow("PNG", "RGB", "PNG")
_pillow("PNG grey", "L", "PNG")
_pillow("PNG of 1 bit", "1", "PNG")
_pillow("PNG grey and alpha", "LA", "PNG", 1)
_pillow("PNG RGBA", "RGBA", "PNG", 3)


@layout("PNG of 16 bits")
def _(path, rgb):
    return by_rasterio(path, wide("uint16")(rgb), "PNG")


@layout("PNG, interlaced")
def _(path, rgb):
    height, width, _ = rgb.shape
    rows = b""
    for y, x, down, right in ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)):  # fmt: skip
        for row in rgb[y::down, x::right]:
            rows += b"\0" + row.tobytes() if len(row) else b""
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1))
        + _chunk(b"IDAT", zlib.compress(rows))
        + _chunk(b"IEND", b"")
    )
    return rgb


def _chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@layout("PNG whose sidecar calls it a palette")
def _(path, rgb):
    by_rasterio(path, rgb, "PNG")
    path.with_name(f"{path.name}.aux.xml").write_text(SIDECAR)
    return rgb


def _jpeg(name, mode, palette, **options):
    def write(path, rgb):
        image = Image.fromarray(flat_blocks(rgb, palette)).convert(mode)
        image.save(path, "JPEG", quality=100, **options)
        pixels = np.asarray(image)
        return pixels if pixels.ndim == 3 else pixels[:, :, None]

    LAYOUTS[name] = write


_jpeg("JPEG", "RGB", GREYS)
_jpeg("JPEG grey", "L", GREYS)
_jpeg("JPEG progressive", "RGB", GREYS, progressive=True)
_jpeg("JPEG without subsampling", "RGB", COLOURS, subsampling=0)


@layout("JPEG with an orientation")
def _(path, rgb):
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(flat_blocks(rgb, GREYS)).save(path, "JPEG", quality=100, exif=exif)
    return flat_blocks(rgb, GREYS)


def _gif(name, colours, **options):
    def write(path, rgb):
        image = Image.fromarray(rgb).quantize(colours)
        image.save(path, "GIF", **options)
        return np.asarray(image.convert("RGB"))

    LAYOUTS[name] = write


_gif("GIF", 200)
_gif("GIF of 4 colours", 4, interlace=0)
_gif("GIF, transparent", 50, transparency=3)


@layout("GIF grey")
def _(path, rgb):
    Image.fromarray(rgb[:, :, 1]).save(path, "GIF")
    return rgb[:, :, 1:2]


@layout("GIF of two frames")
def _(path, rgb):
    frames = [Image.fromarray(plane) for plane in (rgb[:, :, 0], 255 - rgb[:, :, 1])]
    frames[0].save(path, "GIF", save_all=True, append_images=frames[1:])
    return rgb[:, :, :1]


def _npy(name, convert):
    def write(path, rgb):
        pixels = convert(rgb)
        with path.open("wb") as file:
            np.save(file, pixels)
        pixels = pixels if pixels.ndim == 3 else pixels[:, :, None]
        small = {"b": np.uint8, "f": np.float32}.get(pixels.dtype.kind)
        return pixels.astype(small) if small and pixels.itemsize <= 2 else pixels

    LAYOUTS[name] = write


_npy("npy", lambda rgb: rgb)
_npy("npy grey", lambda rgb: rgb[:, :, 0])
_npy("npy by columns", np.asfortranarray)
_npy("npy big endian", lambda rgb: rgb.astype(">u2") * 9)
_npy("npy float64", lambda rgb: rgb / 3)
_npy("npy of half floats", lambda rgb: (rgb / 3).astype(np.float16))
_npy("npy bool", lambda rgb: rgb[:, :, 0] > 99)
_npy("npy of 4 channels", with_last(3))
