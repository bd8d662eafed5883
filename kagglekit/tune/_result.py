"""What a search came to: told, drawn, scored as a whole, and put into a recipe."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kagglekit import plots
from kagglekit.competitions import Profile
from kagglekit.rle import RLE
from kagglekit.submission import score_masks
from kagglekit.tune._cut import Cut, cut_planes
from kagglekit.tune._measure import Finish, finished
from kagglekit.tune._plateau import Curve
from kagglekit.tune._store import Store


@dataclass(frozen=True)
class Tuned:
    """The cut of one group and class.

    Attributes:
        cut: what was found.
        score: of the group's images with it, as if there were no others.
        before: the same at a threshold of 0.5.
        images: how many there are.
        curves: of each parameter, the last that was measured; none where the cut is that of all
            images, because there are too few of these.
    """

    cut: Cut
    score: float
    before: float
    images: int
    curves: Mapping[str, Curve]


@dataclass(frozen=True)
class Result:
    """What a search came to.

    Attributes:
        metric: its name.
        tuned: by group, "" for all images; then by class, "" where rows are not classes.
        planes: of the model.
        chosen: those that masks are made of, in their order; where rows are classes, one for each.
        score: the competition's score of all images, each with the cuts of its group.
        before: the same at a threshold of 0.5.
    """

    metric: str
    tuned: Mapping[str, Mapping[str, Tuned]]
    planes: int
    chosen: tuple[int, ...]
    score: float = field(default=float("nan"))
    before: float = field(default=float("nan"))

    def cuts(self, group: str = "") -> tuple[Cut, ...]:
        """Return the cut of each plane; of a group that is not known, those of all images."""
        own = [tuned.cut for tuned in self.tuned.get(group, self.tuned[""]).values()]
        if len(own) == 1:
            return tuple(own) * self.planes
        of_plane = dict(zip(self.chosen, own, strict=True))
        return tuple(of_plane.get(plane, Cut()) for plane in range(self.planes))

    def changes(self) -> dict[str, Any]:
        """Return the fields of a `models.Recipe` that hold what was found, for `models.save`."""
        cuts = {group: [asdict(cut) for cut in self.cuts(group)] for group in self.tuned}
        return {"threshold": tuple(cut.threshold for cut in self.cuts()), "cuts": cuts}

    def table(self) -> str:
        """Return scores and cuts as lines of text."""
        name = self.metric.replace("_", " ")
        lines = [f"{name} {self.before:.4f} at a threshold of 0.5, {self.score:.4f} tuned", ""]
        wide = max(len(_title(g, c)) for g, of in self.tuned.items() for c in of)
        lines.append(
            f"{'':{wide}}  images     0.5   tuned  threshold      plateau   high     size     hole"
        )
        for group, classes in self.tuned.items():
            for name, tuned in classes.items():
                cut, curve = tuned.cut, tuned.curves.get("threshold")
                span = f"{curve.plateau[0]:.3f}–{curve.plateau[1]:.3f}" if curve else ""
                lines.append(
                    f"{_title(group, name):{wide}}  {tuned.images:6}  {tuned.before:6.4f}  "
                    f"{tuned.score:6.4f}  {cut.threshold:9.3f}  "
                    f"{span if tuned.curves else 'as for all':>11}  "
                    f"{_or_none(cut.high_threshold, 3):>5}  "
                    f"{_or_none(cut.min_size):>7}  {_or_none(cut.hole_size):>7}"
                )
        return "\n".join(lines)

    def draw(self, path: Path | str) -> None:
        """Draw all curves with their plateaus as PNG, a panel for each."""
        panels = [
            plots.plateau(f"{_title(group, name)}: {parameter}", curve.values, curve.scores,
                          curve.plateau, curve.chosen)
            for group, classes in self.tuned.items()
            for name, tuned in classes.items()
            for parameter, curve in tuned.curves.items()
        ]  # fmt: skip
        Path(path).write_bytes(plots.as_png(np.concatenate(panels)))


def final_score(
    store: Store,
    comp: Profile,
    truth: Mapping[str, Sequence[RLE]],
    finish: Finish | None,
    cuts: Mapping[str, Sequence[Cut]],
) -> float:
    """Return the score that a submission would get, made of a store by each image's own cuts."""
    masks, shapes = {}, {}
    for image, prob in store.items():
        planes = [
            cut_planes(prob, [cuts[image][plane]], [plane], store.exclusive)[0][0]
            for plane in store.planes
        ]
        masks[image] = finished(planes, comp, finish)
        shapes[image] = prob.shape
    return score_masks(masks, shapes, comp, truth).value


def _title(group: str, name: str) -> str:
    return " ".join(part for part in (group or "all", name and f"class {name}") if part)


def _or_none(value: float, digits: int = 0) -> str:
    return f"{value:.{digits}f}" if value else "-"
