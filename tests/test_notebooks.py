import ast
import importlib.util
import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from kagglekit import competitions, slides, stain, submission, touching
from kagglekit.competitions import fake
from kagglekit.offline.command import FIRST_CELL
from kagglekit.rle import RLE

FOLDER = Path(__file__).parents[1] / "notebooks"
_spec = importlib.util.spec_from_file_location("generate", FOLDER / "generate.py")
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)

SOURCES = sorted(FOLDER.glob("*_*.py"))
PAIRS = {  # competition, train images, their size
    "carvana": ("carvana-image-masking-challenge", 13, (160, 240)),
    "dsb2018": ("data-science-bowl-2018", 9, (64, 80)),
    "hubmap_kidney": ("hubmap-kidney-segmentation", 3, (300, 280)),
    "hubmap_organ": ("hubmap-organ-segmentation", 6, (300, 280)),
    "severstal": ("severstal-steel-defect-detection", 6, (64, 200)),
}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_ipynb_is_what_the_source_says(source):
    assert source.with_suffix(".ipynb").read_text() == generate.as_ipynb(source), (
        "run `uv run python notebooks/generate.py`"
    )


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_notebooks_stay_short(source):
    lines = [line.strip() for line in source.read_text().splitlines()]
    assert sum(bool(line) and not line.startswith("#") for line in lines) < 80


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_first_cell_is_the_one_that_the_bundle_command_prints(source):
    cells = json.loads(source.with_suffix(".ipynb").read_text())["cells"]
    first = next(cell for cell in cells if cell["cell_type"] == "code")
    assert "".join(first["source"]) == FIRST_CELL.format(slug="kagglekit-offline")


def test_there_is_a_pair_for_every_competition():
    names = {path.stem for path in SOURCES}
    assert names == {
        f"{competition}_{part}" for competition in PAIRS for part in ("train", "submit")
    }


@pytest.mark.parametrize(("source", "function"), [("train", "finish"), ("submit", "nuclei")])
def test_nuclei_that_are_half_doubtful_are_left_out(source, function, tmp_path):
    """The function as the notebook has it, between planes of a network that is sure of one."""
    low, high = np.zeros((2, 40, 60), bool)
    low[5:25, 5:25] = low[5:25, 35:55] = True  # two nuclei
    high[5:25, 5:16] = high[5:25, 35:44] = True  # 11 and 9 of 20 columns above the higher cut
    none = np.zeros_like(low)
    planes = [RLE.from_mask(plane) for plane in (low, low, none, high)]
    picture = tmp_path / "a.png"
    cv2.imwrite(str(picture), np.full((40, 60, 3), 90, np.uint8))
    given = {
        "EVENED": tmp_path / "evened.npy",
        "MIN_AREA": 20,
        "inference": SimpleNamespace(predict_masks=lambda *_, **__: planes),
        "model": None,
        "np": np,
        "options": {},
        "slides": slides,
        "stain": stain,
        "touching": touching,
    }
    tree = ast.parse((FOLDER / f"dsb2018_{source}.py").read_text())
    [found] = [one for one in tree.body if getattr(one, "name", None) == function]
    exec(compile(ast.Module([found], []), source, "exec"), given)
    [kept] = given[function](planes if function == "finish" else picture)
    assert np.array_equal(kept.to_mask(), low & (np.arange(60) < 30))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:too few images to tune on")  # what is drawn here is little
@pytest.mark.parametrize("pair", PAIRS)
def test_a_pair_runs_as_plain_python(pair, tmp_path, monkeypatch):
    slug, train, size = PAIRS[pair]
    comp, tree = competitions.load(slug), tmp_path / "input" / "competitions" / slug
    truth = fake.make(comp, tree, train=train, test=2, size=size)
    installer = tmp_path / "input" / "datasets" / "you" / "kagglekit-offline" / "install.py"
    installer.parent.mkdir(parents=True)
    installer.write_text("pass  # kagglekit is importable here already")
    trained = tmp_path / "input" / f"{pair}_train".replace("_", "-")
    trained.mkdir()
    monkeypatch.setenv("KAGGLEKIT_INPUT", str(tmp_path / "input"))
    monkeypatch.setenv("KAGGLEKIT_MINUTES", "0.01")
    for part, folder in (("train", trained), ("submit", tmp_path)):
        monkeypatch.chdir(folder)
        runpy.run_path(str(FOLDER / f"{pair}_{part}.py"))
    path, data = tmp_path / "submission.csv", comp.find_data(tree)
    assert submission.validate(path, comp, data) == []
    assert set(submission.score(path, comp, data, truth).per_image) == set(truth)
    assert not (tmp_path / "submission.csv.log").exists()  # no image failed
