"""What a notebook needs of an index: read off its code, never run."""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from kagglekit.errors import RequirementsError
from kagglekit.offline.imports import Imports, imports, installs

# Where the name to import is not the name to install.
DISTRIBUTIONS = {
    "Crypto": "pycryptodome", "PIL": "pillow", "attr": "attrs", "bs4": "beautifulsoup4",
    "community": "python-louvain", "cudf": "cudf-cu12", "cuml": "cuml-cu12", "cupy":
    "cupy-cuda12x", "cupyx": "cupy-cuda12x", "cv2": "opencv-python-headless", "dask_cudf":
    "dask-cudf-cu12", "dateutil": "python-dateutil", "dotenv": "python-dotenv", "git": "gitpython",
    "ignite": "pytorch-ignite", "jwt": "pyjwt", "mpl_toolkits": "matplotlib", "openslide":
    "openslide-python", "osgeo": "gdal", "pkg_resources": "setuptools", "pylab": "matplotlib",
    "skimage": "scikit-image", "sklearn": "scikit-learn", "slugify": "python-slugify", "umap":
    "umap-learn", "yaml": "pyyaml", "zmq": "pyzmq",
}  # fmt: skip
_NOT_FROM_AN_INDEX = frozenset({"google", "kaggle_secrets", "kaggle_datasets", "kaggle_evaluation"})
_WRITTEN = re.compile(r"^%%writefile\s+(?:-a\s+)?(?:\S*/)?(\w+)\.py\s*$", re.MULTILINE)


class Wanted(NamedTuple):
    """What a notebook needs.

    Attributes:
        requirements: what it imports and installs, by name, e.g. "rasterio" or "ttach==0.0.2".
        optional: distributions that it imports where they are there, and goes on without.
        passed_over: what could not be read, a line each.
    """

    requirements: list[str]
    optional: list[str]
    passed_over: list[str]


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


def wanted(notebook: Path) -> Wanted:
    """Return what a notebook needs that an index may have.

    Of the standard library, of Kaggle's own modules and of modules that lie beside the notebook, or
    that it writes itself, there is nothing to fetch. A name that stands in no table is taken to be
    the distribution's. Where the notebook installs something itself, its words for it count.

    Raises:
        RequirementsError: it is not a notebook, or cannot be read.
    """
    try:
        code = cells(notebook)
    except OSError as error:
        raise RequirementsError(f"the notebook `{notebook}` cannot be read: {error}") from error
    imported, not_python = _imported(code)
    asked, not_of_an_index = _asked(code)
    beside = {name for cell in code for name in _WRITTEN.findall(cell)}
    beside |= {path.stem for path in notebook.parent.glob("*.py")}
    beside |= {path.parent.name for path in notebook.parent.glob("*/__init__.py")}
    own = sys.stdlib_module_names | _NOT_FROM_AN_INDEX | beside | {"__main__"}
    odd = sorted(name for name in imported.needed - own if name.startswith("_"))
    names = map(distribution, imported.needed - own - {*odd})
    required = {str(canonicalize_name(name)): name for name in names} | asked
    optional = {name for name in imported.optional - own if not name.startswith("_")}
    spared = {canonicalize_name(distribution(name)) for name in optional}
    return Wanted(
        requirements=[required[name] for name in sorted(required)],
        optional=sorted(spared - set(required)),
        passed_over=[
            *not_python,
            *not_of_an_index,
            *(f"`{name}` is imported, and is no name of an index" for name in odd),
        ],
    )


def distribution(module: str) -> str:
    """Return the distribution that brings a module.

    Example:
        >>> distribution("skimage")
        'scikit-image'
    """
    return DISTRIBUTIONS.get(module, module)


def _imported(code: Sequence[str]) -> tuple[Imports, list[str]]:
    """Return what all cells import, and a line for each cell that is not Python."""
    found, not_python = Imports(set(), set()), []
    for number, cell in enumerate(code, start=1):
        try:
            needed, optional = imports(cell)
        except SyntaxError as error:
            if not cell.startswith("%%"):  # such a magic says that it is another language
                said = f"cell {number}: it is not Python, see its line {error.lineno}: {error.msg}"
                not_python.append(said)
        else:
            found.needed.update(needed)
            found.optional.update(optional)
    return found, not_python


def _asked(code: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return the requirements of all `pip install` lines, by name, and a line for what is none."""
    found: dict[str, str] = {}
    others = []
    for number, cell in enumerate(code, start=1):
        names, unread = installs(cell)
        others += [f"cell {number}: `{words}` of `pip install` was not read" for words in unread]
        for words in names:
            try:
                requirement = Requirement(words)
            except InvalidRequirement:  # a path, an address, a variable of the shell
                requirement = None
            if requirement is None or requirement.url:
                others.append(f"cell {number}: `{words}` is installed, and is no name of an index")
            else:
                found[canonicalize_name(requirement.name)] = str(requirement)
    return found, others
