"""Masks as runs: encode, decode, combine and measure masks without full-size arrays.

An `RLE` keeps where each run of foreground pixels starts and how long it is. Kaggle's text is
one way of writing it down (`RLE.from_text`, `RLE.to_text`); a `Dialect` describes the others,
and `detect` finds out which one a file is written in.
"""

from kagglekit.errors import RLEError
from kagglekit.rle._builder import RLEBuilder
from kagglekit.rle._core import RLE
from kagglekit.rle._detect import Detection, detect
from kagglekit.rle._dialects import Dialect
from kagglekit.rle._labels import from_labels, to_labels
from kagglekit.rle._polygons import from_polygons
from kagglekit.rle._speed import use_numba

__all__ = [
    "RLE",
    "Detection",
    "Dialect",
    "RLEBuilder",
    "RLEError",
    "detect",
    "from_labels",
    "from_polygons",
    "to_labels",
    "use_numba",
]
