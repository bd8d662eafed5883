"""Train a model: a loop that survives a killed session and ends before the session does.

`fit` draws tiles, validates by the competition's own metric through the very call that the
submission will use, keeps the best checkpoint and goes on where it was killed; `Settings` are its
settings, `Validation` what it validates on. `docs/training.md` shows them at work.
"""

from kagglekit.train._fit import Result, fit
from kagglekit.train._settings import PRECISIONS, SCHEDULES, Settings
from kagglekit.train._validation import Validation

__all__ = [
    "PRECISIONS",
    "SCHEDULES",
    "Result",
    "Settings",
    "Validation",
    "fit",
]
