"""Path templates such as "train/{id}.tiff", used both ways: to name files and to find them."""

import glob
import re
from pathlib import Path

_FIELD = re.compile(r"\{(\w+)\}")


def fill(template: str, **fields: str) -> str:
    """Put names into a template.

    Example:
        >>> fill("train/{id}/masks/{instance}.png", id="a1", instance="7")
        'train/a1/masks/7.png'
    """
    return _FIELD.sub(lambda field: fields[field[1]], template)


def find(root: Path, template: str, **known: str) -> dict[str, Path]:
    """Find the files that a template describes.

    Args:
        root: folder the template is relative to.
        template: a path with one field besides the known ones, e.g. `{id}`; where a field occurs
            twice, both must hold the same name.
        **known: fields whose value is given.

    Returns:
        The remaining field's value of each file that exists, sorted, and its path.

    Example:
        >>> find(Path("no-such-folder"), "train/{id}.tiff")
        {}
    """
    glob_pattern, regex, seen, position = "", "", set(), 0
    for field in [*_FIELD.finditer(template), None]:
        literal = template[position : field.start() if field else None]
        glob_pattern, regex = glob_pattern + glob.escape(literal), regex + re.escape(literal)
        if field is None:
            break
        position, name = field.end(), field[1]
        if name in known:
            glob_pattern += glob.escape(known[name])
            regex += re.escape(known[name])
        else:
            glob_pattern += "*"
            regex += f"(?P={name})" if name in seen else rf"(?P<{name}>[^/]+)"
            seen.add(name)
    wanted = re.compile(regex)
    found = {}
    for path in root.glob(glob_pattern):
        match = wanted.fullmatch(path.relative_to(root).as_posix())
        if match and path.is_file():
            found[match[1]] = path
    return dict(sorted(found.items()))
