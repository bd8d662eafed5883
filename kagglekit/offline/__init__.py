"""Offline bundles: what a Kaggle image lacks, as a folder that installs with no network.

`image` says what a Kaggle image has, `bundle.build` makes the folder, `check.check_bundle` proves
that it fits, and `install` is the program inside it that a notebook's first cell runs. In the
notebook, `activate` and `guard` (`runtime`) lead the model libraries to the bundled weights.
"""

from kagglekit.offline.runtime import activate, guard

__all__ = ["activate", "guard"]
