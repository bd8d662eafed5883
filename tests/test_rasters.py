import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rasterio

from kagglekit.rasters import open_raster


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "picture.tiff"
    with open_raster(path, "w", driver="GTiff", height=4, width=6, count=1, dtype="uint8") as file:
        file.write(np.arange(24, dtype=np.uint8).reshape(4, 6), 1)
    return path


def test_nothing_is_said_of_maps(picture):
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning), rasterio.open(picture):
        pass
    with open_raster(picture) as file:  # warnings are errors here
        assert file.read(1).ravel().tolist() == list(range(24))
        assert file.transform.is_identity


@pytest.mark.parametrize("driver", ["GTiff", "PNG", "GIF"])
def test_files_are_written_as_rasterio_writes_them(tmp_path, driver):
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6)
    size = {"height": 4, "width": 6, "count": 1, "dtype": "uint8", "driver": driver}
    with open_raster(tmp_path / "ours", "w", **size) as file:
        file.write(pixels, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(tmp_path / "theirs", "w", **size) as file:
            file.write(pixels, 1)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_threads_read_while_others_change_the_filters(picture):
    """One thread makes warnings errors again and again, as pytest does around each test."""
    before = list(warnings.filters)
    done = threading.Event()

    def change():
        while not done.is_set():
            with warnings.catch_warnings():
                warnings.simplefilter("error")

    def read(_):
        with open_raster(picture) as file:
            return int(file.read(1).sum())

    other = threading.Thread(target=change)
    other.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(read, range(400))) == {276}
    finally:
        done.set()
        other.join()
    assert warnings.filters == before


def test_what_cannot_be_opened(tmp_path):
    with pytest.raises(rasterio.errors.RasterioIOError, match=r"none\.tiff: No such file"):
        open_raster(tmp_path / "none.tiff")


def test_gdal_prints_nothing_of_its_own(tmp_path):
    """Outside rasterio's environment GDAL would write its errors to stderr."""
    code = (
        "from rasterio.errors import RasterioIOError\n"
        "from kagglekit.rasters import open_raster\n"
        "try:\n    open_raster('none.tiff')\n"
        "except RasterioIOError:\n    print('refused')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("refused\n", "")
