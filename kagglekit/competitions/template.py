"""Path templates such as "train/{id}.tiff", used both ways: to name files and to find them."""

import glob
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

_FIELD = re.compile(r"\{(\w+)\}")


def fill(template: str, **fields: str) -> str:
    """Put names into a template.

    Example:
        >>> fill("train/{id}/masks/{instance}.png", id="a1", instance="7")
        'train/a1/masks/7.png'
    """
    return _FIELD.sub(lambda field: fields[field[1]], template)


def match(
    template: str, text: str, choices: Mapping[str, Sequence[str]] | None = None
) -> dict[str, str] | None:
    """Take a name apart.

    Args:
        template: what the name is made of; a field that occurs twice holds the same both times.
        text: the name.
        choices: all that some fields can hold. Others hold anything but nothing and `/`, the
            first ones as much as they can.

    Returns:
        What the fields hold, or None if the name is not made like this.

    Example:
        >>> match("{case}_{day}_slice_{n}", "case123_day20_slice_0001")
        {'case': 'case123', 'day': 'day20', 'n': '0001'}
        >>> match("{id}.jpg_{class}", "0a_b.jpg_5", {"class": ["1", "2"]}) is None
        True
    """
    choices, seen, regex = choices or {}, set[str](), ""
    for literal, name in _parts(template):
        regex += re.escape(literal)
        if name in seen:
            regex += f"(?P={name})"
        elif name:
            seen.add(name)
            allowed = "|".join(map(re.escape, choices[name])) if name in choices else "[^/]+"
            regex += f"(?P<{name}>{allowed})"
    found = re.fullmatch(regex, text)
    return found.groupdict() if found else None


def find(root: Path, template: str, key: str | None = None, **known: str) -> dict[str, Path]:
    """Find the files that a template describes; folders, if it ends in `/`.

    Args:
        root: folder the template is relative to.
        template: a path with fields.
        key: what to call a file, made of its fields; not needed where only one field is unknown.
        **known: fields whose value is given.

    Returns:
        The key of each file that exists, sorted, and its path.

    Example:
        >>> find(Path("no-such-folder"), "train/{id}.tiff")
        {}
    """
    folders = template.endswith("/")
    template = template.removesuffix("/")
    pattern = ""
    for literal, name in _parts(template):
        pattern += glob.escape(literal)
        if name:
            pattern += glob.escape(known[name]) if name in known else "*"
    choices = {name: [value] for name, value in known.items()}
    found = {}
    for path in root.glob(pattern):
        fields = match(template, path.relative_to(root).as_posix(), choices)
        if fields is not None and (path.is_dir() if folders else path.is_file()):
            unknown = [value for name, value in fields.items() if name not in known]
            found[fill(key, **{**known, **fields}) if key else unknown[0]] = path
    return dict(sorted(found.items()))


def _parts(template: str) -> list[tuple[str, str]]:
    """Return each literal and the field after it; the last one has none."""
    pieces = [*_FIELD.split(template), ""]
    return list(zip(pieces[::2], pieces[1::2], strict=True))
