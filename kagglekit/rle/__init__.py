"""Masks as runs: encode, decode, combine and measure masks without full-size arrays.

An `RLE` keeps where each run of foreground pixels starts and how long it is. Kaggle's text is
one way of writing it down (`RLE.from_text`, `RLE.to_text`); a `Dialect` describes the others,
and `detect` finds out which one a file is written in.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kagglekit.errors import RLEError
from kagglekit.rle._builder import RLEBuilder, from_changes
from kagglekit.rle._core import RLE
from kagglekit.rle._text import expect_texts
from kagglekit.speed import use_numba

if TYPE_CHECKING:
    from kagglekit.rle._detect import Detection, detect
    from kagglekit.rle._dialects import Dialect
    from kagglekit.rle._labels import from_labels, to_labels
    from kagglekit.rle._polygons import from_polygons

__all__ = [
    "RLE",
    "Detection",
    "Dialect",
    "RLEBuilder",
    "RLEError",
    "detect",
    "expect_texts",
    "from_changes",
    "from_labels",
    "from_polygons",
    "to_labels",
    "use_numba",
]

# Half the time of importing this package would go into what most users of an RLE never need.
_WHEN_USED = {
    "Detection": "_detect",
    "Dialect": "_dialects",
    "detect": "_detect",
    "from_labels": "_labels",
    "from_polygons": "_polygons",
    "to_labels": "_labels",
}


def __getattr__(name: str) -> Any:
    if name in _WHEN_USED:
        return getattr(import_module(f"kagglekit.rle.{_WHEN_USED[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
