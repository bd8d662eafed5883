import argparse
from pathlib import Path

import pytest

from kagglekit import __version__
from kagglekit.errors import KaggleImageError
from kagglekit.offline import bundle, command
from tests.wheels_factory import TINY_LIST, make_project, make_wheel, tiny_image, use_index


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(arguments)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with an index, a project that stands for the checkout, and a list."""
    index = use_index(monkeypatch, tmp_path / "index")
    make_wheel(index, "asked", requires=["helper", "there"])
    make_wheel(index, "helper")
    monkeypatch.setattr(command, "CHECKOUT", make_project(tmp_path / "checkout"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.txt").write_text(TINY_LIST)
    (tmp_path / "requirements.in").write_text("asked\ntorch\n")
    return tmp_path


def test_what_a_user_reads(here: Path) -> None:
    arguments = ["--image", "tiny.txt", "--requirements", "requirements.in", "--out", "my-bundle"]
    said: list[str] = []
    built = command.run(parse(*arguments), said.append)
    sizes = {wheel.name: f"{wheel.size / 1e6:.2f} MB" for wheel in built.manifest.wheels}
    total = f"{sum(path.stat().st_size for path in built.folder.glob('*.whl')) / 1e6:.2f} MB"
    assert (
        "\n".join(said)
        == f"""\
building the wheel of {here}/checkout
resolving for tiny (Python 3.12, 3 packages)
proving it offline against tiny

my-bundle: 3 wheels, {total}
  asked 1.0    {sizes["asked"]}  asked for
  helper 1.0   {sizes["helper"]}  needed by asked
  mine 1.0     {sizes["mine"]}  this project

tiny (Python 3.12, glibc 2.35) already has:
  there 1.5
  torch 2.10.0

first put your Kaggle user name into my-bundle/dataset-metadata.json, or give --owner
next, upload it; the second line is for later versions:
  kaggle datasets create -p my-bundle -r zip
  kaggle datasets version -p my-bundle -r zip -m "new bundle"

then attach the dataset to the notebook; its first cell, before any import, is

import glob
import os
import runpy

root = os.environ.get("KAGGLEKIT_INPUT", "/kaggle/input")
found = glob.glob(f"{{root}}/my-bundle/install.py")
found += glob.glob(f"{{root}}/datasets/*/my-bundle/install.py")
if not found:
    raise FileNotFoundError("attach the dataset my-bundle to this notebook")
_ = runpy.run_path(found[0], run_name="__main__")"""
    )
    assert built.manifest.made_by == f"kagglekit {__version__}"


def test_an_owner_spares_a_step(here: Path) -> None:
    said: list[str] = []
    arguments = ["--image", "tiny.txt", "--requirements", "requirements.in", "--owner", "me"]
    command.run(parse(*arguments, "--out", "my-bundle"), said.append)
    assert "user name" not in "\n".join(said)


def test_one_wheel_and_nothing_from_the_image(here: Path) -> None:
    built = bundle.build(["helper"], tiny_image(), here / "my-bundle")
    lines = command.summary(built).splitlines()
    assert lines[0].startswith("my-bundle: 1 wheel, ")
    assert lines[3] == "tiny (Python 3.12, glibc 2.35) already has nothing of what is needed"


def wanted(*arguments: str) -> list[str]:
    found = command._wanted(parse(*arguments), [tiny_image()], lambda _: None)
    assert isinstance(found, list)
    return found


def test_all_that_says_what_is_needed(here: Path) -> None:
    (here / "submit.py").write_text("# /// script\n# dependencies = ['asked']\n# ///\nimport cv2\n")
    (here / "plain.in").write_text("helper>=1\n")
    notebook = here / "elsewhere" / "n.py"
    notebook.parent.mkdir()
    notebook.write_text("import kagglekit\nfrom skimage import io\n")
    assert wanted("zarr>=3", "helper") == ["zarr>=3", "helper"]
    assert wanted("--requirements", "plain.in", "zarr") == ["zarr", "helper>=1"]
    assert wanted("--requirements", "submit.py") == ["asked"]
    assert wanted("--notebook", str(notebook)) == ["scikit-image"]
    default = command.CHECKOUT / "wheels" / "requirements.in"
    assert command._wanted(parse(), [tiny_image()], print) == default


def test_what_is_left_out_of_a_notebook_is_told(here: Path) -> None:
    optional = "try:\n    import there, absent\nexcept ImportError:\n    pass\n"
    (here / "n.py").write_text("%pip install kagglekit -q https://a.b/c.whl\n" + optional)
    said: list[str] = []
    assert command._wanted(parse("--notebook", "n.py"), [tiny_image()], said.append) == []
    assert said == [
        "passed over in n.py, cell 1: `https://a.b/c.whl` is installed, and is no name of an index",
        "left out: absent, imported in a `try`; give its name to bundle it, too",
    ]


def test_projects_of_ones_own(here: Path) -> None:
    make_project(here / "secret", "secret_utils", requires=["helper"])
    arguments = ["--image", "tiny.txt", "--project", "secret", "--out", "my-bundle", "asked"]
    built = command.run(parse(*arguments), lambda _: None)
    why = {wheel.name: wheel.why for wheel in built.manifest.wheels}
    assert why["secret-utils"] == why["mine"] == "this project"


def test_an_unknown_image_is_told_before_anything_is_done(here: Path) -> None:
    said: list[str] = []
    with pytest.raises(KaggleImageError):
        command.run(parse("--image", "nosuch", "--requirements", "requirements.in"), said.append)
    assert said == []


@pytest.mark.parametrize("layout", ["my-bundle", "datasets/someone/my-bundle"])
def test_the_first_cell_finds_either_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    (tmp_path / layout).mkdir(parents=True)
    (tmp_path / layout / "install.py").write_text("from pathlib import Path\nPath('ran').touch()\n")
    monkeypatch.setenv("KAGGLEKIT_INPUT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    exec(command.FIRST_CELL.format(slug="my-bundle"), {})
    assert (tmp_path / "ran").exists()


def test_the_first_cell_says_what_is_not_attached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLEKIT_INPUT", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="attach the dataset my-bundle to this notebook"):
        exec(command.FIRST_CELL.format(slug="my-bundle"), {})


def test_the_guide_shows_the_same_first_cell() -> None:
    guide = Path(__file__).resolve().parents[1] / "docs" / "offline.md"
    assert command.FIRST_CELL.format(slug="kagglekit-offline") in guide.read_text()
