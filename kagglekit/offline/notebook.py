"""What a notebook imports, and which distributions bring it: read off its code, never run."""

import ast
import json
import re
import sys
from contextlib import suppress
from pathlib import Path

from kagglekit.errors import RequirementsError

# Where the name to import is not the name to install.
DISTRIBUTIONS = {
    "Crypto": "pycryptodome", "PIL": "pillow", "attr": "attrs", "bs4": "beautifulsoup4",
    "community": "python-louvain", "cv2": "opencv-python-headless", "dateutil": "python-dateutil",
    "dotenv": "python-dotenv", "git": "gitpython", "ignite": "pytorch-ignite", "jwt": "pyjwt",
    "mpl_toolkits": "matplotlib", "openslide": "openslide-python", "osgeo": "gdal",
    "pkg_resources": "setuptools", "pylab": "matplotlib", "skimage": "scikit-image", "sklearn":
    "scikit-learn", "slugify": "python-slugify", "umap": "umap-learn", "yaml": "pyyaml", "zmq":
    "pyzmq",
}  # fmt: skip
_NOT_FROM_AN_INDEX = frozenset({"google", "kaggle_secrets", "kaggle_datasets", "kaggle_evaluation"})
# What IPython knows beside Python, each with what parses in its place: `!ls` and `%time x`, with
# the lines that a backslash adds; `files = !ls`; `df?` and `?df`.
_IPYTHON = (
    (re.compile(r"^([ \t]*)[!%](?:.*\\\n)*.*$", re.MULTILINE), r"\1pass"),
    (re.compile(r"^([ \t]*[\w.,\[\]'\" ]+=[ \t]*)[!%](?:.*\\\n)*.*$", re.MULTILINE), r"\1None"),
    (re.compile(r"^([ \t]*)(?:\?{1,2}[\w.]+|[\w.]+\?{1,2})[ \t]*$", re.MULTILINE), r"\1pass"),
)
_WRITTEN = re.compile(r"^%%writefile\s+(?:-a\s+)?(?:\S*/)?(\w+)\.py\s*$", re.MULTILINE)


def cells(notebook: Path) -> list[str]:
    """Return the code cells of a notebook; a `# %%` script counts as one.

    Raises:
        RequirementsError: it is not a notebook.
    """
    try:
        text = notebook.read_text(encoding="utf-8-sig")
        if notebook.suffix == ".py":
            return [text]
        found = json.loads(text)["cells"]
        return ["".join(cell["source"]) for cell in found if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError) as error:  # ValueError: not UTF-8, or not JSON
        raise RequirementsError(
            f"`{notebook}` is not a notebook: {type(error).__name__}: {error}",
            hint="give an .ipynb file (version 4), or a .py file with `# %%` lines",
        ) from error


def imports(code: str) -> set[str]:
    r"""Return the top-level modules that a cell imports; none where it is not Python.

    Example:
        >>> sorted(imports("!ls\nimport numpy as np\nfrom skimage.io import imread"))
        ['numpy', 'skimage']
    """
    plain = code
    for words, instead in _IPYTHON:
        plain = words.sub(instead, plain)
    for attempt in (code, plain):
        with suppress(SyntaxError):
            tree = ast.parse(attempt)
            break
    else:
        return set()
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def distributions(notebook: Path) -> dict[str, str]:
    """Return the distributions that a notebook needs, each with the name it imports.

    Of the standard library, of Kaggle's own modules and of modules that lie beside the notebook, or
    that it writes itself, there is nothing to fetch. A name that stands in no table is taken to be
    the distribution's.

    Raises:
        RequirementsError: it is not a notebook, or cannot be read.
    """
    try:
        code = cells(notebook)
    except OSError as error:
        raise RequirementsError(f"the notebook `{notebook}` cannot be read: {error}") from error
    names = set().union(*map(imports, code))
    beside = {name for cell in code for name in _WRITTEN.findall(cell)}
    beside |= {path.stem for path in notebook.parent.glob("*.py")}
    beside |= {path.parent.name for path in notebook.parent.glob("*/__init__.py")}
    names -= sys.stdlib_module_names | _NOT_FROM_AN_INDEX | beside
    return {DISTRIBUTIONS.get(name, name): name for name in sorted(names)}
