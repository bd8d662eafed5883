"""Colours of one stained slide made to look like another's.

A `Look` is what was fitted, once, to the pixels of a slide's thumbnail or of a reference; it is a
handful of numbers. `match` turns two looks into a function of pixels, which is then applied window
by window: each pixel's new colour depends on its own alone, so windows never show seams.

    source = stain.fit(slide.thumbnail()[0], "macenko")
    normalise = stain.match(source, reference)
    tile = normalise(slide.read(0, 1024, 0, 1024))

`even` makes pictures of cells alike that were taken in different ways.
"""

from kagglekit.stain._colours import ColourLook, ReinhardLook
from kagglekit.stain._density import perturb
from kagglekit.stain._even import even
from kagglekit.stain._fit import METHODS, Look, fit, match
from kagglekit.stain._stains import StainLook

__all__ = [
    "METHODS",
    "ColourLook",
    "Look",
    "ReinhardLook",
    "StainLook",
    "even",
    "fit",
    "match",
    "perturb",
]
