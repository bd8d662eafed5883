"""What can be asked of a prediction, and what is wrong with what was asked."""

import difflib
import os
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, TypedDict, cast

from kagglekit.inference._network import Mean
from kagglekit.tiling import Blend

_SWITCHES = ("exclusive", "skip_background", "amp", "compile", "progress")


class Options(TypedDict, total=False):
    """How to predict. What is left out, or None, comes from the models' recipes, as in training.

    Attributes:
        window: side of a window in model pixels, a multiple of the stride; one for all models or
            one each. By default each recipe's.
        min_overlap: fewest model pixels that neighbouring windows share; by default an eighth of
            the window. Where its quarter covers the network's receptive field, tiled equals
            untiled.
        blend: "trapezoid", "hann", "gaussian", "constant" or "crop", as in `tiling.Axis.weights`.
        tta: "none", "hflip" (2 views), "flips" (4 views, also upside down) or "d4" (8 views, also
            turned by 90 degrees), averaged.
        weights: how much each model counts; by default all alike.
        mean: average "prob" (default) or "logit" over models and views, or take the "geometric"
            mean of probabilities.
        planes: which of the models' planes, counted from 0, each mask is cut from; by default each
            once. (0, 0, 1) with threshold=(0.5, 0.9, 0.5) cuts the first plane twice.
        threshold: foreground is where prob > threshold; one for all masks or one each. By default
            the first recipe's.
        high_threshold: keep only the components of a mask with a pixel above this one, too
            (a double threshold); one for all masks or one each.
        exclusive: a pixel belongs only to the plane with the highest probability there.
        skip_background: leave out windows that show nothing but empty glass or black.
        batch_size: windows at once. By default 8 on a GPU; on a CPU as many as have 131,072 pixels
            together, for larger batches leave its cache, and 1 with `compile`. Halved when a GPU's
            memory runs out.
        amp: compute in half precision on a GPU; on by default.
        compile: compile the models with `torch.compile`: minutes at first, faster then.
        checkpoint: a folder in which to note what is done after each strip. A killed prediction
            called again with the same models, slide and options goes on there.
        progress: print the plan and show a bar with tiles per second; on by default.
    """

    window: int | Sequence[int]
    min_overlap: int
    blend: Blend
    tta: str
    weights: Sequence[float]
    mean: Mean
    planes: Sequence[int]
    threshold: float | Sequence[float]
    high_threshold: float | Sequence[float]
    exclusive: bool
    skip_background: bool
    batch_size: int
    amp: bool
    compile: bool
    checkpoint: str | os.PathLike[str]
    progress: bool


def given(options: Options) -> Options:
    """Return the options that were given: None is as if left out.

    Raises:
        TypeError: there is no option of that name; the nearest one is told.
        ValueError: an option that is either on or off is something else: "no" would be on.
    """
    known = list(Options.__annotations__)
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise TypeError(f"no option {name!r}: {hint}")
    found = {name: value for name, value in options.items() if value is not None}
    for name in _SWITCHES:
        if not isinstance(found.get(name, False), bool):
            raise ValueError(f"{name}={found[name]!r} must be True or False")
    return cast(Options, found)


def numbers(value: Any, count: int, name: str, of_what: str) -> tuple[Any, ...]:
    """Return `count` numbers: those given, or one repeated. Arrays and tensors count as lists.

    Raises:
        ValueError: they are another count, no numbers, or nan, above which no probability is.

    Example:
        >>> numbers(0.5, 2, "threshold", "masks"), numbers([1, 2], 2, "weights", "models")
        ((0.5, 0.5), (1, 2))
    """
    plain = _plain(value)
    each = list(plain) if _is_list(plain) else [plain] * count
    shown = list(plain) if _is_list(plain) else plain
    if any(one != one for one in each):
        raise ValueError(f"{name}={shown!r}: nan is no number")
    if len(each) != count or not all(isinstance(one, Real) for one in each):
        raise ValueError(
            f"{name}={shown!r} must be one number or one for each of {count} {of_what}"
        )
    return tuple(each)


def cuts(value: Any, count: int, name: str) -> tuple[Any, ...]:
    """Return the threshold of each of `count` masks, as `numbers` does.

    Raises:
        ValueError: as `numbers`, or one is no probability: 127 of 255 would find nothing at all.
    """
    found = numbers(value, count, name, "masks")
    if not all(0 <= cut <= 1 for cut in found):
        raise ValueError(f"{name}={value!r} must be in [0, 1], as probabilities are")
    return found


def planes_of(options: Options, classes: int) -> tuple[int, ...]:
    """Return which of the models' planes each mask is cut from.

    Raises:
        ValueError: there is no such plane.
    """
    planes = _plain(options.get("planes", range(classes)))
    if (
        not _is_list(planes)
        or not len(planes)
        or not all(isinstance(plane, Integral) and plane in range(classes) for plane in planes)
    ):
        shown = list(planes) if _is_list(planes) else planes
        raise ValueError(
            f"planes={shown!r} must be a list of whole numbers from 0 to {classes - 1}, "
            "the planes that the models have"
        )
    return tuple(planes)


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
