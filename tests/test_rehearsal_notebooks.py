"""What is read off a notebook without running it."""

import json
import sys
from pathlib import Path

import nbformat
import pytest

from kagglekit import competitions
from kagglekit.errors import RehearsalError
from kagglekit.offline import image as images
from kagglekit.rehearsal import notebooks

IMAGE = images.load("kaggle-2026-06-gpu")


def make(path: Path, *code: str) -> Path:
    """Write a notebook of a text cell and these code cells, as format 4 has it."""
    cells = [{"cell_type": "markdown", "source": ["import xgboost and data-science-bowl-2018"]}]
    cells += [{"cell_type": "code", "source": text.splitlines(keepends=True)} for text in code]
    path.write_text(json.dumps({"cells": cells, "nbformat": 4, "nbformat_minor": 5}))
    return path


def test_cells_are_code_in_order(tmp_path: Path) -> None:
    notebook = make(tmp_path / "n.ipynb", "a = 1\nb = 2", "c = 3")
    assert notebooks.cells(notebook) == ["a = 1\nb = 2", "c = 3"]
    script = tmp_path / "n.py"
    script.write_text("# %%\na = 1\n# %%\nb = 2\n")
    assert notebooks.cells(script) == ["# %%\na = 1\n# %%\nb = 2\n"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"print(1)", "JSONDecodeError: Expecting value: line 1 column 1 (char 0)"),
        (b"{}", "KeyError: 'cells'"),
        (b"[]", "TypeError: list indices must be integers or slices, not str"),
        (b'{"cells": [{"source": ""}]}', "KeyError: 'cell_type'"),
        (b'{"cells": "\xff"}', "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in "),
    ],
)
def test_what_is_not_a_notebook(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "n.ipynb"
    path.write_bytes(content)
    with pytest.raises(RehearsalError) as caught:
        notebooks.cells(path)
    first, hint = str(caught.value).splitlines()
    assert first.startswith(f"`{path}` is not a notebook: {told}")
    assert hint == "hint: give an .ipynb file (version 4), or a .py file with `# %%` lines"


def test_packages(tmp_path: Path) -> None:
    notebook = make(
        tmp_path / "n.ipynb",
        "import os, json\nimport numpy as np, pandas.core\nfrom sklearn.svm import SVC",
        "def later():\n    import cv2\n    from . import torch",
        "import kagglekit, no_such_thing\nfrom segmentation_models_pytorch import Unet",
        "import umap, PIL.Image, yaml",
    )
    assert notebooks.packages(notebook, IMAGE) == {
        *{"numpy", "pandas", "scikit-learn", "opencv-python-headless"},
        *{"umap-learn", "pillow", "pyyaml"},
    }


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("%matplotlib inline\nimport numpy", {"numpy"}),
        ("%%time\nimport numpy", {"numpy"}),
        ("if True:\n    !pip install x\n    import numpy", {"numpy"}),
        ("import numpy\nx = ('%s'\n     % numpy)", {"numpy"}),  # this % is no magic
        ("%%bash\nimport numpy && echo", set()),
        ("import numpy\nx = = 1", set()),
        ("x = '''\n!import\n'''\nimport numpy", {"numpy"}),
    ],
)
def test_magics(cell: str, expected: set[str], tmp_path: Path) -> None:
    notebook = make(tmp_path / "n.ipynb", cell, "import scipy")
    assert notebooks.packages(notebook, IMAGE) == expected | {"scipy"}


def test_every_name_to_install_is_in_some_image() -> None:
    known = {name for image in images.names() for name in images.load(image).packages}
    assert set(notebooks.notebook_of.DISTRIBUTIONS.values()) <= known


def test_the_competition_that_a_notebook_names(tmp_path: Path) -> None:
    one = make(tmp_path / "one.ipynb", 'load("hubmap-kidney-segmentation")')
    assert notebooks.competition_of(one) == "hubmap-kidney-segmentation"
    none = make(tmp_path / "none.ipynb", 'load("severstal")')
    both = make(tmp_path / "both.ipynb", '"hubmap-kidney-segmentation"', '"data-science-bowl-2018"')
    for notebook, named in (
        (none, "none that has a profile"),
        (both, "data-science-bowl-2018, hubmap-kidney-segmentation"),
    ):
        with pytest.raises(RehearsalError) as caught:
            notebooks.competition_of(notebook)
        assert str(caught.value) == (
            f"which competition is `{notebook.name}` for? It names {named}\n"
            f"hint: say --competition, one of: {', '.join(competitions.slugs())}"
        )


def test_the_project_s_own_notebook(tmp_path: Path) -> None:
    make(tmp_path / "a_submit.ipynb", '"data-science-bowl-2018"')
    wanted = make(tmp_path / "b_submit.ipynb", '"hubmap-kidney-segmentation"')
    make(tmp_path / "a_train.ipynb", '"hubmap-kidney-segmentation"')
    assert notebooks.submit_notebook("hubmap-kidney-segmentation", tmp_path) == wanted
    wanted.unlink()
    with pytest.raises(RehearsalError) as caught:
        notebooks.submit_notebook("hubmap-kidney-segmentation", tmp_path)
    assert str(caught.value) == (
        "no notebook for `hubmap-kidney-segmentation`: none of "
        f"`{tmp_path}/*_submit.ipynb` names it\n"
        "hint: give the notebook to rehearse: kagglekit rehearse my_submit.ipynb"
    )


def test_siblings(tmp_path: Path) -> None:
    submit, train = tmp_path / "x_submit.py", tmp_path / "x_train.py"
    submit.touch()
    assert notebooks.sibling(submit) is None
    train.touch()
    assert notebooks.sibling(submit) == train
    assert notebooks.sibling(train) is None
    assert notebooks.train_name(tmp_path / "x_submit.ipynb") == tmp_path / "x_train.ipynb"


def test_slug() -> None:
    assert notebooks.slug(Path("a/Dsb2018_Train.py")) == "dsb2018-train"


def test_a_notebook_is_taken_as_it_is(tmp_path: Path) -> None:
    notebook = make(tmp_path / "n.ipynb", "x = 1")
    (tmp_path / "out").mkdir()
    taken = notebooks.runnable(notebook, tmp_path / "out")
    assert taken == tmp_path / "out" / "n.ipynb"
    assert taken.read_bytes() == notebook.read_bytes()


def test_a_script_becomes_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "n.py"
    script.write_text("# %% [markdown]\n# # Title\n\n# %%\nx = 1\n\n# %%\n# !ls\n")
    (tmp_path / "out").mkdir()
    made = nbformat.read(notebooks.runnable(script, tmp_path / "out"), as_version=4)
    assert [(cell.cell_type, cell.source) for cell in made.cells] == [
        ("markdown", "# Title"),
        ("code", "x = 1"),
        ("code", "!ls"),
    ]
    monkeypatch.setitem(sys.modules, "jupytext", None)
    with pytest.raises(RehearsalError) as caught:
        notebooks.runnable(script, tmp_path / "out")
    assert str(caught.value) == (
        f"`{script}` is a script with cells, and jupytext, which makes a notebook of it, is missing\n"
        "hint: pip install 'kagglekit[build]', or give the .ipynb"
    )


def test_a_script_without_cells_stays_one(tmp_path: Path) -> None:
    script = tmp_path / "submit.py"
    script.write_text("print(1)  # not %% a cell\n")
    (tmp_path / "out").mkdir()
    taken = notebooks.runnable(script, tmp_path / "out")
    assert taken == tmp_path / "out" / "submit.py"
    assert taken.read_text() == script.read_text()


def test_a_notebook_as_windows_writes_it(tmp_path: Path) -> None:
    notebook = make(tmp_path / "n.ipynb", "import numpy")
    notebook.write_bytes(b"\xef\xbb\xbf" + notebook.read_bytes())
    (tmp_path / "out").mkdir()
    taken = notebooks.runnable(notebook, tmp_path / "out")
    assert taken.read_bytes() == notebook.read_bytes().removeprefix(b"\xef\xbb\xbf")
