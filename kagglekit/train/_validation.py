"""The competition's own score of a model on images that it was not trained on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kagglekit.competitions import Profile
from kagglekit.inference import collect, predict_masks, share
from kagglekit.models import Model
from kagglekit.regions import components
from kagglekit.rle import RLE
from kagglekit.slides import open_slide
from kagglekit.submission import Score, score_masks


@dataclass(frozen=True)
class Validation:
    """Images with known masks, and how a submission will be made of a model's planes.

    Attributes:
        comp: the competition, whose metric counts.
        images: the files, by id.
        truth: the masks of each, by id, as `Data.truth` gives them.
        options: of `inference.predict_masks`, as the submission will use them.
        finish: makes an image's masks, one for each row of the submission, of the model's planes.
            By default the planes themselves; where rows are instances, the connected parts of the
            first plane.

    Raises:
        ValueError: there are no images, an image has no truth, or not one mask for each class where
            rows are classes.

    Example:
        >>> valid = Validation(comp, images, truth, {"tta": "flips"})  # doctest: +SKIP
        >>> valid.score(model).value                                   # doctest: +SKIP
        0.9173
    """

    comp: Profile
    images: Mapping[str, Path]
    truth: Mapping[str, Sequence[RLE]]
    options: Mapping[str, Any] = field(default_factory=dict)
    finish: Callable[[list[RLE]], Sequence[RLE]] | None = None

    def __post_init__(self) -> None:
        missing = [image_id for image_id in self.images if image_id not in self.truth]
        if missing or not self.images:
            raise ValueError(
                f"{len(self.images)} images to validate on, without truth: "
                f"{', '.join(missing) or 'none'}; expected at least one image, each with its truth"
            )
        classes = self._classes
        counts = {image_id: len(self.truth[image_id]) for image_id in self.images if classes}
        wrong = [f"{image_id} {count}" for image_id, count in counts.items() if count != classes]
        if wrong:
            raise ValueError(
                f"`{self.comp.slug}` has {classes} classes, and the truth of {len(wrong)} images "
                f"another number of masks: {', '.join(wrong[:5])}"
            )

    @property
    def _classes(self) -> int:
        """Masks that each image has; 0 where that differs."""
        rules = self.comp.submission
        return len(rules.classes) if rules.rows == "classes" else 0

    def check(self, model: Model) -> None:
        """Refuse a model whose planes make no submission.

        Raises:
            ValueError: it has another number of planes than there are classes, or the classes in
                another order, by its recipe's names, and there is no `finish`.
        """
        if not self._classes or self.finish is not None:
            return
        chosen, recipe = self.options.get("planes"), model.recipe
        planes = range(recipe.classes) if chosen is None else chosen
        if len(planes) != self._classes:
            raise ValueError(
                f"{len(planes)} planes are predicted, `{self.comp.slug}` has {self._classes} "
                "classes: give Validation the option planes, or a finish, which makes their masks"
            )
        names = [recipe.class_names[plane] for plane in planes] if recipe.class_names else []
        classes = list(self.comp.submission.classes)
        if sorted(names) == sorted(classes) and names != classes:
            raise ValueError(
                f"the model's planes are {', '.join(names)}, the classes of `{self.comp.slug}` "
                f"{', '.join(classes)}: give Validation the option planes, which puts them in order"
            )

    def score(self, model: Model) -> Score | None:
        """Predict the images and score them; several ranks share them out.

        Args:
            model: in evaluation mode.

        Returns:
            What `kagglekit score` says of a submission with these masks; None on other ranks
            than 0.

        Raises:
            ValueError, SlideError, PlanError: as `inference.predict`.
        """
        found, shapes = {}, {}
        options: Any = {"progress": False} | dict(self.options)
        for image_id in share(self.images):
            with open_slide(self.images[image_id]) as slide:
                planes = predict_masks(model, slide, **options)
                found[image_id], shapes[image_id] = self._finished(planes), slide.shape
        found, shapes = collect(found), collect(shapes)
        if not found:
            return None
        order = list(self.images)
        masks = {image_id: found[image_id] for image_id in order}
        return score_masks(masks, shapes, self.comp, self.truth)

    def _finished(self, planes: list[RLE]) -> Sequence[RLE]:
        if self.finish is not None:
            return self.finish(planes)
        return components(planes[0]) if self.comp.submission.rows == "instances" else planes
