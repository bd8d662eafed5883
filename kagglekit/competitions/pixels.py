"""Images and masks as files: how large they are, and what is foreground in them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kagglekit.competitions import header
from kagglekit.errors import DataError
from kagglekit.rasters import open_raster


def size(path: Path) -> tuple[int, int]:
    """Return the (height, width) of an image in pixels, from its header alone.

    Raises:
        DataError: the file cannot be opened as an image.
    """
    if path.suffix == ".npy":
        height, width = _array(path).shape[:2]
        return int(height), int(width)
    try:
        known = header.read_size(path)
    except OSError as error:
        raise DataError(f"`{path}` cannot be opened as an image: {error}") from error
    if known:
        return known
    with _opened(path) as image:
        # A planar slide is several one-band pages; all have the size of the first.
        return int(image.height), int(image.width)


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Return where the first channel of an image is not 0; (height, width) bool.

    Raises:
        DataError: the file cannot be read as an image.
    """
    if path.suffix == ".npy":
        mask = np.asarray(_array(path))
        return np.asarray((mask[..., 0] if mask.ndim > 2 else mask) != 0)
    with _opened(path) as image:
        return np.asarray(image.read(1) != 0)


def _array(path: Path) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"`{path}` cannot be opened as an image: {error}") from error
    if array.ndim < 2:
        raise DataError(f"`{path}` cannot be opened as an image: its shape is {array.shape}")
    return array


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    from rasterio.errors import RasterioIOError

    try:
        with open_raster(path) as image:
            yield image
    except RasterioIOError as error:
        raise DataError(f"`{path}` cannot be opened as an image: {error}") from error
