"""The competition's metric of some images, for any cuts; nothing is computed twice."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kagglekit.competitions import Profile
from kagglekit.errors import DataError
from kagglekit.instances import union
from kagglekit.regions import areas, components
from kagglekit.rle import RLE
from kagglekit.submission.counting import RULES, Found
from kagglekit.submission.texts import Masks
from kagglekit.tune._cut import Cut, cut_planes
from kagglekit.tune._store import Prob, Store
from kagglekit.tune._sums import THRESHOLDS, dice_sums

Finish = Callable[[list[RLE]], Masks]

_OF_SUMS = ("mean_dice", "global_dice", "f_beta")


class Measure:
    """Scores cuts of one plane or class of some images; keeps what each image adds to a score.

    Args:
        store: the probabilities.
        comp: the competition, whose metric counts.
        truth: the masks of each image, by id, as `Data.truth` gives them.
        finish: makes an image's masks of the model's planes, as in `train.Validation`.
        place: where rows are classes, of which one; else None, and cuts are for all planes.

    Raises:
        DataError: an image has no truth.
    """

    def __init__(
        self,
        store: Store,
        comp: Profile,
        truth: Mapping[str, Sequence[RLE]],
        finish: Finish | None,
        place: int | None,
    ) -> None:
        missing = [image for image in store if image not in truth]
        if missing:
            raise DataError(f"no truth for {len(missing)} images", problems=missing[:20])
        self.store, self.comp, self.truth, self.finish = store, comp, truth, finish
        self.place, self.rule = place, RULES[comp.metric.name]
        self.by_sums = (
            comp.metric.name in _OF_SUMS
            and finish is None
            and (place is not None or (comp.submission.rows == "one" and len(store.planes) == 1))
        )
        self._planes = store.planes if place is None else store.planes[place : place + 1]
        self._counts: dict[tuple[str, Cut], Any] = {}
        self._largest: dict[str, int] = {}

    def scores(self, images: Sequence[str], cuts: Sequence[Cut]) -> list[float]:
        """Return the score of some images, as if there were no others, for each cut."""
        for image in images:
            self._count(image, cuts)
        empty = self.comp.metric.empty
        return [
            self.rule.total({image: self._counts[image, cut] for image in images}, empty)
            for cut in cuts
        ]

    def largest(self, images: Sequence[str]) -> int:
        """Return the pixels of the largest thing that there really is in some images."""
        for image in images:
            if image not in self._largest:
                found = [int(areas(mask).max(initial=0)) for mask in self._true(image)]
                self._largest[image] = max(found, default=0)
        return max(self._largest[image] for image in images)

    def _true(self, image: str) -> Sequence[RLE]:
        masks = self.truth[image]
        return masks if self.place is None else masks[self.place : self.place + 1]

    def _count(self, image: str, cuts: Sequence[Cut]) -> None:
        missing = [cut for cut in cuts if (image, cut) not in self._counts]
        if self.by_sums and any(cut.is_bare for cut in missing):
            self._look(image)
            missing = [cut for cut in missing if (image, cut) not in self._counts]
        if not missing:
            return
        prob = self.store[image]
        found = cut_planes(prob, missing, self._planes, self.store.exclusive)
        for cut, masks in zip(missing, found, strict=True):
            self._counts[image, cut] = self.rule.count(
                self._found(image, masks, prob), self.comp.metric.empty
            )

    def _look(self, image: str) -> None:
        """Count at all thresholds at once."""
        true = union(self._true(image), self.store[image].shape)
        sums = dice_sums(self.store[image], self._planes[0], true, self.store.exclusive)
        for threshold, each in zip(THRESHOLDS, sums, strict=True):
            self._counts[image, Cut(threshold)] = [each]

    def _found(self, image: str, planes: list[RLE], prob: Prob) -> Found:
        """Bring prediction and truth to the kind of the competition's rows."""
        true, rules = self._true(image), self.comp.submission
        masks = finished(planes, self.comp, self.finish)
        if rules.rows == "one":
            return Found([union(masks, prob.shape)], [union(true, prob.shape)])
        if rules.encoding == "coco":
            pairs = [mask if isinstance(mask, tuple) else (mask, 1.0) for mask in masks]
            return Found([mask for mask, _ in pairs], true, [sure for _, sure in pairs])
        return Found(masks, true)


def finished(planes: list[RLE], comp: Profile, finish: Finish | None) -> Sequence[Any]:
    """Make the masks of a submission's rows of a model's planes."""
    if finish is not None:
        masks = finish(planes)
        if masks is None:
            raise ValueError("finish returned None; expected the masks of an image, a list of RLEs")
        return [masks] if isinstance(masks, RLE) else masks
    return components(planes[0]) if comp.submission.rows == "instances" else planes
