import json
from pathlib import Path

import pytest

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
