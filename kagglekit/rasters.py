"""Opening a file with rasterio from any thread, without its remark that no map belongs to it."""

import os
import threading
import warnings
from pathlib import Path
from typing import Any

_filters = threading.Lock()  # Python has one list of warning filters for all threads


def open_raster(name: Path | str, *mode: str, **options: Any) -> Any:
    """Open a file as `rasterio.open` does.

    Args:
        name: the file, or a name that GDAL knows.
        mode: "w" to write; to read, nothing.
        options: of `rasterio.open`.

    Returns:
        rasterio's dataset, for a `with` block.

    Raises:
        RasterioError: as `rasterio.open`.
    """
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(name, *mode, **options)


def _after_fork() -> None:
    """Start afresh in a child: another thread of its parent may have held the lock."""
    global _filters
    _filters = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)
