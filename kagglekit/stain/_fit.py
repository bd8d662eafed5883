"""Fit a look by a method's name, and turn two looks into a function of pixels."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from kagglekit.stain._colours import ColourLook, ReinhardLook
from kagglekit.stain._density import Bytes, check_rgb
from kagglekit.stain._stains import StainLook

Look: TypeAlias = ReinhardLook | ColourLook | StainLook
Method = Literal["reinhard", "macenko", "vahadane", "colour"]

_MOST = 50_000  # pixels that a fit looks at; more change nothing but its time

_FITS: dict[str, Callable[[Bytes], Look]] = {
    "reinhard": ReinhardLook.fit,
    "macenko": StainLook.fit_macenko,
    "vahadane": StainLook.fit_vahadane,
    "colour": ColourLook.fit,
}

METHODS = tuple(_FITS)
"""The names `fit` knows: "reinhard", "macenko", "vahadane", "colour"."""


def fit(
    pixels: Bytes, method: Method = "macenko", tissue: npt.NDArray[np.bool_] | None = None
) -> Look:
    """Fit a look to a picture: a slide's thumbnail, or a reference.

    Args:
        pixels: (h, w, 3) uint8, RGB.
        method: "reinhard" (mean and spread in CIELAB), "macenko" or "vahadane" (the colours of two
            stains), "colour" (mean and covariance of RGB).
        tissue: (h, w) bool, or 0 and 1: which pixels count, as `slides.tissue_mask` tells; by
            default all. For "reinhard" and "colour" the share of empty glass would count as a
            colour of the tissue.

    Returns:
        A look; `match` takes two of one method.

    Raises:
        ValueError: there is no such method, the pixels are not 8-bit RGB, `tissue` has another
            shape, no pixel counts, or, for the two that look for stains, hardly one is stained.

    Example:
        >>> picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
        >>> [round(value) for value in fit(picture, "colour").mean]
        [127, 129, 127]
    """
    if method not in _FITS:
        raise ValueError(f"method={method!r} must be one of {', '.join(map(repr, METHODS))}")
    check_rgb(pixels)
    if tissue is not None and tissue.shape != pixels.shape[:2]:
        raise ValueError(f"tissue is {tissue.shape} pixels and the picture {pixels.shape[:2]}")
    colours = pixels.reshape(-1, 3) if tissue is None else pixels[tissue != 0]
    if not len(colours):
        raise ValueError("no pixel counts as tissue: nothing to fit to")
    step = -(-len(colours) // _MOST)
    return _FITS[method](colours[::step])


def match(source: Look, target: Look) -> Callable[[Bytes], Bytes]:
    """Return the function that makes pixels of the source's look like the target's.

    Args:
        source: fitted to the slide that the pixels come from.
        target: fitted to the slide they are to look like; of the same method.

    Returns:
        A function of (h, w, 3) uint8 RGB that returns the same; each pixel depends on itself alone.
        It can be pickled, for the workers of a DataLoader.

    Raises:
        ValueError: the looks are of different kinds.
    """
    if type(source) is not type(target):
        raise ValueError(
            f"a {type(source).__name__} cannot become a {type(target).__name__}: fit both with the "
            "same method"
        )
    convert: Any = source.convert
    return partial(convert, target=target)
