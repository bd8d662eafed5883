"""Competitions: their rules as data, their folders, and synthetic copies of them.

`load(slug)` gives a `Profile`, its `find_data()` a `Data`; `fake.make` draws a whole tree.
"""

from kagglekit.competitions import fake
from kagglekit.competitions.data import Data
from kagglekit.competitions.profile import Profile, load, slugs

__all__ = ["Data", "Profile", "fake", "load", "slugs"]
