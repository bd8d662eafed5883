"""Path templates such as "train/{id}.tiff", used both ways: to name files and to find them."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
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
    found = _regex(template, choices or {}).fullmatch(text)
    return found.groupdict() if found else None


def _regex(template: str, choices: Mapping[str, Sequence[str]]) -> re.Pattern[str]:
    seen, regex = set[str](), ""
    for literal, name in _parts(template):
        regex += re.escape(literal)
        if name in seen:
            regex += f"(?P={name})"
        elif name:
            seen.add(name)
            allowed = "|".join(map(re.escape, choices[name])) if name in choices else "[^/]+"
            regex += f"(?P<{name}>{allowed})"
    return re.compile(regex)


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
    folders, template = template.endswith("/"), template.removesuffix("/")
    choices = {name: [value] for name, value in known.items()}
    regex = _regex(template, choices)
    levels = [_regex(level, choices) for level in template.split("/")]
    found = {}
    for name in _names(str(root), "", levels, folders):
        matched = regex.fullmatch(name)  # as a whole: a field may be in two levels
        if matched is not None:
            fields = matched.groupdict()
            unknown = [value for field, value in fields.items() if field not in known]
            found[fill(key, **{**known, **fields}) if key else unknown[0]] = root / name
    return dict(sorted(found.items()))


def _names(
    root: str, folder: str, levels: Sequence[re.Pattern[str]], folders: bool
) -> Iterator[str]:
    """Yield the files, or folders, so many levels below a folder, by their paths from the root.

    Names stay text, and what a name is comes with the listing: a competition may have 100,000.
    """
    level, *deeper = levels
    try:
        entries = os.scandir(f"{root}/{folder}")
    except OSError:  # not a folder, not there, not to be read
        return
    with entries:
        for entry in entries:
            if level.fullmatch(entry.name):
                if deeper:
                    yield from _names(root, f"{folder}{entry.name}/", deeper, folders)
                elif _is(entry, folders):
                    yield folder + entry.name


def _is(entry: os.DirEntry[str], folder: bool) -> bool:
    """Whether an entry is a folder, or a file; a link that leads round in a circle is neither."""
    with suppress(OSError):
        return entry.is_dir() if folder else entry.is_file()
    return False


def _parts(template: str) -> list[tuple[str, str]]:
    """Return each literal and the field after it; the last one has none."""
    pieces = [*_FIELD.split(template), ""]
    return list(zip(pieces[::2], pieces[1::2], strict=True))
