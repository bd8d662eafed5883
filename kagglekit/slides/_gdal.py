"""GDAL as one reader among others in the process: opened alone, listened to, left as it was.

What is settled here: sidecar files (`.ovr`, `.msk`, `.aux.xml`, `.tfw`) are never read, since they
can replace what the image says; GDAL starts no threads, since a fork would wait for them for ever;
"Corrupt JPEG data", which GDAL only writes to a log while it returns wrong pixels, is an error.
"""

import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.env import get_gdal_config, set_gdal_config
from rasterio.errors import NotGeoreferencedWarning, RasterioError

# What rasterio and NumPy raise for a file that is damaged. SystemError is rasterio's "Unknown GDAL
# Error", ValueError comes from numbers in the file that make no sense, IndexError from a palette
# that is too short.
FAILURES = (
    RasterioError,
    CPLE_BaseError,
    IndexError,
    MemoryError,
    OSError,
    SystemError,
    ValueError,
)

_CACHE = "GDAL_CACHEMAX"
_OPTIONS = {"GTiff": {"NUM_THREADS": "1", "GEOREF_SOURCES": "NONE"}}
_DAMAGE = re.compile(r"\w+Decode\w*:|Corrupt JPEG|Premature end|Inconsistent progression")
_filters = threading.Lock()  # Python's warning filters belong to the whole process
_here = threading.local()


def open_dataset(name: str, driver: str) -> Any:
    """Open one dataset with one driver, without a look at its neighbours in the folder."""
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
            return rasterio.open(name, driver=driver, sharing=False, **_OPTIONS.get(driver, {}))


def cause(error: BaseException) -> str:
    """Return the first thing that went wrong: rasterio's own text only says that reading failed."""
    while error.__cause__ is not None:
        error = error.__cause__
    return _plain(str(getattr(error, "errmsg", None) or error) or type(error).__name__)


def _plain(text: str) -> str:
    """Leave out GDAL's error class, and its advice about settings that are not the user's."""
    return " ".join(re.sub(r"^CPLE_\w+:|\(this (error|warning) can .*\)", "", text).split())


@contextmanager
def listening() -> Iterator[list[str]]:
    """Collect what GDAL warns of in this thread, however the user's logging is set up."""
    _listen_to(logging.getLogger("rasterio._err"))
    heard: list[str] = []
    _here.heard = heard
    try:
        yield heard
    finally:
        _here.heard = None


def damage(heard: list[str]) -> str | None:
    """Return the first warning that means wrong pixels."""
    return next((_plain(text) for text in heard if _DAMAGE.search(text)), None)


def _listen_to(logger: logging.Logger) -> None:
    """Hear a logger's warnings even if it is set to ERROR, disabled, or all logging is off.

    What the logger passes on to the user's handlers does not change.
    """
    if "isEnabledFor" in logger.__dict__:
        return
    enabled, handle = logger.isEnabledFor, logger.handle

    def is_enabled_here(level: int) -> bool:
        hearing = level >= logging.WARNING and getattr(_here, "heard", None) is not None
        return hearing or enabled(level)

    def hear(record: logging.LogRecord) -> None:
        heard = getattr(_here, "heard", None)
        if heard is not None and record.levelno >= logging.WARNING:
            heard.append(record.getMessage())
        if enabled(record.levelno):
            handle(record)

    logger.handle = hear  # type: ignore[method-assign]
    logger.isEnabledFor = is_enabled_here  # type: ignore[method-assign]


class CacheLimit:
    """How large GDAL's block cache may grow: as the open slide that needs most of it says.

    The cache is one for the whole process, and by default as large as 5 % of the memory. While
    slides are open its limit is theirs; when the last one is closed it is what it was before.
    """

    def __init__(self) -> None:
        self._needs: dict[int, int] = {}
        self._ours: int | None = None
        self._before = 0

    def ask(self, who: int, size: int) -> None:
        """Give a slide at least `size` bytes of cache from now on."""
        if self._needs.get(who, -1) < size:
            self._needs[who] = size
        self._set(max(list(self._needs.values())))

    def release(self, who: int) -> None:
        """Forget what a slide asked for."""
        if self._needs.pop(who, None) is None:
            return
        if left := list(self._needs.values()):
            self._set(max(left))
        elif self._ours is not None and get_gdal_config(_CACHE) == self._ours:
            set_gdal_config(_CACHE, self._before)
            self._ours = None

    def _set(self, size: int) -> None:
        current = get_gdal_config(_CACHE)  # someone else may have changed it since the last read
        if current == size:
            return
        if current != self._ours:
            self._before = current
        self._ours = size
        # In bytes here, although the environment variable of that name is in MB.
        set_gdal_config(_CACHE, size)


cache_limit = CacheLimit()
