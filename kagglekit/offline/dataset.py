"""The bundle as a Kaggle dataset: its metadata, and the names that an upload survives."""

import re
from collections.abc import Iterable

from kagglekit.errors import BundleCheckError

FILE = "dataset-metadata.json"
NO_OWNER = "YOUR-KAGGLE-NAME"
"""Stands in the metadata where nobody said whose dataset it is."""


def metadata(owner: str, slug: str) -> dict[str, object]:
    """Return what `dataset-metadata.json` says.

    Args:
        owner: a Kaggle user name.
        slug: last part of the dataset's address, e.g. "kagglekit-offline".

    Raises:
        BundleCheckError: Kaggle would refuse it; every reason is named.

    Example:
        >>> metadata("someone", "kagglekit-offline")["id"]
        'someone/kagglekit-offline'
    """
    title = slug.replace("-", " ")
    content: dict[str, object] = {
        "title": title,
        "id": f"{owner}/{slug}",
        "licenses": [{"name": "other"}],  # each wheel keeps its own
    }
    problems = metadata_problems(content)
    if problems:
        raise BundleCheckError(
            f"Kaggle would refuse a dataset called `{owner}/{slug}`",
            problems=problems,
            hint="the folder's name becomes the dataset's: choose another with --out",
        )
    return content


def metadata_problems(content: dict[str, object]) -> list[str]:
    """Return every reason for which Kaggle would refuse this metadata.

    Example:
        >>> metadata_problems({"title": "Mine", "id": "me/My_Set", "licenses": []})[0]
        'title `Mine` has 4 characters; Kaggle wants 6 to 50'
    """
    problems = []
    title = str(content.get("title", ""))
    owner, _, slug = str(content.get("id", "")).partition("/")
    if not 6 <= len(title) <= 50:
        problems.append(f"title `{title}` has {len(title)} characters; Kaggle wants 6 to 50")
    if not 6 <= len(slug) <= 50:
        problems.append(f"slug `{slug}` has {len(slug)} characters; Kaggle wants 6 to 50")
    if not is_slug(slug):
        problems.append(
            f"slug `{slug}` may hold lower-case letters, digits and single hyphens only"
        )
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", owner):
        problems.append(f"owner `{owner}` is not a Kaggle user name")
    licences = content.get("licenses")
    if not isinstance(licences, list) or len(licences) != 1:
        problems.append("`licenses` must name exactly one licence")
    return problems


def is_slug(name: str) -> bool:
    """Whether a name has only what the last part of a dataset's address can have.

    Example:
        >>> is_slug("my-weights-2"), is_slug("My_weights")
        (True, False)
    """
    return re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) is not None


def file_name_problems(names: Iterable[str]) -> list[str]:
    """Return which file names an upload would not survive.

    Kaggle refuses a dataset version with `@` or `&` in a name long after the upload; of other
    signs nobody knows. Letters, digits, `.`, `_` and `-` are safe.

    Example:
        >>> file_name_problems(["a-1.0-py3-none-any.whl", "a@b.txt"])
        ['file name `a@b.txt` may hold letters, digits, `.`, `_` and `-` only']
    """
    return [
        f"file name `{name}` may hold letters, digits, `.`, `_` and `-` only"
        for name in names
        if not re.fullmatch(r"[A-Za-z0-9._-]+", name)
    ]
