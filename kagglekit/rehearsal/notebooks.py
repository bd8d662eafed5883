"""What can be read off a notebook without running it: competition, imports, sibling."""

import ast
import json
import re
import sys
from pathlib import Path

from kagglekit import competitions
from kagglekit.errors import RehearsalError
from kagglekit.offline.image import KaggleImage

# Where the name to import is not the name to install.
_DISTRIBUTIONS = {
    "PIL": "pillow", "bs4": "beautifulsoup4", "cv2": "opencv-python-headless", "dateutil":
    "python-dateutil", "skimage": "scikit-image", "sklearn": "scikit-learn", "yaml": "pyyaml",
    "ignite": "pytorch-ignite", "openslide": "openslide-python", "pl_bolts": "lightning-bolts",
}  # fmt: skip


def source(notebook: Path) -> str:
    """Return the code of a notebook (.ipynb, or `# %%` .py) as one text, magics commented out."""
    text = notebook.read_text(encoding="utf-8")
    if notebook.suffix == ".py":
        return text
    try:
        cells = json.loads(text)["cells"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise RehearsalError(f"`{notebook}` is not a notebook: {error}") from error
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return re.sub(r"^(\s*)([!%])", r"\1pass # \2", "\n\n".join(code), flags=re.MULTILINE)


def packages(notebook: Path, image: KaggleImage) -> set[str]:
    """Return the distributions of the Kaggle image that a notebook imports."""
    try:
        tree = ast.parse(source(notebook))
    except SyntaxError:
        return set()  # running it will say so, with the line
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    wanted = {_DISTRIBUTIONS.get(name, name) for name in names - sys.stdlib_module_names}
    return {name for name in wanted if name.lower().replace("_", "-") in image.packages}


def competition_of(notebook: Path) -> str:
    """Return the slug of the competition that a notebook names.

    Raises:
        RehearsalError: it names none that has a profile, or several.
    """
    text = source(notebook)
    found = [slug for slug in competitions.slugs() if slug in text]
    if len(found) != 1:
        named = ", ".join(found) or "none that has a profile"
        raise RehearsalError(
            f"which competition is `{notebook.name}` for? It names {named}",
            hint=f"say --competition, one of: {', '.join(competitions.slugs())}",
        )
    return found[0]


def submit_notebook(slug: str, folder: Path = Path("notebooks")) -> Path:
    """Return the project's own submit notebook of a competition.

    Raises:
        RehearsalError: there is none.
    """
    for notebook in sorted(folder.glob("*_submit.ipynb")):
        if slug in source(notebook):
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
    import jupytext

    jupytext.write(jupytext.read(notebook, fmt="py:percent"), target)
    return target
