import os
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rasterio

from kagglekit import rasters
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


def test_threads_leave_the_filters_as_they_were(picture):
    before = list(warnings.filters)

    def read(_):
        with open_raster(picture) as file:
            return int(file.read(1).sum())

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(read, range(400))) == {276}
    assert warnings.filters == before


def test_a_child_does_not_wait_for_a_thread_that_it_does_not_have(picture):
    with rasters._filters:  # as if another thread of the parent were opening a file
        child = os.fork()
        if child == 0:
            with open_raster(picture) as file:
                os._exit(0 if file.width == 6 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_what_cannot_be_opened(tmp_path):
    with pytest.raises(rasterio.errors.RasterioIOError):
        open_raster(tmp_path / "none.tiff")
