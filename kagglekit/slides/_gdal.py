"""GDAL as one reader among others in the process: opened alone, listened to, left as it was.

What is settled here: sidecar files (`.ovr`, `.msk`, `.aux.xml`, `.tfw`) are never read, since they
can replace what the image says; GDAL starts no threads, since a fork would wait for them for ever;
"Corrupt JPEG data", which GDAL only writes to a log while it returns wrong pixels, is an error.
"""

import logging
import os
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.env import get_gdal_config, set_gdal_config
from rasterio.errors import RasterioError

from kagglekit import handles
from kagglekit.rasters import open_raster

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
_UNKNOWN = re.compile(r"[Uu]nsupported (?!marker)|not supported|missing codec")
_here = threading.local()


def open_dataset(name: str, driver: str) -> Any:
    """Open one dataset with one driver, without a look at its neighbours in the folder."""
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
        return open_raster(name, driver=driver, sharing=False, **_OPTIONS.get(driver, {}))


def cause(error: BaseException) -> str:
    """Return the first thing that went wrong: rasterio's own text only says that reading failed."""
    while error.__cause__ is not None:
        error = error.__cause__
    return _plain(str(getattr(error, "errmsg", None) or error) or type(error).__name__)


def remedy(why: str, otherwise: Callable[[], str]) -> str:
    """Return what to do about a file that could not be read.

    Args:
        why: what GDAL or the system said.
        otherwise: tells what to do if it was nothing that is known here.
    """
    if _UNKNOWN.search(why):
        return "GDAL does not decode this kind here: convert it where it was made"
    return handles.remedy(why, otherwise)


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
    """How large GDAL's block cache may grow while slides are read: as the hungriest of them says.

    The cache is one for the whole process, and by default as large as 5 % of the memory. Its limit
    is ours during a read, and what it was before afterwards, so that nobody else notices. A lower
    limit would throw away what the next read needs; it comes back with the last slide's end.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._needs: dict[int, int] = {}
        self._gone: deque[int] = deque()  # slides that `_needs` is still to forget
        self._reads = 0
        self._ours = 0
        self._before = 0
        self._kept = False  # ours is still set, though nothing is being read

    @contextmanager
    def raised(self, who: int, size: int) -> Iterator[None]:
        """Let the cache hold `size` bytes for a slide while its pixels are read."""
        with self._lock:
            self._needs[who] = max(self._needs.get(who, 0), size)
            self._enter()
        try:
            yield
        finally:
            with self._lock:
                self._leave()
            self._forget()

    def release(self, who: int) -> None:
        """Forget a slide; never waits.

        Python calls it where it happens to collect garbage, which may be in a thread that holds the
        lock: then whoever holds it forgets the slide when done.
        """
        self._gone.append(who)
        self._forget()

    def _forget(self) -> None:
        while self._gone and self._lock.acquire(blocking=False):
            try:
                while self._gone:
                    self._needs.pop(self._gone.popleft(), None)
                if not self._needs and self._kept:
                    self._restore()
            finally:
                self._lock.release()

    def _enter(self) -> None:
        current = get_gdal_config(_CACHE)
        if not self._reads and not (self._kept and current == self._ours):
            self._before = current
        self._reads += 1
        self._ours = max(self._needs.values())
        if current != self._ours:
            # In bytes here, although the environment variable of that name is in MB.
            set_gdal_config(_CACHE, self._ours)

    def _leave(self) -> None:
        self._reads -= 1
        if not self._reads:
            self._kept = self._before < self._ours and bool(self._needs)
            if not self._kept:
                self._restore()

    def _restore(self) -> None:
        self._kept = False
        if get_gdal_config(_CACHE) == self._ours:
            set_gdal_config(_CACHE, self._before)


cache_limit = CacheLimit()


def _after_fork() -> None:
    """Start afresh in a child: another thread of its parent may have held a lock."""
    cache_limit.__init__()  # type: ignore[misc]


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)
