"""What the rules of one competition are, as data.

Every competition is one `<slug>.toml` beside this file; its sections are the classes of
`kagglekit.competitions.rules`, key by key. To add a competition is to write such a file:
docs/add-a-competition.md.
"""

import difflib
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from kagglekit import mounts
from kagglekit.competitions.data import Data
from kagglekit.competitions.rules import (
    Dialect,
    Groups,
    Images,
    Limits,
    Metric,
    SubmissionRules,
    Table,
    Test,
    Tree,
)
from kagglekit.errors import DataError

__all__ = ["Profile", "SubmissionRules", "Table", "load", "slugs"]

T = TypeVar("T")


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
    images: Images
    train_table: Table
    submission: SubmissionRules
    metric: Metric
    limits: Limits
    test: Test
    groups: Groups | None = None
    dialects: tuple[Dialect, ...] = ()

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
        >>> "hubmap-kidney-segmentation" in slugs()
        True
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
        near = difflib.get_close_matches(slug, known, cutoff=0.6) or known
        raise DataError(
            f"no profile for competition `{slug}`",
            hint="there is " + ", ".join(f"`{name}`" for name in near),
        )
    file = resources.files("kagglekit.competitions").joinpath(f"{slug}.toml")
    return _from_toml(tomllib.loads(file.read_text("utf-8")))


def _from_toml(file: dict[str, Any]) -> Profile:
    """Build a profile from the tables of its file; a missing or unknown key is a TypeError."""
    submission, train_table = file.pop("submission"), file.pop("train_table", {})
    dialects = [
        Dialect(
            _section(SubmissionRules, submission | other.get("submission", {})),
            _section(Table, train_table | other.get("train_table", {})),
        )
        for other in file.pop("dialects", [])
    ]
    groups = file.pop("groups", None)
    return Profile(
        tree=_section(Tree, file.pop("tree")),
        images=_section(Images, file.pop("images")),
        train_table=_section(Table, train_table),
        submission=_section(SubmissionRules, submission),
        metric=_section(Metric, file.pop("metric")),
        limits=_section(Limits, file.pop("limits")),
        test=_section(Test, file.pop("test")),
        groups=_section(Groups, groups) if groups else None,
        dialects=tuple(dialects),
        **file,
    )


def _section(kind: type[T], keys: dict[str, Any]) -> T:
    """Build a section; TOML's lists become tuples, which nobody can change."""
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in keys.items()})
