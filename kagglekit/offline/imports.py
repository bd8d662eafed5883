"""What a cell imports and installs: read off its code, never run."""

import ast
import re
import shlex
from typing import NamedTuple

# What IPython knows beside Python, each with what parses in its place: `!ls` and `%time x`, with
# the lines that a backslash adds; `files = !ls`; `df?` and `?df`.
_IPYTHON = (
    (re.compile(r"^([ \t]*)[!%](?:.*\\\n)*.*$", re.MULTILINE), r"\1pass"),
    (re.compile(r"^([ \t]*[\w.,\[\]'\" ]+=[ \t]*)[!%](?:.*\\\n)*.*$", re.MULTILINE), r"\1None"),
    (re.compile(r"^([ \t]*)(?:\?{1,2}[\w.]+|[\w.]+\?{1,2})[ \t]*$", re.MULTILINE), r"\1pass"),
)
_INSTALL = re.compile(
    r"^[ \t]*[!%][ \t]*(?:python3? -m |uv )?pip3? install[ \t]((?:.*\\\n)*.*)$", re.MULTILINE
)
_SHELL = re.compile(r"[&|;]|\d?>")  # where the command ends
_ELSEWHERE = ("-f", "--find-links", "--no-index")  # what is installed lies in an attached dataset
_WITH_VALUE = {"-c", "-e", "-i", "-r", "-t", "--constraint", "--editable", "--extra-index-url",
               "--index-url", "--requirement", "--target", "--trusted-host"}  # fmt: skip
_FAILED_IMPORT = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


class Imports(NamedTuple):
    """Top-level modules: those that code must have, and those that it goes on without."""

    needed: set[str]
    optional: set[str]


def imports(code: str) -> Imports:
    r"""Return what a cell imports; optional is what stands in a `try` that catches its absence.

    Raises:
        SyntaxError: it is not Python, and not what IPython makes of it.

    Example:
        >>> imports("!ls\nimport numpy as np\ntry:\n    import cupy\nexcept ImportError:\n    pass")
        Imports(needed={'numpy'}, optional={'cupy'})
    """
    try:
        tree = ast.parse(code)
    except SyntaxError:
        for words, instead in _IPYTHON:
            code = words.sub(instead, code)
        tree = ast.parse(code)
    caught = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.Try) and any(map(_goes_on, node.handlers))
        for statement in node.body
        for inner in ast.walk(statement)
    }
    found = Imports(set(), set())
    for node in ast.walk(tree):
        names = found.optional if node in caught else found.needed
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return Imports(found.needed, found.optional - found.needed)


def installs(code: str) -> list[str]:
    r"""Return what the `pip install` lines of a cell ask an index for, a word each.

    Options are left out, and lines that install from a folder.

    Example:
        >>> installs("%pip install -q ttach==0.0.2 'zarr>=3'\n!pip install --no-index -f .. x")
        ['ttach==0.0.2', 'zarr>=3']
    """
    found: list[str] = []
    for match in _INSTALL.finditer(code):
        try:
            words = shlex.split(match[1].replace("\\\n", " "), comments=True)
        except ValueError:  # a quotation without an end: the shell refuses it, too
            continue
        ends = (index for index, word in enumerate(words) if _SHELL.match(word))
        words = words[: next(ends, len(words))]
        if any(word.startswith(_ELSEWHERE) for word in words):
            continue
        values = {index + 1 for index, word in enumerate(words) if word in _WITH_VALUE}
        found += [
            word
            for index, word in enumerate(words)
            if index not in values and not word.startswith("-")
        ]
    return found


def _goes_on(handler: ast.ExceptHandler) -> bool:
    """Whether it catches a failed import, and does not end by raising another error."""
    if isinstance(handler.body[-1], ast.Raise):
        return False
    caught = handler.type
    kinds = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(
        kind is None or (isinstance(kind, ast.Name) and kind.id in _FAILED_IMPORT) for kind in kinds
    )
