"""What a file says that Kaggle would score without a word: the truth is known here, so it shows.

Each check answers with one sentence, or with nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from kagglekit import submission
from kagglekit.competitions.data import Data
from kagglekit.competitions.profile import Profile
from kagglekit.errors import RLEError
from kagglekit.instances import union
from kagglekit.rle import RLE

Order = Literal["F", "C"]
Shape = tuple[int, int]

_MARGIN = 0.15  # mean Dice by which another reading must win before it is called the cause
_SAME = 0.9  # Dice at which two answers count as the same: a GPU may differ in a pixel
_LARGE = 200_000_000  # pixels above which masks are not held as arrays
# To which images are commonly resized.
_SIDES = (64, 96, 128, 224, 256, 320, 384, 512, 640, 768, 1024)
_WAYS = {"F": "down the columns", "C": "along the rows"}


def wrong_order(path: Path, comp: Profile, data: Data, truth: Mapping[str, list[RLE]]) -> str:
    """Say so if the runs fit the truth much better when read in the other order."""
    declared = comp.submission.order
    other: Order = "C" if declared == "F" else "F"
    dice: dict[Order, float] = {declared: 0.0, other: 0.0}
    images = data.test_images()
    for image, texts in _read(path, comp).items():
        shape = data.shape(images[image])
        for order in dice:
            dice[order] += _fit(texts, shape, order, truth[image], shape) / len(truth)
    if dice[other] < dice[declared] + _MARGIN:
        return ""
    return (
        f"the runs were counted in the wrong order: read {_WAYS[other]} (order {other!r}) they "
        f"reach a Dice of {dice[other]:.3f}, read {_WAYS[declared]} (order {declared!r}), as this "
        f"competition does, only {dice[declared]:.3f}"
    )


def wrong_size(path: Path, comp: Profile, data: Data, truth: Mapping[str, list[RLE]]) -> str:
    """Say so if the masks fit the truth much better as masks of an image that was made smaller."""
    images, order = data.test_images(), comp.submission.order
    found = {image: texts for image, texts in _read(path, comp).items() if texts}
    shapes = {image: data.shape(images[image]) for image in found}
    if any(height * width > _LARGE for height, width in shapes.values()):
        return ""
    as_is = sum(_fit(found[i], shapes[i], order, truth[i], shapes[i]) for i in found)
    for told, smaller in _resizings():
        try:
            fits = sum(
                _fit(found[i], smaller(shapes[i]), order, truth[i], shapes[i]) for i in found
            )
        except RLEError:  # a mask reaches beyond such an image, so it is of another one
            continue
        if fits > as_is + _MARGIN * len(found):
            return (
                f"the masks are those of images {told}: read so they reach a Dice of "
                f"{fits / len(found):.3f}, at the images' own size, as this competition reads "
                f"them, only {as_is / len(found):.3f}"
            )
    return ""


def differing_twins(path: Path, comp: Profile, data: Data, twins: Sequence[str]) -> str:
    """Say so if the same picture has got two answers."""
    if not twins:
        return ""
    images, texts, order = data.test_images(), _read(path, comp), comp.submission.order
    masks = [_mask(texts.get(image, []), data.shape(images[image]), order) for image in twins]
    dice = masks[0].dice(masks[1], empty=1.0)
    if dice >= _SAME:
        return ""
    return (
        f"`{twins[0]}` and `{twins[1]}` are the same picture, and their masks differ (Dice "
        f"{dice:.3f}): what is predicted for an image depends on the images before it"
    )


def nothing_found(path: Path, comp: Profile, truth: Mapping[str, list[RLE]]) -> str:
    """Say so if no image has a mask, although there is something in some."""
    if any(texts for texts in _read(path, comp).values()) or comp.submission.encoding != "runs":
        return ""
    if not any(mask.area for masks in truth.values() for mask in masks):
        return ""
    return "nothing is predicted in any image: each of its rows is empty"


def _read(path: Path, comp: Profile) -> dict[str, list[str]]:
    """Return the runs of each image's masks; none of a competition that has another encoding."""
    if comp.submission.encoding != "runs":
        return {}
    empty, read = comp.submission.empty, submission.read(path, comp)
    return {image: [text for text in texts if text != empty] for image, texts in read.items()}


def _resizings() -> Iterator[tuple[str, Callable[[Shape], Shape]]]:
    """Yield how images are made smaller for a network: in words, and as a function."""
    for factor in (2, 3, 4, 8, 16):
        for rounding in (0, factor - 1):  # down or up: resizers differ
            yield f"made {factor} times smaller", partial(_divided, factor, rounding)
    for side in _SIDES:
        yield f"of {side} × {side} pixels", partial(_square, side)


def _divided(factor: int, rounding: int, shape: Shape) -> Shape:
    return max(1, (shape[0] + rounding) // factor), max(1, (shape[1] + rounding) // factor)


def _square(side: int, shape: Shape) -> Shape:
    return side, side


def _fit(
    texts: Sequence[str], shape: Shape, order: Order, truth: Sequence[RLE], size: Shape
) -> float:
    """Return the Dice of masks read as those of an image of `shape`, at that size."""
    mask, true = _mask(texts, shape, order), union(truth, size).reorder(order)
    if shape == size:
        return mask.dice(true, empty=1.0)
    middles = [
        ((2 * np.arange(small) + 1) * large // (2 * small))
        for small, large in zip(shape, size, strict=True)
    ]
    seen = true.to_mask()[np.ix_(*middles)].astype(bool)
    found = mask.to_mask().astype(bool)
    both = int(found.sum() + seen.sum())
    return 2 * int((found & seen).sum()) / both if both else 1.0


def _mask(texts: Sequence[str], shape: Shape, order: Order) -> RLE:
    return union([RLE.from_text(text, shape, order=order) for text in texts], shape)
