"""Masks as runs: encode, decode, combine and measure masks without full-size arrays.

An `RLE` keeps where each run of foreground pixels starts and how long it is. Kaggle's text is
one way of writing it down; see `RLE.from_text` and `RLE.to_text`.
"""

from kagglekit.errors import RLEError
from kagglekit.rle._builder import RLEBuilder
from kagglekit.rle._core import RLE
from kagglekit.rle._speed import use_numba

__all__ = ["RLE", "RLEBuilder", "RLEError", "use_numba"]
