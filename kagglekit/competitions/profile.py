"""What the rules of one competition are, as data.

Every competition is one `<slug>.toml` beside this file; its sections are the classes below, key by
key. To add a competition is to write such a file.
"""

import difflib
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from kagglekit import mounts
from kagglekit.competitions.data import Data
from kagglekit.errors import DataError


@dataclass(frozen=True)
class Tree:
    """Where the images lie in the competition's folder.

    The paths are templates for `kagglekit.competitions.template`: `{id}` stands for an image's id,
    `{instance}` for the name of one object's mask.

    Attributes:
        train_images: e.g. "train/{id}.tiff".
        test_images: e.g. "test/{id}.tiff".
        train_masks: one 0/255 image for each object, e.g. "train/{id}/masks/{instance}.png";
            None where the truth is only in the train table.
    """

    train_images: str
    test_images: str
    train_masks: str | None = None


@dataclass(frozen=True)
class Table:
    """A CSV file of masks: its path in the tree and the names of its two columns."""

    path: str
    id: str
    rle: str


@dataclass(frozen=True)
class SubmissionRules:
    """What submission.csv looks like.

    Attributes:
        sample: path of the sample submission in the tree.
        id: name of the first column, the image's id.
        rle: name of the second column, the mask as text.
        order: "F" when pixels are counted down the columns, "C" along the rows.
        empty: what stands in a row for an image with nothing in it.
        rows: "one" row for each image, or one for each of its "instances" (and one with
            `empty` when it has none); instances may not overlap.
    """

    sample: str
    id: str
    rle: str
    order: Literal["F", "C"]
    empty: str
    rows: Literal["one", "instances"]


@dataclass(frozen=True)
class Metric:
    """How a submission is scored.

    Attributes:
        name: a function of `kagglekit.metrics`; `submission.score` knows how to call it.
        empty: score of an image when neither prediction nor truth has anything in it.
    """

    name: Literal["mean_dice", "instance_precision"]
    empty: float


@dataclass(frozen=True)
class Groups:
    """The table that says which images belong together (same patient) and must not be split.

    Attributes:
        path: the CSV file in the tree.
        image: its column with the image's id or file name.
        column: its column with the group.
    """

    path: str
    image: str
    column: str


@dataclass(frozen=True)
class Limits:
    """What the competition's rerun allows: hours of wall time, internet, RAM in GB (1e9 bytes)."""

    hours: float
    internet: bool
    ram_gb: float


@dataclass(frozen=True)
class Profile:
    """The rules of one competition.

    Example:
        >>> comp = load("hubmap-kidney-segmentation")
        >>> comp.submission.rle, comp.submission.order, comp.limits.hours
        ('predicted', 'F', 9)
    """

    slug: str
    title: str
    tree: Tree
    train_table: Table
    submission: SubmissionRules
    metric: Metric
    limits: Limits
    groups: Groups | None = None

    def find_data(self, root: Path | str | None = None) -> Data:
        """Find this competition's folder and look whether it is one.

        Args:
            root: the folder; without it, wherever Kaggle (or `$KAGGLEKIT_INPUT`) has mounted it.

        Returns:
            Access to the images and masks in it.

        Raises:
            DataError: there is no such folder, or nothing in it is where this profile expects it.
        """
        data = Data(mounts.find_input(self.slug) if root is None else Path(root), self)
        data.check()
        return data


def slugs() -> list[str]:
    """Return the slugs of all competitions that have a profile, sorted.

    Example:
        >>> slugs()
        ['data-science-bowl-2018', 'hubmap-kidney-segmentation']
    """
    files = resources.files("kagglekit.competitions").iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def load(slug: str) -> Profile:
    """Read the profile of one competition.

    Args:
        slug: the last part of the competition's address, e.g. "hubmap-kidney-segmentation".

    Raises:
        DataError: there is no such profile; the message shows the nearest ones.
    """
    known = slugs()
    if slug not in known:
        near = difflib.get_close_matches(slug, known, cutoff=0.3) or known
        raise DataError(
            f"no profile for competition `{slug}`",
            hint="there is " + ", ".join(f"`{name}`" for name in near),
        )
    file = resources.files("kagglekit.competitions").joinpath(f"{slug}.toml")
    return _from_toml(tomllib.loads(file.read_text("utf-8")))


def _from_toml(rules: dict[str, Any]) -> Profile:
    """Build a profile from the tables of its file; a missing or unknown key is a TypeError."""
    groups = rules.pop("groups", None)
    return Profile(
        tree=Tree(**rules.pop("tree")),
        train_table=Table(**rules.pop("train_table")),
        submission=SubmissionRules(**rules.pop("submission")),
        metric=Metric(**rules.pop("metric")),
        groups=Groups(**groups) if groups else None,
        limits=Limits(**rules.pop("limits")),
        **rules,
    )
