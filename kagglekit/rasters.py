"""Opening a file with rasterio from any thread, without its remark that no map belongs to it."""

import os
from functools import cache
from pathlib import Path
from typing import Any

# The plane of the pixels themselves, in GDAL's order: x, width, skew, y, skew, height of a pixel.
_NO_MAP = (0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def open_raster(name: Path | str, mode: str = "r", **options: Any) -> Any:
    """Open a file as `rasterio.open` does, but never ask it where on the earth it lies.

    rasterio asks every file that it opens, and warns if there is no answer: each time, for an image
    of a microscope. Python's warning filters cannot be used against that, since all threads have
    the same ones: a thread that sets them back undoes what another has set.

    Args:
        name: the file, or a name that GDAL knows.
        mode: "r" to read, "w" to write.
        options: of `rasterio.open`; to write, `driver` is among them.

    Returns:
        rasterio's dataset, for a `with` block. Its `transform` is the identity.

    Raises:
        RasterioError: as `rasterio.open`.

    Example:
        >>> from kagglekit.rasters import open_raster
        >>> with open_raster("slide.tiff") as slide:  # doctest: +SKIP
        ...     slide.shape
        (39960, 50680)
    """
    from rasterio._path import _parse_path
    from rasterio.env import env_ctx_if_needed
    from rasterio.io import DatasetReader, get_writer_for_driver

    path = _parse_path(os.fspath(name))
    with env_ctx_if_needed():
        if mode == "r":
            return _unmapped(DatasetReader)(path, **options)
        return _unmapped(get_writer_for_driver(options["driver"]))(path, mode, **options)


@cache
def _unmapped(kind: type) -> type:
    """Return a kind of rasterio's datasets that says of each file that it has no map."""
    return type(kind.__name__, (kind,), {"read_transform": lambda _: list(_NO_MAP)})
