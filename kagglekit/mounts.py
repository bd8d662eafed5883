"""Where Kaggle puts what is attached to a notebook.

Kaggle has two layouts, and sessions of the same month were seen with either:

    /kaggle/input/<slug>                     the older, flat one
    /kaggle/input/competitions/<slug>        the newer one
    /kaggle/input/datasets/<owner>/<slug>

Everything that looks for an attached folder asks here, so a notebook never spells out a
mount path. At home `KAGGLEKIT_INPUT` stands in for `/kaggle/input`.
"""

import os
from itertools import islice
from pathlib import Path

from kagglekit.errors import DataError

_PATTERNS = ("{slug}", "competitions/{slug}", "datasets/*/{slug}", "notebooks/*/{slug}")


def input_root() -> Path:
    """Return the folder that holds everything attached: `/kaggle/input`, or `$KAGGLEKIT_INPUT`."""
    return Path(os.environ.get("KAGGLEKIT_INPUT", "/kaggle/input"))


def working_root() -> Path:
    """Return the folder that Kaggle keeps: `/kaggle/working`, or `$KAGGLEKIT_WORKING`."""
    return Path(os.environ.get("KAGGLEKIT_WORKING", "/kaggle/working"))


def find_input(slug: str, root: Path | None = None) -> Path:
    """Find an attached competition, dataset or notebook output by the last part of its name.

    Args:
        slug: e.g. "hubmap-kidney-segmentation"; the owner is not needed.
        root: where to look instead of `input_root()`.

    Returns:
        The folder, under whichever layout this session has.

    Raises:
        DataError: it is under no known layout; the message shows what is attached.

    Example:
        >>> find_input("kagglekit-offline")  # doctest: +SKIP
        PosixPath('/kaggle/input/datasets/someone/kagglekit-offline')
    """
    root = input_root() if root is None else root
    for pattern in _PATTERNS:
        for found in sorted(root.glob(pattern.format(slug=slug))):
            if found.is_dir():
                return found
    raise DataError(
        f"`{slug}` is not attached: nothing of that name under `{root}`",
        problems=_attached(root),
        hint="attach it to the notebook with “Add Input”, or set KAGGLEKIT_INPUT to where it is",
    )


def _attached(root: Path) -> list[str]:
    """Return the folders that are there, a line each: three levels, and few enough to read."""
    if not root.is_dir():
        return [f"`{root}` does not exist"]
    levels = ("*/", "*/*/", "*/*/*/")  # folders only
    found = [path for level in levels for path in islice(sorted(root.glob(level)), 8)]
    return [f"found {path.relative_to(root)}" for path in found] or [f"`{root}` holds no folder"]
