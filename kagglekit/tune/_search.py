"""The search: one parameter after another, for all images and for each group of them."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kagglekit.competitions import Profile
from kagglekit.rle import RLE
from kagglekit.tune._cut import PARAMETERS, Cut
from kagglekit.tune._measure import Finish, Measure
from kagglekit.tune._plateau import Curve, choose, explore
from kagglekit.tune._result import Result, Tuned, final_score
from kagglekit.tune._store import Store
from kagglekit.tune._sums import THRESHOLDS

FEW = 5
"""Fewer images than this say nothing about others: their group gets the cut of all."""

_ROUNDS = 2  # over the parameters: what is chosen first may change when the others are known
_COARSE = 10  # thresholds from one that is tried first to the next; of 255


@dataclass(frozen=True)
class _Line:
    """One measure, some images: what one cut is searched for."""

    measure: Measure
    images: Sequence[str]
    tolerance: float

    def scores(self, cut: Cut, name: str, values: Sequence[float]) -> list[float]:
        return self.measure.scores(self.images, [replace(cut, **{name: v}) for v in values])

    def curve(self, cut: Cut, name: str) -> Curve:
        def score(values: Sequence[float]) -> list[float]:
            return self.scores(cut, name, values)

        if name == "threshold":
            if cut.is_bare and self.measure.by_sums:
                return choose(THRESHOLDS, score(THRESHOLDS), self.tolerance)
            # Near 0, where masks are full of specks that take long to score, only if that may help.
            coarse, least = THRESHOLDS[12::_COARSE], THRESHOLDS[0]
            return explore(coarse, score, _thresholds, self.tolerance, least)
        if name == "high_threshold":
            higher = [value for value in THRESHOLDS[12::_COARSE] if value > cut.threshold]
            return explore([0.0, *higher], score, _thresholds, self.tolerance)
        return explore([0.0, *self._sizes()], score, _sizes, self.tolerance)

    def _sizes(self) -> list[float]:
        """Return powers of two, from a map's pixel to the largest thing there is."""
        scale = self.measure.store[self.images[0]].scale
        largest = self.measure.largest(self.images) // scale**2
        return [float(scale**2 << k) for k in range(largest.bit_length())]

    def search(self, start: Cut, parameters: Sequence[str]) -> Tuned:
        cut, curves = start, dict[str, Curve]()
        for _ in range(_ROUNDS):
            before = cut
            for name in parameters:
                curves[name] = self.curve(cut, name)
                cut = replace(cut, **{name: curves[name].chosen})
            if cut == before:
                break
        [plain, score] = self.measure.scores(self.images, [Cut(), cut])
        return Tuned(cut, score, plain, len(self.images), curves)


def search(
    store: Store,
    comp: Profile,
    truth: Mapping[str, Sequence[RLE]],
    groups: Mapping[str, str | None] | None = None,
    *,
    finish: Finish | None = None,
    parameters: Sequence[str] = PARAMETERS,
    tolerance: float = 0.002,
) -> Result:
    """Find how probabilities become masks, by the competition's own metric.

    One parameter after another is varied with the others fixed, in two rounds. Of each curve the
    middle of the widest plateau is taken, not its highest point; what gains less than the tolerance
    is left out. Where rows are classes, each class has a cut of its own; else all planes share one.
    The same store gives the same result.

    Args:
        store: probabilities of images by models that had not seen them.
        comp: the competition.
        truth: the masks of each image, by id, as `Data.truth` gives them.
        groups: of each image, by id, e.g. `data.groups()`: each gets cuts of its own. An image
            without a group, or with None or "", gets those of all, as do groups of fewer than `FEW`
            images, with a warning.
        finish: makes an image's masks of the model's planes, as in `train.Validation`.
        parameters: which to tune, of `PARAMETERS`.
        tolerance: how much below the best score still counts as good.

    Raises:
        ValueError: there are no images, an unknown parameter, a tolerance below 0, a group that is
            no text, or other planes than the maps have, or not one for each class.
        DataError: an image has no truth.

    Example:
        >>> found = search(store, comp, truth, data.groups())      # doctest: +SKIP
        >>> print(found.table())                                   # doctest: +SKIP
        >>> models.save(model, "tuned.safetensors", **found.changes())  # doctest: +SKIP
    """
    unknown = [name for name in parameters if name not in PARAMETERS]
    if unknown or not parameters or not len(store):
        raise ValueError(
            f"{len(store)} images and parameters={tuple(parameters)}: expected at least one image, "
            f"and some of {', '.join(PARAMETERS)}"
        )
    if not 0 <= tolerance < math.inf:
        raise ValueError(f"tolerance={tolerance} must be at least 0")
    in_order = [name for name in PARAMETERS if name in parameters]
    groups = groups or {}
    odd = [image for image, group in groups.items() if not isinstance(group, str | None)]
    if odd:
        raise ValueError(
            f"groups are texts, or None, not {groups[odd[0]]!r} as of `{odd[0]}`: a recipe keeps "
            "their cuts by name"
        )
    members = _members(store, groups)
    few = {group: images for group, images in members.items() if len(images) < FEW}
    if few:
        told = ", ".join(f"{group or 'all'} ({len(images)})" for group, images in few.items())
        warnings.warn(
            f"too few images to tune on, expected at least {FEW}: {told}"
            + ("; groups of few are cut as all images are" if few.keys() - {""} else ""),
            stacklevel=2,
        )
    in_classes = comp.submission.rows == "classes" and finish is None
    classes = comp.submission.classes if in_classes else ()
    planes, chosen = len(next(iter(store.values())).values), store.planes
    if not {*chosen} <= {*range(planes)}:
        raise ValueError(f"planes={list(chosen)}: the maps have those from 0 to {planes - 1}")
    if classes and not len({*chosen}) == len(chosen) == len(classes):
        raise ValueError(
            f"masks are made of the planes {', '.join(map(str, chosen))}, and `{comp.slug}` has "
            f"the {len(classes)} classes {', '.join(classes)}: give the store planes, one for each "
            "class, or give finish, which makes their masks of the planes"
        )
    tuned: dict[str, dict[str, Tuned]] = {group: {} for group in members}
    for place, name in enumerate(classes or ("",)):
        measure = Measure(store, comp, truth, finish, place if classes else None)
        for group, images in members.items():
            line = _Line(measure, images, tolerance)
            if group in few and group:
                cut = tuned[""][name].cut
                [plain, score] = measure.scores(images, [Cut(), cut])
                tuned[group][name] = Tuned(cut, score, plain, len(images), {})
            else:
                start = tuned[""][name].cut if group else Cut()
                tuned[group][name] = line.search(start, in_order)
    found = Result(comp.metric.name, tuned, planes, chosen)
    of = {image: group for group, images in members.items() if group for image in images}
    half = {image: (Cut(),) * found.planes for image in store}
    mine = {image: found.cuts(of.get(image, "")) for image in store}
    return replace(
        found,
        before=final_score(store, comp, truth, finish, half),
        score=final_score(store, comp, truth, finish, mine),
    )


def _members(store: Store, groups: Mapping[str, str | None]) -> dict[str, list[str]]:
    """Return the images of all, under "", and of each group, sorted."""
    members: dict[str, list[str]] = {}
    for image in store:
        group = groups.get(image)
        if group:
            members.setdefault(group, []).append(image)
    return {"": list(store)} | dict(sorted(members.items()))


def _thresholds(one: float, two: float) -> list[float]:
    return [value for value in THRESHOLDS[::2] if one < value < two] if one else []


def _sizes(one: float, two: float) -> list[float]:
    return [one * 2 ** (1 / 3), one * 2 ** (2 / 3)] if one else []
