"""Sections of a profile out of the tables of its file, with every mistake in them."""

from dataclasses import MISSING, fields
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


def section(kind: type[T], name: str, keys: object, problems: list[str]) -> T | None:
    """Build one section.

    Args:
        kind: its class in `kagglekit.competitions.rules`.
        name: what it is called in the file.
        keys: what the file has under that name; None if it is missing.
        problems: what is wrong with it is added here, a line for each mistake.

    Returns:
        The section, or None when there is a problem.
    """
    before = len(problems)
    if not isinstance(keys, dict):
        problems.append(f"[{name}] is missing")
        return None
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    for key, value in keys.items():
        if key not in known:
            near = get_close_matches(key, known, 1)
            problems.append(
                f"[{name}] `{key}`: no such key" + (f", did you mean `{near[0]}`?" if near else "")
            )
        elif not _fits(value, hints[key]):
            problems.append(f"[{name}] `{key}` is {value!r}, expected {_told(hints[key])}")
    problems += [
        f"[{name}] `{key}` is missing"
        for key, field in known.items()
        if key not in keys and field.default is MISSING
    ]
    if len(problems) > before:
        return None
    # TOML's lists become tuples, which nobody can change.
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in keys.items()})


def _fits(value: object, hint: Any) -> bool:
    """Say whether a value of TOML is one of a class's attribute."""
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) is tuple:
        inner = get_args(hint)
        count_fits = inner[-1] is ... or (isinstance(value, list) and len(value) == len(inner))
        return isinstance(value, list) and count_fits and all(_fits(v, inner[0]) for v in value)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return any(isinstance(value, each) for each in get_args(hint) or (hint,))


def _told(hint: Any) -> str:
    """Say what a value has to be, in the words of a TOML file."""
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(f'"{choice}"' for choice in get_args(hint))
    if get_origin(hint) is tuple:
        inner = get_args(hint)
        count = "a list of" if inner[-1] is ... else f"a list of {len(inner)}"
        return f"{count} {'texts' if inner[0] is str else 'whole numbers'}"
    names = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}
    return names[hint if hint in names else get_args(hint)[0]]
