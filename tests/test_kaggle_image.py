"""The library with the exact versions of Kaggle's image, older than those it is developed with."""

import json
import subprocess
import tomllib
from pathlib import Path

import pytest

from kagglekit.offline import image
from kagglekit.rehearsal.replica import make_replica

ROOT = Path(__file__).parents[1]


@pytest.mark.network
@pytest.mark.slow
def test_what_was_stopped_goes_on_there(tmp_path):
    kaggle = image.load("kaggle-2026-06-gpu")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [line.split(">")[0] for line in project["dependencies"]]
    made = make_replica(kaggle, needed)
    done = subprocess.run(
        [made.folder / "bin" / "python", "-m", "tests.kaggle_worker", tmp_path],
        cwd=ROOT, env={"PATH": "", "NO_ALBUMENTATIONS_UPDATE": "1"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["numpy"] == kaggle.packages["numpy"]
    assert found["is_right"]
    assert found["is_trained"]
    for whole, before, after in (found["predicted"], found["trained"]):
        assert before < whole
        assert after < 0.7 * whole  # the rest, not all of it
