"""When to compile.

Every loop over pixels and runs exists in NumPy; a few also as a numba kernel with the same result.
Importing numba and compiling a kernel costs seconds, so a kernel is compiled once the plain loop
has done that much work in this process: at worst the total is twice the better choice. Who knows
beforehand how much there will be says so.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

_COMPILE_COST = 2e9  # nanoseconds: importing numba and compiling one kernel

_choice: bool | None = None
_is_refused = False  # numba has been asked for and could not be loaded
_spent: dict[str, float] = {}


def use_numba(choice: bool | None) -> None:
    """Choose how all these loops run, in this process.

    Args:
        choice: True compiles each kernel when it is first needed, False never does, None (what
            holds before any call) does once a loop has cost more than compiling it would.

    Example:
        >>> use_numba(None)
    """
    global _choice
    _choice = choice


def expect(name: str, cost: float) -> None:
    """Say how much work there is going to be, so that the right choice is made at once.

    Args:
        name: of the kernel.
        cost: what the plain loop will take for all of it, in nanoseconds, roughly.

    Example:
        >>> expect("read_pairs", 2_000)
    """
    _spent[name] = _spent.get(name, 0.0) + cost


def compiled(name: str, cost: float) -> Callable[..., Any] | None:
    """Return a kernel of `kagglekit.speed._kernels`, or None when the plain loop is to do it.

    Args:
        name: of the kernel.
        cost: what the plain loop will take, in nanoseconds, roughly.
    """
    global _is_refused
    if _choice is False or (_is_refused and not _choice):
        return None
    expect(name, cost)
    if _choice is None and _spent[name] < _COMPILE_COST:
        return None
    try:
        kernels = import_module("kagglekit.speed._kernels")
    except ImportError:
        # A numba that does not fit the image's NumPy refuses to load; the result is the same.
        if _choice:
            raise
        _is_refused = True  # asked again each time, it would take milliseconds
        return None
    kernel: Callable[..., Any] = getattr(kernels, name)
    return kernel
