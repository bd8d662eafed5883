import json
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from kagglekit.errors import RequirementsError
from kagglekit.offline import notebook


def write(path: Path, *cells: str) -> Path:
    nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells]), path)
    return path


def test_imports_and_what_brings_them(tmp_path: Path) -> None:
    path = tmp_path / "n.ipynb"
    code = (
        "%matplotlib inline\nimport os, cv2\nfrom zarr.storage import x\nimport helpers, more.x\n"
    )
    more = "def later():\n    import ttach, kaggle_secrets\n    from . import here\n"
    bash = "%%bash\ncd x && ls"
    cells = [{"cell_type": "code", "source": [text]} for text in (code, more, "a b\nc", bash)]
    cells.append({"cell_type": "markdown", "source": ["import nothing"]})
    path.write_text(json.dumps({"cells": cells}))
    (tmp_path / "helpers.py").touch()
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "__init__.py").touch()
    assert notebook.wanted(path) == (
        ["opencv-python-headless", "ttach", "zarr"],
        [],
        ["cell 3: it is not Python, see its line 1: invalid syntax"],
    )


def test_what_a_notebook_goes_on_without(tmp_path: Path) -> None:
    path = write(
        tmp_path / "n.ipynb",
        "try:\n    import os, cudf, ttach\nexcept ImportError:\n    cudf = None",
        "try:\n    import segmentation_models_pytorch\nexcept Exception:\n"
        "    !pip install segmentation-models-pytorch",
        "import ttach",
    )
    assert notebook.wanted(path) == (["segmentation-models-pytorch", "ttach"], ["cudf-cu12"], [])


def test_what_cannot_be_a_name_of_an_index(tmp_path: Path) -> None:
    code = "import __main__, _own\ntry:\n    import _fast\nexcept ImportError:\n    pass"
    path = write(tmp_path / "n.ipynb", code, "!pip install -r wanted.txt zarr")
    assert notebook.wanted(path) == (
        ["zarr"],
        [],
        [
            "cell 2: `-r wanted.txt` of `pip install` was not read",
            "`_own` is imported, and is no name of an index",
        ],
    )


def test_what_a_notebook_installs_counts_as_it_says(tmp_path: Path) -> None:
    path = write(
        tmp_path / "n.ipynb",
        "%pip install ttach==0.0.2 imagecodecs\nimport ttach, zarr",
        "!pip install git+https://a.b/c ../input/x.whl 'mine @ https://a.b/mine.whl'",
    )
    said = "is installed, and is no name of an index"
    assert notebook.wanted(path) == (
        ["imagecodecs", "ttach==0.0.2", "zarr"],
        [],
        [
            f"cell 2: `{words}` {said}"
            for words in ("git+https://a.b/c", "../input/x.whl", "mine @ https://a.b/mine.whl")
        ],
    )


def test_modules_that_it_writes_are_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("\ufeffimport ttach\n", encoding="utf-8")  # as Windows writes it
    assert notebook.wanted(path).requirements == ["ttach"]
    cells = ["%%writefile helper.py\nimport ttach", "%%writefile -a src/more.py\nX = 1"]
    path = write(tmp_path / "a.ipynb", *cells, "import helper, more")
    assert notebook.wanted(path) == (["ttach"], [], [])


def test_a_notebook_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "gone.ipynb"
    with pytest.raises(RequirementsError) as caught:
        notebook.wanted(path)
    assert str(caught.value) == (
        f"the notebook `{path}` cannot be read: [Errno 2] No such file or directory: '{path}'"
    )


def test_what_is_no_notebook(tmp_path: Path) -> None:
    path = tmp_path / "n.ipynb"
    path.write_text("[]")
    with pytest.raises(RequirementsError, match="is not a notebook: TypeError"):
        notebook.wanted(path)
