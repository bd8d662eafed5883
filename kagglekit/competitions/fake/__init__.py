"""Synthetic competitions: a tree in the exact form of the real one, with the truth known.

For rehearsals, where the hidden test must have other ids, sizes and counts than the visible one,
and for everyone who wants to run a notebook before the gigabytes have arrived.
"""

from pathlib import Path

from kagglekit.competitions.fake.bowl import make_bowl
from kagglekit.competitions.fake.gallery import FAMILIES, make_gallery
from kagglekit.competitions.fake.kidney import make_kidney
from kagglekit.competitions.profile import Profile
from kagglekit.errors import DataError
from kagglekit.rle import RLE

_MAKERS = {
    **dict.fromkeys(FAMILIES, (make_gallery, 8, 3)),
    # Enough to learn from what is rare in them: five organs, other cars, four kinds of defects.
    "hubmap-organ-segmentation": (make_gallery, 15, 3),
    "carvana-image-masking-challenge": (make_gallery, 16, 3),
    "severstal-steel-defect-detection": (make_gallery, 24, 3),
    "hubmap-kidney-segmentation": (make_kidney, 4, 1),
    "data-science-bowl-2018": (make_bowl, 20, 5),
    "vesuvius-challenge-ink-detection": (make_gallery, 3, 2),
}
"""Who draws a competition, and how many train and test images by default."""

_HIDDEN = 1_000_000
"""Added to the seed of a hidden test, which so has nothing in common with the visible one."""


def make(
    comp: Profile,
    out_dir: Path | str,
    *,
    seed: int = 0,
    train: int | None = None,
    test: int | None = None,
    size: tuple[int, int] | None = None,
    hidden: bool = False,
) -> dict[str, list[RLE]]:
    """Write a synthetic tree of a competition.

    The same arguments give the same tree, pixel for pixel. Another seed gives other ids, sizes,
    pictures and (by default) another number of test images: a hidden test.

    Args:
        comp: the competition.
        out_dir: folder to write; it is made, or must be empty.
        seed: at least 0.
        train: how many train images; 0 leaves the train table with a header only.
        test: how many test images.
        size: about this (height, width) in pixels, each side of an image up to 15 % off;
            by default the sizes of the competition (for whole slides, a thumbnail of them).
        hidden: the tree of the rerun: other ids than the visible one of the same seed, two more
            test images (five, where there is no visible test), among them one with nothing in it
            and, where the competition's sizes differ, odd, tiny and narrow ones.

    Returns:
        The truth of the test images, by id: one RLE with everything in it, or one for each
        instance, as `Data.truth` gives it for train images.

    Raises:
        DataError: the folder is not empty, or nobody draws this competition.

    Example:
        >>> from kagglekit import competitions
        >>> comp = competitions.load("hubmap-kidney-segmentation")
        >>> truth = make(comp, "fake/hubmap-kidney-segmentation", seed=1)  # doctest: +SKIP
    """
    root = Path(out_dir)
    if comp.slug not in _MAKERS:
        known = ", ".join(f"`{slug}`" for slug in sorted(_MAKERS))
        raise DataError(
            f"nobody draws images of `{comp.slug}`",
            hint=f"rehearse on its own data, with --data and without --fuzz; drawn are {known}",
        )
    if root.is_dir() and any(root.iterdir()):
        raise DataError(
            f"`{root}` is not empty: two trees in one folder would be neither",
            hint="give a new folder, or delete this one first",
        )
    root.mkdir(parents=True, exist_ok=True)
    maker, default_train, default_test = _MAKERS[comp.slug]
    if train is None:
        train = default_train
    if test is None:
        test = default_test + seed % 3 + 2 * hidden
        if not hidden and not comp.test.visible:
            test = 0
    return maker(comp, root, seed + _HIDDEN * hidden, train, test, size, hidden)
