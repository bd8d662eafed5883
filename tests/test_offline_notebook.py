import json
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from kagglekit.errors import RequirementsError
from kagglekit.offline import notebook


def test_imports_and_what_brings_them(tmp_path: Path) -> None:
    path = tmp_path / "n.ipynb"
    code = (
        "%matplotlib inline\nimport os, cv2\nfrom zarr.storage import x\nimport helpers, more.x\n"
    )
    more = "def later():\n    import ttach, kaggle_secrets\n    from . import here\n"
    cells = [{"cell_type": "code", "source": [text]} for text in (code, more, "not python at all")]
    cells.append({"cell_type": "markdown", "source": ["import nothing"]})
    path.write_text(json.dumps({"cells": cells}))
    (tmp_path / "helpers.py").touch()
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "__init__.py").touch()
    assert notebook.distributions(path) == {
        "opencv-python-headless": "cv2",
        "ttach": "ttach",
        "zarr": "zarr",
    }


@pytest.mark.parametrize(
    "cell",
    [
        "files = !ls /kaggle/input\nimport ttach",
        "d['x'] = !ls\nimport ttach",
        "import ttach\ndf?",
        "?df\nimport ttach",
        "import ttach\nttach.Compose??",
        "import ttach\n!pip install a \\\n  b",
        "import ttach\ntook = %timeit -o 1",
        "%%time\nimport ttach",
        "if True:\n    !ls\n    import ttach",
        "rest = 5 % 3\nimport ttach\n%matplotlib inline",
    ],
)
def test_what_ipython_knows_beside_python_hides_no_import(cell: str) -> None:
    assert notebook.imports(cell) == {"ttach"}


def test_modules_that_it_writes_are_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("\ufeffimport ttach\n", encoding="utf-8")  # as Windows writes it
    assert notebook.distributions(path) == {"ttach": "ttach"}
    cells = ["%%writefile helper.py\nimport ttach", "%%writefile -a src/more.py\nX = 1",
             "import helper, more"]  # fmt: skip
    path = tmp_path / "a.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells]), path)
    assert notebook.distributions(path) == {"ttach": "ttach"}


def test_a_notebook_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "gone.ipynb"
    with pytest.raises(RequirementsError) as caught:
        notebook.distributions(path)
    assert str(caught.value) == (
        f"the notebook `{path}` cannot be read: [Errno 2] No such file or directory: '{path}'"
    )


def test_what_is_no_notebook(tmp_path: Path) -> None:
    path = tmp_path / "n.ipynb"
    path.write_text("[]")
    with pytest.raises(RequirementsError, match="is not a notebook: TypeError"):
        notebook.distributions(path)
