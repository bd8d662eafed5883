"""What can be read off a notebook without running it: competition, imports, sibling."""

import ast
import json
import re
import sys
from contextlib import suppress
from pathlib import Path

from kagglekit import competitions
from kagglekit.errors import RehearsalError
from kagglekit.offline.image import KaggleImage

# Where the name to import is not the name to install.
_DISTRIBUTIONS = {
    "Crypto": "pycryptodome", "PIL": "pillow", "attr": "attrs", "bs4": "beautifulsoup4",
    "community": "python-louvain", "cv2": "opencv-python-headless", "dateutil": "python-dateutil",
    "dotenv": "python-dotenv", "git": "gitpython", "ignite": "pytorch-ignite", "jwt": "pyjwt",
    "mpl_toolkits": "matplotlib", "openslide": "openslide-python", "osgeo": "gdal",
    "pkg_resources": "setuptools", "pylab": "matplotlib", "skimage": "scikit-image", "sklearn":
    "scikit-learn", "slugify": "python-slugify", "umap": "umap-learn", "yaml": "pyyaml", "zmq":
    "pyzmq",
}  # fmt: skip
_MAGIC = re.compile(r"^([ \t]*)(?=[!%])", re.MULTILINE)


def cells(notebook: Path) -> list[str]:
    """Return the code cells of a notebook; a `# %%` script counts as one.

    Raises:
        RehearsalError: it is not a notebook.
    """
    try:
        text = notebook.read_text(encoding="utf-8")
        if notebook.suffix == ".py":
            return [text]
        found = json.loads(text)["cells"]
        return ["".join(cell["source"]) for cell in found if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError) as error:  # ValueError: not UTF-8, or not JSON
        raise RehearsalError(
            f"`{notebook}` is not a notebook: {type(error).__name__}: {error}",
            hint="give an .ipynb file (version 4), or a .py file with `# %%` lines",
        ) from error


def packages(notebook: Path, image: KaggleImage) -> set[str]:
    """Return the distributions of the Kaggle image that a notebook imports.

    Only imports that stand in the code are seen. A cell that is not Python is passed over: running
    it will tell.
    """
    names = set().union(*(_imports(cell) for cell in cells(notebook)))
    wanted = {_DISTRIBUTIONS.get(name, name) for name in names - sys.stdlib_module_names}
    return {name for name in wanted if image.version_of(name) is not None}


def _imports(code: str) -> set[str]:
    """Return the top-level modules that a cell imports."""
    for attempt in (code, _MAGIC.sub(r"\1pass # ", code)):
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


def competition_of(notebook: Path) -> str:
    """Return the slug of the competition that a notebook names.

    Raises:
        RehearsalError: it names none that has a profile, or several.
    """
    found = _competitions(notebook)
    if len(found) != 1:
        named = ", ".join(found) or "none that has a profile"
        raise RehearsalError(
            f"which competition is `{notebook.name}` for? It names {named}",
            hint=f"say --competition, one of: {', '.join(competitions.slugs())}",
        )
    return found[0]


def _competitions(notebook: Path) -> list[str]:
    code = "\n".join(cells(notebook))
    return [slug for slug in competitions.slugs() if slug in code]


def submit_notebook(slug: str, folder: Path = Path("notebooks")) -> Path:
    """Return the project's own submit notebook of a competition.

    Raises:
        RehearsalError: there is none.
    """
    for notebook in sorted(folder.glob("*_submit.ipynb")):
        if slug in _competitions(notebook):
            return notebook
    raise RehearsalError(
        f"no notebook for `{slug}`: none of `{folder}/*_submit.ipynb` names it",
        hint="give the notebook to rehearse: kagglekit rehearse my_submit.ipynb",
    )


def train_name(submit: Path) -> Path:
    """Return where the training notebook of a submit notebook would be."""
    return submit.with_name(submit.name.replace("_submit.", "_train."))


def sibling(submit: Path) -> Path | None:
    """Return the training notebook beside a submit notebook, if there is one."""
    train = train_name(submit)
    return train if train != submit and train.is_file() else None


def slug(notebook: Path) -> str:
    """Return the name under which Kaggle mounts a notebook's output.

    Example:
        >>> slug(Path("notebooks/hubmap_kidney_train.ipynb"))
        'hubmap-kidney-train'
    """
    return notebook.stem.replace("_", "-").lower()


def as_ipynb(notebook: Path, folder: Path) -> Path:
    """Return the notebook as an .ipynb file in a folder, converting a `# %%` script."""
    target = folder / f"{notebook.stem}.ipynb"
    if notebook.suffix == ".ipynb":
        target.write_bytes(notebook.read_bytes())
        return target
    try:
        import jupytext
    except ModuleNotFoundError as error:
        raise RehearsalError(
            f"`{notebook}` is a script, and jupytext, which makes a notebook of it, is missing",
            hint="pip install 'kagglekit[build]', or give the .ipynb",
        ) from error
    jupytext.write(jupytext.read(notebook, fmt="py:percent"), target)
    return target
