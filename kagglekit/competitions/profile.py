"""What the rules of one competition are, as data.

Every competition is one `<slug>.toml` beside this file; its sections are the classes of
`kagglekit.competitions.rules`, key by key. To add a competition is to write such a file:
docs/add-a-competition.md.
"""

import difflib
import tomllib
from dataclasses import dataclass, fields, replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from kagglekit import mounts
from kagglekit.competitions.data import Data
from kagglekit.competitions.reading import section
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

    def in_dialect(self, number: int) -> "Profile":
        """Return the same rules with the tables of another dialect; 0 is the usual one."""
        if not number:
            return self
        other = self.dialects[number - 1]
        return replace(self, submission=other.submission, train_table=other.train_table)

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


def load(slug: str | Path) -> Profile:
    """Read the profile of one competition.

    Args:
        slug: the last part of the competition's address, e.g. "hubmap-kidney-segmentation"; or the
            path of a profile of your own, which ends in `.toml`.

    Raises:
        DataError: there is no such profile, with the nearest ones; or the file is none, with
            everything that is wrong in it.
    """
    if str(slug).endswith(".toml"):
        return _read(Path(slug), str(slug))
    known = slugs()
    if slug not in known:
        near = [name for name in known if str(slug) in name]
        near = near or difflib.get_close_matches(str(slug), known) or known
        raise DataError(
            f"no profile for competition `{slug}`",
            hint="there is " + ", ".join(f"`{name}`" for name in near),
        )
    return _read(resources.files("kagglekit.competitions").joinpath(f"{slug}.toml"), f"{slug}.toml")


def _read(file: Traversable, name: str) -> Profile:
    try:
        tables = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"`{name}` cannot be read as a profile: {error}") from error
    problems: list[str] = []
    profile = _from_tables(tables, problems)
    if profile is None or problems:
        raise DataError(
            f"`{name}` is not a profile",
            problems=problems,
            hint="docs/add-a-competition.md explains every key",
        )
    return profile


def _from_tables(file: dict[str, Any], problems: list[str]) -> Profile | None:
    """Build a profile from the tables of its file; what is wrong is added to `problems`."""
    names = [field.name for field in fields(Profile)]
    problems += [f"`{name}`: no such key or section" for name in file if name not in names]
    problems += [
        f"`{name}` is missing, a text"
        for name in ("slug", "title")
        if not isinstance(file.get(name), str)
    ]
    submission, table = file.get("submission"), file.get("train_table", {})
    found: dict[str, Any] = {
        "tree": section(Tree, "tree", file.get("tree"), problems),
        "images": section(Images, "images", file.get("images"), problems),
        "train_table": section(Table, "train_table", table, problems),
        "submission": section(SubmissionRules, "submission", submission, problems),
        "metric": section(Metric, "metric", file.get("metric"), problems),
        "limits": section(Limits, "limits", file.get("limits"), problems),
        "test": section(Test, "test", file.get("test"), problems),
    }
    if "groups" in file:
        found["groups"] = section(Groups, "groups", file["groups"], problems)
    dialects = []
    for other in file.get("dialects", []) if not problems else []:
        rules = {**file["submission"], **other.get("submission", {})}
        train = {**table, **other.get("train_table", {})}
        new = section(SubmissionRules, "dialects.submission", rules, problems)
        labels = section(Table, "dialects.train_table", train, problems)
        if new and labels:
            dialects.append(Dialect(new, labels))
    if problems:
        return None
    return Profile(slug=file["slug"], title=file["title"], dialects=tuple(dialects), **found)
