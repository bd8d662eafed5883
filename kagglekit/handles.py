"""How many files a process keeps open between reads.

A training looks at thousands of pictures in any order, and opening one for each tile would cost
more than reading it; but a process may have only so many files open: 1,024 on most systems, 256 on
a Mac.
"""

import atexit
import errno
import os
from collections.abc import Callable, Hashable
from typing import Any

MOST = 100
"""How many `used` leaves open."""

_EXHAUSTED = os.strerror(errno.EMFILE)

_owners: dict[tuple[int, Hashable], dict[Any, Any]] = {}  # those used longest ago first
if hasattr(os, "register_at_fork"):  # not on Windows
    # A child must not close what its parent reads from: it leaves that alone, and counts its own.
    os.register_at_fork(after_in_child=_owners.clear)


def remedy(why: str, otherwise: Callable[[], str]) -> str:
    """Return what to do about a file that could not be opened.

    Args:
        why: what the system said.
        otherwise: tells what to do if it was not that this process has too many files open.

    Example:
        >>> remedy("a.png: No such file or directory", lambda: "check the path")
        'check the path'
    """
    if _EXHAUSTED not in why:
        return otherwise()
    return "this process has as many files open as it may: close some, or allow it more (ulimit -n)"


def used(held: dict[Any, Any], key: Hashable) -> None:
    """Tell that an open file was just used; of more than `MOST`, the one idle longest is let go.

    Args:
        held: what the file's owner keeps open; the owner opens again what is gone from it. Whoever
            reads from a file meanwhile has a reference of his own, and is not disturbed.
        key: which of them was used.

    Example:
        >>> held = dict.fromkeys(range(MOST + 2), "an open file")
        >>> for number in list(held):
        ...     used(held, number)
        >>> len(held), min(held)
        (100, 2)
    """
    this = (id(held), key)
    _owners.pop(this, None)
    _owners[this] = held
    if len(_owners) > MOST:
        _let_go(list(_owners)[:-MOST])  # a list at once: other threads come and go


def _let_go(files: list[tuple[int, Hashable]]) -> None:
    for each in files:
        _owners.pop(each, {}).pop(each[1], None)


# As long as Python is whole: rasterio since 1.5.1 closes nothing later without complaints.
atexit.register(lambda: _let_go(list(_owners)))
