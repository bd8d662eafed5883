"""Truth made of what models are sure of, in images that nobody has labelled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kagglekit.competitions import Data, Profile, table, template
from kagglekit.competitions.sample import key_cells
from kagglekit.errors import DataError
from kagglekit.inference._decide import Decision
from kagglekit.inference._stored import cut_map
from kagglekit.instances import union
from kagglekit.rle import RLE
from kagglekit.submission.rows import class_names
from kagglekit.submission.texts import to_texts
from kagglekit.tune._cut import Cut, cut_planes
from kagglekit.tune._measure import Finish, finished
from kagglekit.tune._store import Prob, Store

_MARK = ".pseudo-labels"  # a folder with this file in it is ours to write to


@dataclass(frozen=True)
class PseudoLabels:
    """What models say of images that nobody has labelled, where they are sure.

    Attributes:
        truth: the masks of each image that is kept, by id, in the form of `Data.truth`.
        doubt: of each of them, the pixels that the models are not sure of: tiles with many of them
            are better left out.
        left_out: the share of doubt of each image that is not kept.
    """

    truth: Mapping[str, list[Any]]
    doubt: Mapping[str, RLE]
    left_out: Mapping[str, float]

    def write(self, comp: Profile, images: Mapping[str, Path], folder: Path | str) -> Data:
        """Write them as a competition's folder, with links to the images as its train images.

        Args:
            comp: the competition.
            images: the files, by id; those that are kept are linked to.
            folder: where to: a new or empty one, or one that this has written before.

        Returns:
            The folder: `train_images`, `truth` and `tiles.planes` serve as for the real one.

        Raises:
            DataError: nothing is kept, an image's file is not told, the folder has other things in
                it, or the competition has no table of train masks.
            SubmissionError: masks do not fit the rules.
        """
        root, labels, rules = Path(folder), comp.train_table, comp.submission
        if not labels.path:
            raise DataError(
                f"`{comp.slug}` has no table of train masks to write",
                hint="give `truth` to tiles.Picture itself",
            )
        if not self.truth:
            raise DataError(
                f"none of {len(self.left_out)} images is kept: nothing to write",
                hint="raise `most`, or move `sure` together",
            )
        missing = [image for image in self.truth if image not in images]
        if missing:
            raise DataError(f"`images` has no file of {len(missing)} of them, e.g. `{missing[0]}`")
        mark = root / _MARK
        if root.is_dir() and any(root.iterdir()) and not mark.exists():
            raise DataError(
                f"`{root}` has other things in it, which would be lost",
                hint="name a new folder",
            )
        root.mkdir(parents=True, exist_ok=True)
        mark.touch()
        for path in list(root.rglob("*")):
            if path.is_symlink():  # an image of before, which may not be kept now
                path.unlink()
        rows = []
        for image, masks in self.truth.items():
            path = root / template.fill(comp.tree.train_images, **_fields(comp, image, images))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)  # a file, where the folder was copied
            path.symlink_to(images[image].resolve())
            texts = to_texts(masks, self.doubt[image].shape, rules)
            for name, text in zip(class_names(rules, len(texts)), texts, strict=True):
                rows.append([*key_cells(labels, image, name), text])
        (root / labels.path).parent.mkdir(parents=True, exist_ok=True)
        table.write_table(root / labels.path, labels.columns, rows)
        return comp.find_data(root)


def pseudo_labels(
    store: Store,
    comp: Profile,
    *,
    sure: tuple[float, float] = (0.2, 0.8),
    most: float = 0.1,
    cuts: Sequence[Cut] = (),
    finish: Finish | None = None,
) -> PseudoLabels:
    """Keep the images in which models are sure of nearly all that they find.

    A pixel is in doubt where a plane's prob is in (low, high]. An image is kept where at most a
    share of what could be foreground, prob > low, is in doubt; so is one with nothing in it.

    Args:
        store: probabilities of images without truth.
        comp: the competition.
        sure: (low, high): prob up to the one is surely background, above the other surely not.
        most: the largest share of doubt, in [0, 1].
        cuts: how planes become masks, one for each plane of the maps, e.g. `Result.cuts()`; by
            default at 0.5.
        finish: makes an image's masks of the planes, as in `search`.

    Raises:
        ValueError: a number is out of its range, or there are not as many cuts as planes.

    Example:
        >>> store = probabilities(folds, data.test_images(), "unlabelled")    # doctest: +SKIP
        >>> labels = pseudo_labels(store, comp, cuts=found.cuts())             # doctest: +SKIP
        >>> pseudo = labels.write(comp, data.test_images(), "pseudo")          # doctest: +SKIP
    """
    low, high = sure
    if not 0 <= low < high <= 1 or not 0 <= most <= 1:
        raise ValueError(
            f"sure={sure} and most={most}: expected 0 <= low < high <= 1, and a share in [0, 1]"
        )
    truth, doubt, left_out = {}, {}, {}
    for image, prob in store.items():
        unsure, share = _doubt(prob, store.planes, low, high)
        if share > most:
            left_out[image] = share
            continue
        own = cuts or (Cut(),) * len(prob.values)
        if len(own) != len(prob.values):
            raise ValueError(f"{len(own)} cuts for the {len(prob.values)} planes of `{image}`")
        planes = [
            cut_planes(prob, [own[plane]], [plane], store.exclusive)[0][0] for plane in store.planes
        ]
        truth[image], doubt[image] = list(finished(planes, comp, finish)), unsure
    return PseudoLabels(truth, doubt, left_out)


def _doubt(prob: Prob, planes: tuple[int, ...], low: float, high: float) -> tuple[RLE, float]:
    """Return the pixels in doubt, and their share of those that could be foreground."""
    decisions = [Decision(planes, (cut,) * len(planes)) for cut in (low, high)]
    maybe, surely = cut_map(prob.values, prob.shape, prob.scale, decisions)
    unsure = union([a - b for a, b in zip(maybe, surely, strict=True)], prob.shape)
    could = union(maybe, prob.shape).area
    return unsure, unsure.area / could if could else 0.0


def _fields(comp: Profile, image: str, images: Mapping[str, Path]) -> dict[str, str]:
    """Return what an image's path is made of: as a test image, or else as its id says."""
    where = comp.tree.test_images.removesuffix("/")
    parts = images[image].parts[-len(Path(where).parts) :]
    fields = template.match(where, "/".join(parts)) or template.match(comp.tree.id, image)
    return fields or {"id": image}
