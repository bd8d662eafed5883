"""When to compile.

Every loop of this room exists in NumPy; a few also as a numba kernel with the same result.
Importing numba and compiling a kernel costs seconds, so a kernel is compiled once the NumPy
loop has done that much work in this process: at worst the total is twice the better choice.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

READ_COST = 12  # nanoseconds a character: reading a text with NumPy
_COMPILE_COST = 2e9  # nanoseconds: importing numba and compiling one kernel

_choice: bool | None = None
_spent: dict[str, float] = {}


def use_numba(choice: bool | None) -> None:
    """Choose how the loops of `kagglekit.rle` and `kagglekit.regions` run, in this process.

    Args:
        choice: True compiles each kernel when it is first needed, False never does, None (what
            holds before any call) does once a loop has cost more than compiling it would.

    Example:
        >>> use_numba(None)
    """
    global _choice
    _choice = choice


def expect_texts(characters: int) -> None:
    """Say how much text is going to be read in all, so that the right choice is made at once.

    Args:
        characters: of all masks together.

    Example:
        >>> expect_texts(2_000)
    """
    _spent["read_pairs"] = _spent.get("read_pairs", 0.0) + READ_COST * characters


def compiled(name: str, cost: float) -> Callable[..., Any] | None:
    """Return a kernel of `kagglekit.rle._kernels`, or None when NumPy is to do it.

    Args:
        name: of the kernel.
        cost: what the NumPy loop will take, in nanoseconds, roughly.
    """
    if _choice is False:
        return None
    _spent[name] = _spent.get(name, 0.0) + cost
    if _choice is None and _spent[name] < _COMPILE_COST:
        return None
    try:
        kernels = import_module("kagglekit.rle._kernels")
    except ImportError:
        # A numba that does not fit the image's NumPy refuses to load; the result is the same.
        if _choice:
            raise
        return None
    kernel: Callable[..., Any] = getattr(kernels, name)
    return kernel
