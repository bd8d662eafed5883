"""Whole rehearsals: the project's own notebooks, and planted faults in one that knows no kagglekit."""

import importlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kagglekit import competitions
from kagglekit.competitions import fake
from kagglekit.errors import DataError, KaggleImageError, RehearsalError
from kagglekit.offline import bundle, command, image, manifest
from kagglekit.rehearsal import sandbox
from kagglekit.rehearsal.judge import SCORED, THREW, WRONG_ORDER
from kagglekit.rehearsal.plan import Plan, default_plan
from kagglekit.rehearsal.rehearse import rehearse
from kagglekit.submission.check import NOT_FOUND, SCORING_ERROR
from tests.holding import holding
from tests.wheels_factory import TINY_LIST, make_wheel, tiny_image, use_index

ROOT = Path(__file__).parents[1]
DSB = "data-science-bowl-2018"

# A sound submit notebook of a stranger: Otsu's threshold, one row an image, encoded by hand.
STRANGER = """\
import csv, glob, os
import cv2, numpy as np

rows = []
for path in sorted(glob.glob("/kaggle/input/competitions/data-science-bowl-2018/stage1_test/*/images/*.png")):
    _, mask = cv2.threshold(cv2.imread(path, 0), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    if mask.mean() > 127:
        mask = 255 - mask
    flat = np.concatenate([[0], mask.T.flatten() > 0, [0]]).astype(int)
    ends = np.flatnonzero(np.diff(flat)) + 1
    ends[1::2] -= ends[::2]
    image_id = os.path.basename(path)[:-4]
    rows.append([image_id, " ".join(map(str, ends))])
#%%
with open("submission.csv", "w") as file:
    csv.writer(file).writerows([["ImageId", "EncodedPixels"], *rows])
"""


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The bundle of this checkout for the default Kaggle image."""
    out = tmp_path_factory.mktemp("wheels") / "kagglekit-offline"
    requirements = ROOT / "wheels" / "requirements.in"
    return bundle.build(requirements, image.load(image.DEFAULT), out, command.CHECKOUT).folder


@pytest.fixture(scope="session")
def isolated():
    if sandbox.isolation():
        pytest.skip(f"not isolated here: {sandbox.isolation()}")


def write_notebook(path, code):
    cells = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {}, "outputs": [], "execution_count": None,
         "source": cell}
        for i, cell in enumerate(code.split("#%%\n"))
    ]  # fmt: skip
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.write_text(
        json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5})
    )
    return path


def rehearse_code(code, tmp_path, built):
    notebook = write_notebook(tmp_path / "stranger.ipynb", code)
    plan = default_plan(notebook, None, out=tmp_path / "out", bundle=built)
    return rehearse(plan, say=lambda line: None)


@pytest.mark.network
@pytest.mark.slow
def test_a_strangers_sound_notebook_passes(tmp_path, built, isolated):
    report = rehearse_code(STRANGER, tmp_path, built)
    assert report.passed, report
    assert [v.kaggle_says for v in report.verdicts.values()] == [SCORED, SCORED]
    dice = report.verdicts["hidden"].score.union_dice
    assert len(dice) == 3
    assert min(dice.values()) > 0.5
    assert [step.name for step in report.steps] == [
        "data",
        "bundle",
        "replica",
        "visible",
        "hidden",
    ]
    assert len(report.pictures) == 3
    assert "PASSED" in (tmp_path / "out" / "report.html").read_text()


FAULTS = {
    "network call": (
        ("rows = []", "import urllib.request\nurllib.request.urlopen('http://example.com/weights.pth')"),
        "visible",
        THREW,
        "the notebook needs the network: it tried to reach example.com "
        "(`urllib.request.urlopen('http://example.com/weights.pth')`)",
    ),
    "missing wheel": (
        ("import csv, glob, os", "import csv, glob, os\nimport ttach"),
        "visible",
        THREW,
        "cell 1, `import ttach`: `ttach` is neither in the Kaggle image nor in the bundle",
    ),
    "hard-coded id": (
        ("image_id = os.path.basename(path)[:-4]", "image_id = 'VISIBLE_ID'"),
        "hidden",
        SCORING_ERROR,
        "there are rows of 1 image of the visible test, e.g. id `VISIBLE_ID`, which the hidden test, "
        "with 3 other images, does not have: the ids are hard-coded",
    ),
    "wrong order": (
        ("mask.T.flatten()", "mask.flatten()"),
        "visible",
        WRONG_ORDER,
        "the runs were counted in the wrong order",
    ),
    "no submission.csv": (
        ('open("submission.csv", "w")', 'open("predictions.csv", "w")'),
        "visible",
        NOT_FOUND,
        "the notebook ended without writing /kaggle/working/submission.csv; it wrote predictions.csv",
    ),
}  # fmt: skip


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named(tmp_path, built, isolated, fault):
    (old, new), where, kaggle_says, cause = FAULTS[fault]
    [visible_id] = fake.make(competitions.load(DSB), tmp_path / "peek", seed=0, test=1)
    assert STRANGER.count(old) == 1
    code = STRANGER.replace(old, new).replace("VISIBLE_ID", visible_id)
    report = rehearse_code(code, tmp_path, built)
    assert not report.passed
    verdict = report.verdicts[where]
    assert not verdict.passed
    assert cause.replace("VISIBLE_ID", visible_id) in verdict.cause
    assert verdict.kaggle_says == kaggle_says
    assert verdict.hint
    assert list(report.verdicts)[-1] == where  # a second run would only fail again
    if where == "hidden":
        assert report.verdicts["visible"].passed  # it looked fine until the test was another


@pytest.mark.network
@pytest.mark.slow
def test_the_main_job_in_small(tmp_path, built, isolated):
    """The README's first command, with less training: its own notebooks train, submit and score."""
    done = subprocess.run(
        [sys.executable, "-m", "kagglekit.cli", "rehearse", "--minutes", "0.3", "--bundle", built,
         "--out", tmp_path / "out"],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSED: this notebook is fit to submit" in done.stdout
    assert (tmp_path / "out" / "train" / "unet.safetensors").is_file()
    page = (tmp_path / "out" / "report.html").read_text()
    # Of each of three images: a photograph and its differences, prediction and truth.
    assert page.count("data:image/jpeg;base64,") == page.count("data:image/png;base64,") == 6


@pytest.mark.slow
def test_the_nuclei_notebooks_run_as_plain_python(tmp_path):
    comp = competitions.load(DSB)
    fake.make(comp, tmp_path / "input" / "competitions" / DSB, train=9, test=2)
    installer = tmp_path / "input" / "datasets" / "you" / "kagglekit-offline" / "install.py"
    installer.parent.mkdir(parents=True)
    installer.write_text("pass  # kagglekit is importable here already")
    settings = {"KAGGLEKIT_INPUT": str(tmp_path / "input"), "KAGGLEKIT_MINUTES": "0.2"}
    trained = tmp_path / "input" / "dsb2018-train"
    trained.mkdir()
    for name, folder in (("dsb2018_train", trained), ("dsb2018_submit", tmp_path)):
        done = subprocess.run(
            [sys.executable, ROOT / "notebooks" / f"{name}.py"],
            cwd=folder, env={**os.environ, **settings}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    data = comp.find_data(tmp_path / "input" / "competitions" / DSB)
    from kagglekit import submission

    assert submission.validate(tmp_path / "submission.csv", comp, data) == []


def test_a_folder_that_something_else_wrote_is_not_cleared(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    plan = Plan(tmp_path / "a.ipynb", competitions.load(DSB), image.DEFAULT, tmp_path)
    with pytest.raises(RehearsalError) as raised:
        rehearse(plan)
    assert str(raised.value) == (
        f"`{tmp_path}` exists and was not written by a rehearsal\nhint: give another folder as --out"
    )
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    file = replace(plan, out=tmp_path / "thesis.tex")
    with pytest.raises(RehearsalError, match="exists and was not written by a rehearsal"):
        rehearse(file)


def test_one_rehearsal_a_folder(tmp_path):
    plan = Plan(tmp_path / "a.ipynb", competitions.load(DSB), image.DEFAULT, tmp_path / "out")
    with holding(tmp_path / ".out.lock"), pytest.raises(RehearsalError) as raised:
        rehearse(plan)
    assert str(raised.value) == (
        f"another rehearsal is at work in `{tmp_path / 'out'}`\n"
        "hint: give this one another folder as --out"
    )
    assert not (tmp_path / "out").exists()


def test_a_typo_does_not_cost_the_last_rehearsal(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".kagglekit-rehearsal").touch()
    (out / "report.html").write_text("of yesterday")
    (tmp_path / "w").mkdir()
    comp = competitions.load(DSB)
    with pytest.raises(KaggleImageError):
        rehearse(Plan(tmp_path / "a.ipynb", comp, "kagle-2026", out))
    bad = Plan(
        tmp_path / "a.ipynb", comp, image.DEFAULT, out, data=tmp_path / "no", trained=out,
        attach=(tmp_path / "w", tmp_path / "x" / "w"),
    )  # fmt: skip
    with pytest.raises(RehearsalError) as raised:
        rehearse(bad)
    assert str(raised.value) == (
        "this cannot be rehearsed\n"
        f"  - `{tmp_path / 'no'}` is not a folder\n"
        f"  - `{tmp_path / 'x' / 'w'}` is not a folder\n"
        f"  - `{out}` lies in `{out}`, which is emptied first\n"
        "  - two datasets are called `w`"
    )
    assert (out / "report.html").read_text() == "of yesterday"


def test_what_would_be_lost_or_hidden_is_named(tmp_path):
    """The notebook, its sibling and the image's list in the folder that is emptied; names."""
    out = tmp_path / "out"
    out.mkdir()
    for name in ("a_submit.ipynb", "a_train.ipynb", "list.txt"):
        (out / name).touch()
    for name in ("My_weights", "mine/bundle-one", "other/bundle-one"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "my-weights").symlink_to("My_weights")  # under the link's name
    (out / "list.txt").write_text(TINY_LIST)
    plan = Plan(
        out / "a_submit.ipynb", competitions.load(DSB), str(out / "list.txt"), out,
        bundle=tmp_path / "mine" / "bundle-one",
        attach=(
            tmp_path / "My_weights", tmp_path / "my-weights",
            tmp_path / "other" / "bundle-one" / ".." / "bundle-one",
        ),
    )  # fmt: skip
    with pytest.raises(RehearsalError) as raised:
        rehearse(plan)
    lies = f"lies in `{out}`, which is emptied first"
    assert raised.value.problems == (
        f"`{out / 'a_submit.ipynb'}` {lies}",
        f"`{out / 'a_train.ipynb'}` {lies}",
        f"`{out / 'list.txt'}` {lies}",
        "no dataset on Kaggle can be called `My_weights`: lower-case letters, digits, single hyphens",
        "two datasets are called `bundle-one`",
    )


def test_a_bundle_of_ones_own_is_not_built_over(tmp_path, monkeypatch):
    asked = tmp_path / "requirements.in"
    asked.write_text("Helper>=0.5\nmore\n")
    folder = tmp_path / "my-bundle"
    refuse = importlib.import_module("kagglekit.rehearsal.rehearse")._refuse_to_lose
    refuse(folder, asked)  # nothing there
    make_wheel(use_index(monkeypatch, tmp_path / "index"), "helper")
    made = bundle.build(["helper"], tiny_image(), folder).manifest
    refuse(folder, asked)  # all of it is asked for
    own = replace(made, requirements=("helper", "ttach==0.0.2"), weights={"weights/a.pth": "ab"})
    (folder / manifest.FILE).write_text(own.to_json())
    with pytest.raises(RehearsalError) as raised:
        refuse(folder, asked)
    assert str(raised.value) == (
        f"the bundle in `{folder}` holds what `{asked}` does not ask for, and building would lose it\n"
        "  - ttach==0.0.2\n"
        "  - weights/a.pth\n"
        f"hint: rehearse with it: --bundle {folder}; or delete it"
    )


def test_a_bundle_of_ones_own_is_told_before_the_last_rehearsal_is_cleared(tmp_path, monkeypatch):
    make_wheel(use_index(monkeypatch, tmp_path / "index"), "helper")
    bundle.build(["helper"], tiny_image(), tmp_path / "wheels" / "kagglekit-offline")
    (tmp_path / "wheels" / "requirements.in").touch()
    monkeypatch.setattr(command, "CHECKOUT", tmp_path)
    module = importlib.import_module("kagglekit.rehearsal.rehearse")
    monkeypatch.setattr(module, "reachable", lambda whole: (whole, ()))
    out = tmp_path / "out"
    out.mkdir()
    (out / ".kagglekit-rehearsal").touch()
    (out / "report.html").write_text("of yesterday")
    with pytest.raises(RehearsalError, match="and building would lose it\n  - helper\n"):
        rehearse(Plan(tmp_path / "a.ipynb", competitions.load(DSB), image.DEFAULT, out))
    assert (out / "report.html").read_text() == "of yesterday"


def test_the_default_is_the_kidney_competition(monkeypatch):
    monkeypatch.chdir(ROOT)
    plan = default_plan(None, None)
    assert plan.notebook == Path("notebooks/hubmap_kidney_submit.ipynb")
    assert plan.comp.slug == "hubmap-kidney-segmentation"
    assert plan.out == ROOT / "rehearsals" / "hubmap-kidney-segmentation"


def test_a_notebook_says_its_competition(monkeypatch):
    monkeypatch.chdir(ROOT)
    plan = default_plan(Path("notebooks/dsb2018_submit.ipynb"), None)
    assert plan.comp.slug == DSB


def test_a_competition_without_a_profile_is_named_before_its_notebook_is_missed():
    with pytest.raises(DataError) as raised:
        default_plan(None, "kidney")
    assert str(raised.value) == (
        "no profile for competition `kidney`\nhint: there is `hubmap-kidney-segmentation`"
    )


def test_a_notebook_that_is_not_there(tmp_path):
    with pytest.raises(RehearsalError) as raised:
        default_plan(tmp_path / "no.ipynb", None)
    assert str(raised.value) == f"there is no notebook at `{tmp_path / 'no.ipynb'}`"
