import importlib.util
import json
from pathlib import Path

import pytest

from kagglekit.offline.command import FIRST_CELL

FOLDER = Path(__file__).parents[1] / "notebooks"
_spec = importlib.util.spec_from_file_location("generate", FOLDER / "generate.py")
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)

SOURCES = sorted(FOLDER.glob("*_*.py"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_ipynb_is_what_the_source_says(source):
    assert source.with_suffix(".ipynb").read_text() == generate.as_ipynb(source), (
        "run `uv run python notebooks/generate.py`"
    )


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_notebooks_stay_short(source):
    lines = [line.strip() for line in source.read_text().splitlines()]
    assert sum(bool(line) and not line.startswith("#") for line in lines) < 60


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_first_cell_is_the_one_that_the_bundle_command_prints(source):
    cells = json.loads(source.with_suffix(".ipynb").read_text())["cells"]
    first = next(cell for cell in cells if cell["cell_type"] == "code")
    assert "".join(first["source"]) == FIRST_CELL.format(slug="kagglekit-offline")


def test_there_is_a_pair_for_every_competition():
    names = {path.stem for path in SOURCES}
    assert names == {
        f"{competition}_{part}"
        for competition in ("hubmap_kidney", "dsb2018")
        for part in ("train", "submit")
    }
