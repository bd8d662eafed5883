"""What the reader does with GDAL around it: logs, warnings, the block cache, sequential files."""

import gc
import logging
import logging.config
import os
import threading
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rasterio
import tifffile
from rasterio.env import get_gdal_config, set_gdal_config

from kagglekit import scratch
from kagglekit.errors import SlideError
from kagglekit.slides import open_slide
from kagglekit.slides._gdal import cache_limit, open_dataset
from kagglekit.slides._layout import describe_tiff
from tests.slides_damage import DAMAGE, LAYOUTS
from tests.slides_factory import RGB, TILED, by_rasterio, picture

SHAPE = (75, 91)


def spoiled_jpeg(path):
    """Tiles of JPEG, of which one decodes to wrong pixels with no more than a line in a log."""
    options = {"compress": "jpeg", "photometric": "ycbcr"}
    tiles = {"tiled": True, "blockxsize": 64, "blockysize": 64}
    by_rasterio(path, picture((128, 128)), **options | tiles)
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        end = page.dataoffsets[3] + page.databytecounts[3]
    data = bytearray(path.read_bytes())
    data[end - 120 : end - 20] = bytes(100)
    path.write_bytes(data)


@pytest.fixture
def user_logging():
    """Whatever a test does to logging is undone."""
    loggers = [logging.getLogger(name) for name in ("rasterio", "rasterio._err")]
    before = [(logger.level, logger.disabled) for logger in loggers]
    yield
    logging.disable(logging.NOTSET)
    for logger, (level, disabled) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.disabled = disabled


SILENCES = {
    "as it comes": lambda: None,
    "set to ERROR": lambda: logging.getLogger("rasterio").setLevel(logging.ERROR),
    "itself set to CRITICAL": lambda: logging.getLogger("rasterio._err").setLevel(logging.CRITICAL),
    "all off": lambda: logging.disable(logging.CRITICAL),
    "by dictConfig": lambda: logging.config.dictConfig({"version": 1}),
}


@pytest.mark.parametrize("silence", SILENCES)
def test_a_corrupt_jpeg_tile_is_an_error_every_time(tmp_path, user_logging, silence):
    path = tmp_path / "a.tiff"
    spoiled_jpeg(path)
    SILENCES[silence]()
    with open_slide(path) as slide:
        for _ in range(3):  # GDAL keeps the wrong pixels, and would hand them out the second time
            with pytest.raises(SlideError) as raised:
                slide.read(0, 128, 0, 128)
            assert str(raised.value) == (
                f"{path}: cannot read rows 0-128, columns 0-128: "
                "JPEGLib:Corrupt JPEG data: premature end of data segment\n"
                "hint: the file is damaged there: fetch it again, and compare its checksum"
            )
        assert slide.read(0, 64, 0, 128).shape == (64, 128, 3)


def test_the_users_own_log_is_what_it_was(tmp_path, user_logging, caplog):
    spoiled_jpeg(tmp_path / "a.tiff")
    with open_slide(tmp_path / "a.tiff") as slide:
        with pytest.raises(SlideError):
            slide.read(0, 128, 0, 128)
        assert "Corrupt JPEG" in caplog.text
        caplog.clear()
        logging.getLogger("rasterio").setLevel(logging.ERROR)
        with pytest.raises(SlideError):
            slide.read(0, 128, 0, 128)
        assert not caplog.records


def test_what_other_threads_warn_of_is_not_heard(tmp_path, monkeypatch):
    path = tmp_path / "a.tiff"
    by_rasterio(path, picture(SHAPE), **RGB)

    def warn():
        logging.getLogger("rasterio._err").warning("JPEGLib:Corrupt JPEG data: of another thread")

    with open_slide(path) as slide:
        source = slide._source
        reader = source.open()

        class Reader:
            def read(self, *window, scale):
                thread = threading.Thread(target=warn)
                thread.start()
                thread.join()
                return reader.read(*window, scale=scale)

        monkeypatch.setattr(type(source), "open", lambda _: Reader())
        assert slide.read(0, 75, 0, 91).shape == (75, 91, 3)


def test_no_warning_reaches_the_user(tmp_path):
    by_rasterio(tmp_path / "a.tiff", picture(SHAPE), **RGB)
    before = list(warnings.filters)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with open_slide(tmp_path / "a.tiff") as slide:
            slide.read(0, 75, 0, 91)
    assert not caught
    assert warnings.filters == before


@pytest.fixture
def no_other_slide(monkeypatch):
    """Slides that other tests have left open still have a say in the limit."""
    monkeypatch.setattr(cache_limit, "_needs", {})


class Spy:
    """A reader that notes the limit of GDAL's cache at the time of each read."""

    def __init__(self, reader, limits):
        self.reader, self.limits = reader, limits

    def read(self, *window, scale):
        self.limits.append(get_gdal_config("GDAL_CACHEMAX"))
        return self.reader.read(*window, scale=scale)


def spied(slide):
    limits = []
    reader = Spy(slide._source.open(), limits)
    slide._readers[os.getpid(), threading.get_ident()] = reader
    return limits


def test_the_cache_limit_is_ours_during_a_read_only(tmp_path, no_other_slide):
    by_rasterio(tmp_path / "a.tiff", picture((64, 3000)), **RGB)
    before = get_gdal_config("GDAL_CACHEMAX")
    with open_slide(tmp_path / "a.tiff") as slide:
        limits = spied(slide)
        slide.read(0, 64, 0, 3000)
        assert get_gdal_config("GDAL_CACHEMAX") == before
        with rasterio.Env(GDAL_CACHEMAX=1 << 27):
            slide.read(0, 9, 0, 9)
            assert get_gdal_config("GDAL_CACHEMAX") == 1 << 27
        assert limits == [16 << 20] * 2  # the whole image fits
        assert get_gdal_config("GDAL_CACHEMAX") == before


@pytest.mark.parametrize("end", ["closed", "forgotten"])
def test_a_lower_limit_comes_back_with_the_last_slide(tmp_path, no_other_slide, end):
    by_rasterio(tmp_path / "a.tiff", picture((64, 3000)), **RGB)
    before = get_gdal_config("GDAL_CACHEMAX")
    set_gdal_config("GDAL_CACHEMAX", 1 << 20)
    try:
        slides = [open_slide(tmp_path / "a.tiff") for _ in range(2)]
        for _ in range(2):
            for slide in slides:
                slide.read(0, 9, 0, 9)
        if end == "closed":
            for slide in slides:
                assert get_gdal_config("GDAL_CACHEMAX") == 16 << 20  # or it would forget blocks
                slide.close()
        del slide, slides
        assert get_gdal_config("GDAL_CACHEMAX") == 1 << 20
    finally:
        set_gdal_config("GDAL_CACHEMAX", before)


def test_a_slide_may_be_collected_in_the_middle_of_another_ones_read(
    tmp_path, no_other_slide, monkeypatch
):
    """As Python may at any step, also while this thread holds the limit's lock."""
    by_rasterio(tmp_path / "a.tiff", picture((64, 3000)), **RGB)
    before = get_gdal_config("GDAL_CACHEMAX")
    set_gdal_config("GDAL_CACHEMAX", 1 << 20)
    try:
        lost = [open_slide(tmp_path / "a.tiff")]
        lost[0].read(0, 9, 0, 9)

        def collect(name):
            lost.clear()
            return get_gdal_config(name)

        monkeypatch.setattr("kagglekit.slides._gdal.get_gdal_config", collect)
        with open_slide(tmp_path / "a.tiff") as slide:
            reading = threading.Thread(target=slide.read, args=(0, 9, 0, 9), daemon=True)
            reading.start()
            reading.join(20)
            assert not reading.is_alive()
            assert len(cache_limit._needs) == 1
        assert get_gdal_config("GDAL_CACHEMAX") == 1 << 20
    finally:
        set_gdal_config("GDAL_CACHEMAX", before)


def test_threads_that_read_together_leave_the_limit_as_it_was(tmp_path):
    by_rasterio(tmp_path / "a.tiff", picture((64, 3000)), **RGB)
    before = get_gdal_config("GDAL_CACHEMAX")
    with open_slide(tmp_path / "a.tiff") as slide, ThreadPoolExecutor(4) as pool:
        for _ in pool.map(lambda x: slide.read(0, 64, x, x + 60), range(0, 2900, 10)):
            pass
        assert get_gdal_config("GDAL_CACHEMAX") == before


def test_the_cache_holds_what_neighbouring_windows_share(tmp_path):
    by_rasterio(
        tmp_path / "a.tiff", np.zeros((3000, 5120, 3), np.uint8), sparse_ok=True, tiled=True
    )
    with open_slide(tmp_path / "a.tiff") as slide:
        assert slide.block == (256, 256)
        row = 5120 * 3
        need = slide._cache_need
        assert need(0, 512, 256, 1024) == 8 * 256 * 256 * 3  # along the blocks: nothing is shared
        assert need(2560, 3000, 0, 5120) == 8 * 256 * 256 * 3  # so does one that ends at the border
        assert need(0, 1000, 100, 1100) == max((1000 + 512) * row, 16 << 20)
        assert need(100, 1100, 0, 5120) == 16 << 20  # full rows share one row of blocks


def test_the_cache_holds_a_small_image_whole(tmp_path):
    by_rasterio(tmp_path / "a.tiff", np.zeros((256, 512, 3), np.uint8), tiled=True)
    with open_slide(tmp_path / "a.tiff") as slide:
        assert slide._cache_need(0, 256, 0, 512) == 16 << 20


def test_gdal_is_told_nothing_that_stays(tmp_path):
    LAYOUTS["tiles, LZW, by pixel"](tmp_path / "a.tiff", picture(SHAPE))
    with open_slide(tmp_path / "a.tiff") as slide:
        slide.read(0, 75, 0, 91)
        assert get_gdal_config("GDAL_DISABLE_READDIR_ON_OPEN") is None
        assert get_gdal_config("GDAL_NUM_THREADS") is None


TALL = (2600, 40)
SEQUENTIAL = {
    "one strip, LZW, by pixel": True,
    "one strip, LZW, by band": True,
    "one strip, deflate, by pixel": True,
    "one strip, raw, by pixel": False,
    "strips of 8, LZW, by pixel": False,
    "strips of 1 row": False,
    "tiles, LZW, by pixel": False,
    "PNG": True,
    "JPEG": True,
    "GIF": True,
    "npy": False,
}
BLOCKS = {"strips of 8, LZW, by pixel": (8, 40), "tiles, LZW, by pixel": (16, 32)}


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_which_files_are_decoded_from_the_top_only(tmp_path, name):
    LAYOUTS[name](tmp_path / "a", picture(TALL))
    with open_slide(tmp_path / "a") as slide:
        assert slide.sequential == SEQUENTIAL[name]
        if slide.sequential:
            assert slide.block == (1, 40)
        assert slide.block == BLOCKS.get(name, slide.block)


def test_one_short_strip_is_one_block(tmp_path):
    LAYOUTS["one strip, LZW, by pixel"](tmp_path / "a", picture(SHAPE))
    with open_slide(tmp_path / "a") as slide:
        assert (slide.sequential, slide.block) == (False, SHAPE)


def test_what_a_page_needs_is_where_its_last_block_ends(tmp_path):
    path = tmp_path / "a"
    LAYOUTS["strips of 8, raw, by pixel"](path, picture(SHAPE))
    assert describe_tiff(path).needs == path.stat().st_size


def test_gdal_sees_the_file_alone(tmp_path):
    path = tmp_path / "a.tiff"
    LAYOUTS["turned sidecars are not read"](path, picture(SHAPE))
    assert len(list(tmp_path.iterdir())) == 5
    assert open_dataset(str(path), "GTiff").files == [str(path)]


@pytest.mark.parametrize("kind", sorted(LAYOUTS))
def test_what_was_read_stays_when_the_thread_reads_on(tmp_path, kind):
    """All slides of a thread are decoded into the same memory."""
    LAYOUTS[kind](tmp_path / "a", picture(SHAPE))
    by_rasterio(tmp_path / "b.tiff", picture((128, 128), 1), **RGB)
    with open_slide(tmp_path / "a") as slide, open_slide(tmp_path / "b.tiff") as other:
        found = slide.read(0, slide.shape[0], 0, slide.shape[1])
        kept = found.copy()
        other.read(0, 128, 0, 128)
        np.testing.assert_array_equal(found, kept)


def test_a_thread_decodes_into_one_memory_that_ends_with_it(tmp_path):
    pixels = [picture((64, 64), seed) for seed in range(2)]
    paths = [tmp_path / "a.tiff", tmp_path / "b.tiff"]
    for path, each in zip(paths, pixels, strict=True):
        by_rasterio(path, each, **RGB)
    slides = [open_slide(path) for path in paths]
    seen = []

    def read():
        for slide, each in zip(slides, pixels, strict=True):
            np.testing.assert_array_equal(slide.read(0, 64, 0, 64), each)
            seen.append(weakref.ref(scratch.take(0).base))

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    gc.collect()
    assert len(seen) == 2
    assert seen[0] is seen[1]  # Python keeps one reference of this kind for each array
    assert seen[0]() is None
    for slide in slides:
        slide.close()


def test_the_users_setting_of_threads_is_not_followed(tmp_path, monkeypatch):
    by_rasterio(tmp_path / "a.tiff", picture((256, 256)), compress="lzw", **RGB | TILED)
    monkeypatch.setenv("GDAL_NUM_THREADS", "2")
    count = threading_count()
    with open_slide(tmp_path / "a.tiff") as slide:
        slide.read(0, 256, 0, 256)
        assert threading_count() == count


def threading_count():
    """Threads of this process, those of C libraries too."""
    with open("/proc/self/status", encoding="ascii") as file:  # noqa: PTH123
        return next(int(line.split()[1]) for line in file if line.startswith("Threads:"))


def test_all_damages_that_open_are_refused_without_a_log_too(tmp_path, user_logging):
    logging.disable(logging.CRITICAL)
    DAMAGE["damaged: fax, white is zero"](tmp_path / "a.tiff")
    with open_slide(tmp_path / "a.tiff") as slide, pytest.raises(SlideError, match="Fax4Decode"):
        slide.read(0, 75, 0, 91)
