"""Progress bars that hold up no other process."""

import os
import threading
from contextlib import suppress

from tqdm.auto import tqdm
from tqdm.std import tqdm as plain

__all__ = ["say", "tqdm"]


def say(text: str) -> None:
    """Print lines above the bars, if somebody can read them.

    An output that is closed, or has no letters for them, ends no work of hours.
    """
    with suppress(OSError, ValueError, AttributeError):
        tqdm.write(text)


def _own_lock() -> None:
    # tqdm's own lock is one for a process and all its forks, and each bar takes it, one that is not
    # shown too. A fork that is killed meanwhile, for want of memory say, would keep it for ever.
    lock = threading.RLock()
    for kind in (tqdm, plain):
        kind.set_lock(lock)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_own_lock)
