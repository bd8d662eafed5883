"""Memory that a thread works in, kept from one use to the next.

Fresh memory comes as pages that the system has to find and to zero, which for megabytes at a time
takes longer than some of the work done in them.
"""

import threading

import numpy as np
import numpy.typing as npt


class _Kept(threading.local):
    """One piece for each thread, gone when the thread ends."""

    def __init__(self) -> None:
        self.memory = np.empty(0, np.uint8)


_kept = _Kept()


def take(size: int) -> npt.NDArray[np.uint8]:
    """Return memory to work in, until this thread asks again: the next `take` gives the same.

    Args:
        size: in bytes.

    Returns:
        (size,) uint8, with whatever was left in it.

    Example:
        >>> take(3).shape, np.shares_memory(take(3), take(2))
        ((3,), True)
    """
    if _kept.memory.size < size:
        _kept.memory = np.empty(size, np.uint8)
    return _kept.memory[:size]


def give_back() -> None:
    """Forget this thread's memory, before work that needs none of it and much of another kind."""
    _kept.memory = np.empty(0, np.uint8)
