"""TIFFs in every layout that is read: how each is written, and what must come out.

`LAYOUTS` maps a name to a function that writes a picture, (H, W, 3) uint8, to a path and returns
the pixels that a reader must return.
"""

import warnings

import cv2
import numpy as np
import rasterio
import tifffile
from PIL import Image


def picture(shape, seed=0):
    """Smooth colours with noise, so that every codec has something to do and nothing repeats."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (5, 6, 3), np.uint8)
    smooth = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return smooth ^ rng.integers(0, 8, (*shape, 3), np.uint8)


def by_rasterio(path, pixels, driver="GTiff", **options):
    height, width, channels = pixels.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver=driver, height=height, width=width, count=channels,
            dtype=pixels.dtype, **options,
        ) as file:  # fmt: skip
            file.write(pixels.transpose(2, 0, 1))
    return pixels


TILED = {"tiled": True, "blockxsize": 32, "blockysize": 16}
RGB = {"photometric": "rgb"}
LAYOUTS = {}


def layout(name):
    return lambda write: LAYOUTS.setdefault(name, write)


def _add(name, convert=lambda rgb: rgb, keep=None, **options):
    """A layout written by rasterio; `keep` channels come out."""

    def write(path, rgb):
        pixels = by_rasterio(path, convert(rgb), **options)
        return pixels[:, :, : keep or pixels.shape[2]]

    LAYOUTS[name] = write


def with_last(value):
    """A picture with one more band, as alpha is."""
    return lambda rgb: np.concatenate([rgb, rgb[:, :, :1] // 2 + value], axis=2)


def wide(dtype):
    """Use the whole range of an integer type, the sign too."""

    info = np.iinfo(dtype)
    step = (int(info.max) - int(info.min)) // 255
    values = np.array([int(info.min) + i * step for i in range(256)], dtype)
    return lambda rgb: values[rgb]


def _float(dtype):
    def convert(rgb):
        pixels = (rgb / 7 - 9).astype(dtype)
        pixels[0, 0, 0] = np.nan
        return pixels

    return convert


CODECS = {
    "raw": {},
    "LZW": {"compress": "lzw"},
    "LZW, predictor": {"compress": "lzw", "predictor": 2},
    "deflate": {"compress": "deflate"},
    "deflate, predictor": {"compress": "deflate", "predictor": 2},
    "zstd": {"compress": "zstd"},
    "PackBits": {"compress": "packbits"},
    "LZMA": {"compress": "lzma"},
}
for codec, options in CODECS.items():
    for bands in ("pixel", "band"):
        how = RGB | options | {"interleave": bands}
        _add(f"strips of 8, {codec}, by {bands}", **how, blockysize=8)
        _add(f"one strip, {codec}, by {bands}", **how, blockysize=1 << 20)
        _add(f"tiles, {codec}, by {bands}", **how | TILED)
for kind in ("uint16", "int16", "uint32", "int32", "int8", "uint64", "int64"):
    _add(f"tiles of {kind}, LZW", wide(kind), compress="lzw", **RGB | TILED)
for kind in ("float32", "float64"):
    _add(
        f"tiles of {kind}, predictor", _float(kind), compress="deflate", predictor=3, **RGB | TILED
    )
    _add(f"strips of {kind}", _float(kind), **RGB)
for bits, kind in ((1, "uint8"), (2, "uint8"), (4, "uint8"), (12, "uint16")):
    _add(f"grey of {bits} bits", lambda rgb, b=bits, k=kind: (rgb[:, :, :1] >> max(0, 8 - b)).astype(k), nbits=bits)  # fmt: skip
_add("strips of 1 row", **RGB, blockysize=1, compress="lzw")
_add("BigTIFF", BIGTIFF="YES", **RGB | TILED)
_add("big endian, 16 bits", wide("uint16"), ENDIANNESS="BIG", **RGB)
_add("BigTIFF, big endian", BIGTIFF="YES", ENDIANNESS="BIG", compress="lzw", **RGB | TILED)
_add("RGBA", with_last(90), 3, alpha="non-premultiplied", **RGB | TILED)
_add("RGBA, multiplied", with_last(90), 3, alpha="premultiplied", **RGB)
_add("RGBA by band", with_last(90), 3, alpha="yes", interleave="band", **RGB | TILED)
_add("RGBA, 16 bits", lambda rgb: wide("uint16")(with_last(90)(rgb)), 3, alpha="yes", **RGB)
_add("grey", lambda rgb: rgb[:, :, :1])
_add("grey tiles, 16 bits, LZW", lambda rgb: wide("uint16")(rgb[:, :, :1]), compress="lzw", **TILED)
_add("grey float", lambda rgb: _float("float32")(rgb[:, :, :1]), **TILED)
_add("grey and alpha", lambda rgb: rgb[:, :, :2], 1, photometric="minisblack", alpha="yes")
_add("three bands called grey", photometric="minisblack", **TILED)


@layout("sparse tiles")
def _(path, rgb):
    expected = np.zeros_like(rgb)
    by_rasterio(path, expected, sparse_ok=True, **RGB | TILED)
    return expected


def _five(path, rgb, **options):
    tifffile.imwrite(path, rgb.transpose(2, 0, 1)[None, None], photometric="minisblack", **options)
    return rgb


LAYOUTS |= {
    "5-D": _five,
    "5-D, tiles": lambda path, rgb: _five(path, rgb, tile=(16, 32)),
    "5-D, deflate": lambda path, rgb: _five(path, rgb, compression="zlib", rowsperstrip=5),
    "5-D, OME": lambda path, rgb: _five(path, rgb, ome=True),
    "5-D, OME BigTIFF tiles": lambda path, rgb: _five(path, rgb, ome=True, bigtiff=True, tile=(16, 16)),
    "5-D, big endian": lambda path, rgb: _five(path, rgb, byteorder=">"),
    "5-D, 16 bits": lambda path, rgb: _five(path, rgb.astype(np.uint16) * 200, ome=True),
}  # fmt: skip


@layout("5-D, ImageJ")
def _(path, rgb):
    stack = rgb.transpose(2, 0, 1)[None, None]
    tifffile.imwrite(path, stack, imagej=True, metadata={"axes": "TZCYX"})
    return rgb


@layout("5-D by band")
def _(path, rgb):
    tifffile.imwrite(
        path, rgb.transpose(2, 0, 1)[None, None], photometric="rgb", planarconfig="separate"
    )
    return rgb


@layout("5-D, colours last")
def _(path, rgb):
    tifffile.imwrite(path, rgb[None, None], photometric="rgb")
    return rgb


@layout("half floats")
def _(path, rgb):
    tifffile.imwrite(path, (rgb / 4).astype(np.float16), photometric="rgb")
    return (rgb / 4).astype(np.float32)


@layout("white is zero")
def _(path, rgb):
    tifffile.imwrite(path, 255 - rgb[:, :, 0], photometric="miniswhite")
    return rgb[:, :, :1]


@layout("white is zero, 16 bits")
def _(path, rgb):
    grey = rgb[:, :, :1].astype(np.uint16) * 257
    tifffile.imwrite(path, (65535 - grey)[:, :, 0], photometric="miniswhite")
    return grey


def _white_is_zero(path, rgb, **options):
    return 255 - by_rasterio(path, rgb, photometric="miniswhite", **options)


LAYOUTS |= {
    "three bands, white is zero": lambda path, rgb: _white_is_zero(path, rgb, **TILED),
    "three bands apart, white is zero": lambda path, rgb: _white_is_zero(path, rgb, interleave="band"),
}  # fmt: skip


@layout("5-D, white is zero")
def _(path, rgb):
    with tifffile.TiffWriter(path) as file:
        for plane in rgb.transpose(2, 0, 1):
            file.write(255 - plane, photometric="miniswhite", metadata=None)
    return rgb


@layout("fax, white is zero")
def _(path, rgb):
    mask = rgb[:, :, 0] > 127
    Image.fromarray(mask).save(path, "TIFF", compression="group4")
    return mask[:, :, None].astype(np.uint8)


def write_pages(path, pages, **options):
    """Each page is its pixels and what else is to be said of it."""
    with tifffile.TiffWriter(path, **options) as file:
        for pixels, more in pages:
            colour = "rgb" if pixels.ndim == 3 else "minisblack"
            file.write(pixels, photometric=colour, metadata=None, **more)


def _half(pixels):
    return np.ascontiguousarray(
        pixels[: max(1, pixels.shape[0] // 2), : max(1, pixels.shape[1] // 2)]
    )


@layout("pyramid in SubIFDs")
def _(path, rgb):
    write_pages(path, [(rgb, {"subifds": 1, "tile": (16, 16)}), (_half(rgb), {"subfiletype": 1})])
    return rgb


@layout("pyramid in pages")
def _(path, rgb):
    small = _half(rgb)
    write_pages(path, [(rgb, {}), (small, {"subfiletype": 1}), (_half(small), {"subfiletype": 1})])
    return rgb


@layout("pyramid in pages that do not say so")
def _(path, rgb):
    write_pages(path, [(rgb, {}), (255 - _half(rgb), {})])
    return rgb


@layout("pyramid of 5-D")
def _(path, rgb):
    planes = [np.ascontiguousarray(rgb[:, :, i]) for i in range(3)]
    small = [(_half(plane), {"subfiletype": 1}) for plane in planes]
    write_pages(path, [(plane, {}) for plane in planes] + small)
    return rgb


@layout("full, thumbnail, label")
def _(path, rgb):
    small = _half(rgb)
    label = np.full((1, 2, 3), 9, np.uint8)
    write_pages(path, [(rgb, {"tile": (16, 16)}), (small, {}), (label, {"subfiletype": 1})])
    return rgb


@layout("thumbnail first")
def _(path, rgb):
    write_pages(path, [(_half(rgb), {}), (rgb, {"tile": (16, 16)})])
    return rgb


def flat_blocks(rgb, palette):
    """Squares of 16 pixels of one colour each: JPEG at full quality stores them exactly."""
    height, width, _ = rgb.shape
    coarse = palette[rgb[::16, ::16, 0] % len(palette)]
    return coarse.repeat(16, axis=0)[:height].repeat(16, axis=1)[:, :width]


# Greys, and colours that come back exactly from JPEG's colour space.
GREYS = np.arange(0, 256, 5, np.uint8)[:, None].repeat(3, axis=1)
COLOURS = np.array(
    [(0, 0, 10), (40, 230, 10), (90, 110, 160), (200, 0, 160), (255, 60, 10)], np.uint8
)


@layout("JPEG tiles")
def _(path, rgb):
    options = {"compress": "jpeg", "photometric": "ycbcr", "jpeg_quality": 100}
    return by_rasterio(path, flat_blocks(rgb, GREYS), **options | TILED)


@layout("JPEG strips, RGB")
def _(path, rgb):
    options = {"compress": "jpeg", "jpeg_quality": 100, "blockysize": 16}
    return by_rasterio(path, flat_blocks(rgb, COLOURS), **RGB | options)


@layout("JPEG by band")
def _(path, rgb):
    options = {"compress": "jpeg", "jpeg_quality": 100, "interleave": "band"}
    return by_rasterio(path, flat_blocks(rgb, COLOURS), **RGB | options | TILED)


@layout("orientation is not applied")
def _(path, rgb):
    Image.fromarray(rgb).save(path, "TIFF", tiffinfo={274: 6})
    return rgb


SIDECAR = (
    '<PAMDataset><PAMRasterBand band="1"><ColorInterp>Palette</ColorInterp></PAMRasterBand>'
    "</PAMDataset>"
)


@layout("turned sidecars are not read")
def _(path, rgb):
    by_rasterio(path, rgb, **RGB)
    by_rasterio(f"{path}.ovr", _half(255 - rgb))
    by_rasterio(f"{path}.msk", np.zeros_like(rgb[:, :, :1]))
    path.with_name(f"{path.name}.aux.xml").write_text(SIDECAR)
    path.with_suffix(".tfw").write_text("10\n0\n0\n-10\n5\n5\n")
    return rgb
