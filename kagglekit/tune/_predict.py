"""Masks as the search found them best: by the cuts in the model's recipe."""

from collections.abc import Iterable, Sequence
from typing import Any, Unpack

from kagglekit import inference
from kagglekit.inference import Options
from kagglekit.models import Model, Recipe
from kagglekit.rle import RLE
from kagglekit.slides import Slide
from kagglekit.tune._cut import Cut


def predict_masks(
    models: Model | Sequence[Model], slide: Slide, group: str = "", **options: Unpack[Options]
) -> list[RLE]:
    """Predict one mask per plane, or as `planes` says, by the cuts in the (first) model's recipe.

    Args:
        models: as `inference.predict`.
        slide: likewise.
        group: of the image. One that the search did not know is cut as all images together.
        options: as `inference.predict`, those that the store had; thresholds come from the cuts.

    Raises:
        ValueError: the recipe holds no cuts, a threshold is given; or as `inference.predict`.
        SlideError, PlanError: as `inference.predict`.
    """
    first = models if isinstance(models, Model) else models[0]
    wrong = [name for name in ("threshold", "high_threshold") if options.get(name) is not None]
    if wrong:
        raise ValueError(
            f"{' and '.join(wrong)} cannot be given: the cuts in the model's recipe say; "
            "inference.predict_masks takes thresholds"
        )
    own_cuts = dict(enumerate(cuts_of(first.recipe, group)))
    planes: Any = own_cuts if options.get("planes") is None else options["planes"]
    # What is no list of the models' planes is refused below, in words.
    chosen = planes if isinstance(planes, Iterable) else ()
    cuts = [own_cuts[plane] for plane in chosen if plane in own_cuts]
    own: Options = {"threshold": [cut.threshold for cut in cuts]}
    if any(cut.high_threshold for cut in cuts):
        # A plane without one keeps whatever is above its threshold.
        own["high_threshold"] = [max(cut.high_threshold, cut.threshold) for cut in cuts]
    masks = inference.predict_masks(models, slide, **(options | own))
    return [cut.clean(mask) for cut, mask in zip(cuts, masks, strict=True)]


def cuts_of(recipe: Recipe, group: str = "") -> list[Cut]:
    """Return the cut of each plane for a group of images.

    Raises:
        ValueError: the recipe holds none, or the group is no text.
    """
    if not isinstance(group, str):
        raise ValueError(f"group={group!r} must be the text that the search had")
    if "" not in recipe.cuts:
        raise ValueError(
            "the model's recipe holds no cuts: save it with those that were found, "
            "models.save(model, path, **tune.search(...).changes())"
        )
    return [Cut(**cut) for cut in recipe.cuts.get(group, recipe.cuts[""])]
