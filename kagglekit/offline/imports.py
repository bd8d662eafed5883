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
_SHELL_LINE = re.compile(r"^[ \t]*[!%]((?:.*\\\n)*.*)$", re.MULTILINE)
_REDIRECTION = re.compile(r"(?<=\s)\d?>>?(?!=)\s*\S+")
_PIP = re.compile(r"(?:(?:\S*python[\d.]*|\{sys\.executable\}) -m pip|(?:uv )?pip[\d.]*)(?: -\S+)*")
_LOCAL = re.compile(r"-[A-Za-z]*f|--find-links|--no-index")  # from an attached dataset
# Options of pip and uv that stand alone; any other takes the next word, or has its value in it.
_ALONE = re.compile(
    r"-[IUqvn]+|--(?:break-system-packages|compile|compile-bytecode|disable-pip-version-check|"
    r"dry-run|exact|force-reinstall|ignore-installed|ignore-requires-python|isolated|"
    r"no-build-isolation|no-cache|no-cache-dir|no-clean|no-color|no-compile|no-deps|no-index|"
    r"no-input|no-warn-conflicts|no-warn-script-location|offline|pre|prefer-binary|quiet|reinstall|"
    r"require-hashes|strict|system|upgrade|user|verbose)"
)
_TAKES = re.compile(r"-[IUqvn]*[A-Za-z]|--[\w-]+")  # the next word, unless it stands alone
# Values that say nothing of what is installed.
_NO_MATTER = re.compile(
    r"-[IUqvn]*[Ccdfipt]|--(?:abi|cache-dir|cert|config-settings|constraint|default-index|"
    r"exclude-newer|exists-action|extra-index-url|find-links|implementation|index|index-strategy|"
    r"index-url|keyring-provider|link-mode|log|no-binary|only-binary|platform|prefix|prerelease|"
    r"progress-bar|proxy|python|python-version|report|resolution|retries|root|root-user-action|src|"
    r"target|timeout|torch-backend|trusted-host|upgrade-strategy|use-deprecated|use-feature)"
)
_FAILED_IMPORT = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


class Imports(NamedTuple):
    """Top-level modules: those that code must have, and those that it goes on without."""

    needed: set[str]
    optional: set[str]


def imports(code: str) -> Imports:
    r"""Return what a cell imports; optional is what stands where its absence is caught.

    That is a `try` or a `with suppress(ImportError)`.

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
        for statement in _guarded(node)
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


def installs(code: str) -> tuple[list[str], list[str]]:
    r"""Return what the `pip install` lines of a cell ask an index for, and what is not understood.

    Options are left out, and commands that install from a folder.

    Example:
        >>> installs("%pip install -q ttach==0.0.2 'zarr>=3'\n!pip install --no-index -f .. x")
        (['ttach==0.0.2', 'zarr>=3'], [])
        >>> installs("!ls; pip install -r wanted.txt tqdm")
        (['tqdm'], ['-r wanted.txt'])
    """
    asked: list[str] = []
    others: list[str] = []
    for match in _SHELL_LINE.finditer(code):
        for words in _commands(match[1].replace("\\\n", " ")):
            if "install" not in words:
                continue
            at = words.index("install")
            if not _PIP.fullmatch(" ".join(words[:at])):
                continue
            names, options = _sorted_out(words[at + 1 :])
            if any(_LOCAL.match(one) and "://" not in one for one in options):
                continue
            asked += names
            others += [
                one
                for one in options
                if not _ALONE.fullmatch(one) and not _NO_MATTER.fullmatch(re.split("[ =]", one)[0])
            ]
    return asked, others


def _commands(line: str) -> list[list[str]]:
    """Return the words of each command of a shell's line."""
    words = shlex.shlex(_REDIRECTION.sub("", line), posix=True, punctuation_chars="();|&")
    words.whitespace_split = True
    found: list[list[str]] = [[]]
    try:
        for word in words:
            if set(word) <= set("();|&"):
                found.append([])
            else:
                found[-1].append(word)
    except ValueError:  # a quotation without an end: the shell refuses it, too
        return []
    return found


def _sorted_out(words: list[str]) -> tuple[list[str], list[str]]:
    """Return what is no option, and the options, each with its value."""
    names: list[str] = []
    options: list[str] = []
    left = iter(words)
    for word in left:
        if not word.startswith("-"):
            names.append(word)
        elif _TAKES.fullmatch(word) and not _ALONE.fullmatch(word):
            options.append(f"{word} {next(left, '')}")
        else:
            options.append(word)
    return names, options


def _guarded(node: ast.AST) -> list[ast.stmt]:
    """Return the statements in a node after whose failed imports code goes on."""
    if isinstance(node, ast.Try | ast.TryStar) and any(map(_goes_on, node.handlers)):
        return node.body
    if isinstance(node, ast.With) and any(_suppresses(item.context_expr) for item in node.items):
        return node.body
    return []


def _goes_on(handler: ast.ExceptHandler) -> bool:
    """Whether it catches a failed import, and does not end by raising another error."""
    if isinstance(handler.body[-1], ast.Raise):
        return False
    caught = handler.type
    kinds = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(kind is None or _is_failed_import(kind) for kind in kinds)


def _suppresses(context: ast.expr) -> bool:
    return (
        isinstance(context, ast.Call)
        and ast.unparse(context.func) in ("suppress", "contextlib.suppress")
        and any(map(_is_failed_import, context.args))
    )


def _is_failed_import(kind: ast.expr) -> bool:
    return isinstance(kind, ast.Name) and kind.id in _FAILED_IMPORT
