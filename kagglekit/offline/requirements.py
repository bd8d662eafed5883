"""What the user wants in the notebook: lines such as `rasterio>=1.4`."""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from kagglekit.errors import RequirementsError
from kagglekit.offline import notebook
from kagglekit.offline.image import KaggleImage

_SCRIPT = re.compile(r"(?m)^# /// script$\s((?:^#(?:| .*)$\s)+)^# ///$")
_COMMENT = re.compile(r"(^|\s)#.*$")
_HASH = re.compile(r"\s--hash[= ]\S+")  # uv looks hashes up by itself
_OPTIONS = {
    **dict.fromkeys(["-r", "--requirement"], "write the lines of that file here"),
    **dict.fromkeys(["-c", "--constraint"], "the image's versions are the constraints"),
    **dict.fromkeys(["-e", "--editable"], "give a project of yours with --project"),
}
_OTHER_OPTION = "options are settings of uv and pip: environment variables, configuration files"


def read(source: Path | Sequence[str]) -> list[Requirement]:
    """Read requirements from a file, one per line, or from a list.

    Args:
        source: a `requirements.in`, or its lines. Comments, empty lines and hashes are skipped.

    Raises:
        RequirementsError: the file or a line of it cannot be read; every bad line is named.

    Example:
        >>> [str(wanted) for wanted in read(["# to read slides", "rasterio >= 1.4"])]
        ['rasterio>=1.4']
    """
    lines = _joined(_lines(source) if isinstance(source, Path) else source)
    title = f"`{source}`" if isinstance(source, Path) else "the list of requirements"
    wanted: list[Requirement] = []
    problems: list[str] = []
    for number, line in lines:
        text = _HASH.sub("", _COMMENT.sub("", line)).strip()
        if not text:
            continue
        if text.startswith("-"):
            known = (told for option, told in _OPTIONS.items() if text.startswith(option))
            remedy = next(known, _OTHER_OPTION)
            problems.append(f"line {number}: `{text}` is not a requirement: {remedy}")
            continue
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            problems.append(f"line {number}: `{text}` is not a requirement such as `rasterio>=1.4`")
            continue
        if requirement.url:
            problems.append(f"line {number}: `{text}` is an address; give a name from the index")
        else:
            wanted.append(requirement)
    if problems:
        raise RequirementsError(f"{title} cannot be read", problems=problems)
    return wanted


def of_script(path: Path) -> list[str]:
    """Return what the header of a script asks for (PEP 723), in a `.py` file or a notebook's cell.

        # /// script
        # dependencies = ["rasterio>=1.4"]
        # ///

    Raises:
        RequirementsError: there is no such header, or it cannot be read.
    """
    found: list[str] = []
    headers = 0
    try:
        for cell in notebook.cells(path):
            for match in _SCRIPT.finditer(cell):
                headers += 1
                lines = [line[2:] for line in match[1].splitlines()]
                listed = tomllib.loads("\n".join(lines)).get("dependencies", [])
                if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
                    raise TypeError(f"dependencies = {listed!r} is no list of texts")
                found += listed
    except OSError as error:
        raise RequirementsError(f"the script `{path}` cannot be read: {error}") from error
    except (tomllib.TOMLDecodeError, TypeError) as error:
        raise RequirementsError(f"the header of `{path}` cannot be read: {error}") from error
    if headers == 1:
        return found
    raise RequirementsError(
        f"`{path}` has {headers} headers `# /// script`, and should have one",
        hint='write `# /// script`, `# dependencies = ["rasterio>=1.4"]`, `# ///` at its top',
    )


def refuse_unseen_extras(wanted: Sequence[Requirement], image: KaggleImage) -> None:
    """Refuse an extra of something that the Kaggle image has.

    The list of versions does not say what the image's packages depend on, so what such an extra
    adds would silently be missing from the bundle.

    Raises:
        RequirementsError: there is one; every such requirement is named.
    """
    problems = [
        f"`{requirement}`: {image.name} has `{requirement.name}` already"
        for requirement in wanted
        if requirement.extras and image.version_of(requirement.name) is not None
    ]
    if problems:
        raise RequirementsError(
            "what an extra adds cannot be told for a package that the Kaggle image has",
            problems=problems,
            hint="name the packages that the extra would add instead",
        )


def _joined(lines: Sequence[str]) -> list[tuple[int, str]]:
    """Return lines with their numbers, those that end with a backslash with what follows them."""
    joined: list[tuple[int, str]] = []
    more = False
    for number, line in enumerate(lines, start=1):
        first, before = joined.pop() if more else (number, "")
        more = line.endswith("\\") and not (before + line).lstrip().startswith("#")
        joined.append((first, before + line.removesuffix("\\")))
    return joined


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RequirementsError(f"the requirements `{path}` cannot be read: {error}") from error
