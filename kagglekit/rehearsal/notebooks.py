"""What can be read off a notebook without running it: competition, imports, sibling."""

import re
import sys
from contextlib import suppress
from pathlib import Path

from kagglekit import competitions
from kagglekit.errors import RehearsalError, RequirementsError
from kagglekit.offline import notebook as notebook_of
from kagglekit.offline.image import KaggleImage
from kagglekit.offline.imports import imports


def cells(notebook: Path) -> list[str]:
    """Return the code cells of a notebook; a `# %%` script counts as one.

    Raises:
        RehearsalError: it is not a notebook.
    """
    try:
        return notebook_of.cells(notebook)
    except RequirementsError as error:
        raise RehearsalError(*error.args) from error


def packages(notebook: Path, image: KaggleImage) -> set[str]:
    """Return the distributions of the Kaggle image that a notebook imports.

    Only imports that stand in the code are seen. A cell that is not Python is passed over: running
    it will tell.
    """
    names: set[str] = set()
    for cell in cells(notebook):
        with suppress(SyntaxError):
            names = names.union(*imports(cell))
    wanted = set(map(notebook_of.distribution, names - sys.stdlib_module_names))
    return {name for name in wanted if image.version_of(name) is not None}


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


def runnable(notebook: Path, folder: Path) -> Path:
    """Return the file to run, in a folder: an .ipynb, also of a `# %%` script; or a plain script.

    Raises:
        RehearsalError: it is a `# %%` script, and what makes a notebook of it is missing.
    """
    target = folder / notebook.name
    if notebook.suffix == ".ipynb" or not _has_cells(notebook):
        target.write_text(notebook.read_text("utf-8-sig"), "utf-8")  # without Windows' mark
        return target
    target = target.with_suffix(".ipynb")
    try:
        import jupytext
    except ModuleNotFoundError as error:
        raise RehearsalError(
            f"`{notebook}` is a script with cells, and jupytext, which makes a notebook of it, is "
            "missing",
            hint="pip install 'kagglekit[build]', or give the .ipynb",
        ) from error
    jupytext.write(jupytext.read(notebook, fmt="py:percent"), target)
    return target


def _has_cells(script: Path) -> bool:
    """Whether a script is a notebook in `# %%` form; without a cell's mark it runs as it is."""
    return re.search(r"^# *%%", script.read_text("utf-8"), re.MULTILINE) is not None
