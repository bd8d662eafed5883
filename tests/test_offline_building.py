from configparser import ConfigParser
from pathlib import Path

import pytest

from kagglekit.offline import building
from tests.wheels_factory import make_project, make_sdist, make_wheel, use_index


def test_a_project_becomes_a_wheel(tmp_path: Path) -> None:
    project = make_project(tmp_path / "a project")
    built = building.project_wheel(project, tmp_path / "built")
    assert built.name == "mine-1.0-py3-none-any.whl"
    assert built.read_bytes() == (project / built.name).read_bytes()


def test_setuptools_builds_outside_the_project(tmp_path: Path) -> None:
    """In `build/` of a project lie modules that were deleted since, and setuptools packs them."""
    project = make_project(tmp_path / "project")
    noting = "import os, shutil\nshutil.copy(os.environ['DIST_EXTRA_CONFIG'], 'settings.cfg')\n"
    backend = (project / "backend.py").read_text()
    (project / "backend.py").write_text(noting + backend)
    building.project_wheel(project, tmp_path / "100%")
    settings = ConfigParser()
    settings.read(project / "settings.cfg")
    aside = tmp_path / "100%" / "setuptools"
    assert settings["build"]["build_base"] == f"{aside}/build"
    assert settings["egg_info"]["egg_base"] == str(aside)
    assert aside.is_dir()


def test_a_finished_wheel_is_taken_as_it_is(tmp_path: Path) -> None:
    made = make_wheel(tmp_path, "fast", tag="cp312-cp312-linux_x86_64")
    assert building.project_wheel(made, tmp_path / "built") == made


def test_a_source_package_becomes_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_sdist(use_index(monkeypatch, tmp_path / "index"), "old_style", "0.3")
    built = building.source_wheel("old-style", "0.3", tmp_path / "built")
    assert built.name == "old_style-0.3-py3-none-any.whl"
