from itertools import pairwise
from pathlib import Path

import pytest

from kagglekit.errors import BundleError
from kagglekit.offline import fetch, image
from tests.wheels_factory import make_wheel, tiny_image, use_index


def test_pip_is_told_every_platform_that_glibc_allows() -> None:
    arguments = fetch.pip_target_arguments(image.load("kaggle-2026-06-gpu"))
    platforms = [b for a, b in pairwise(arguments) if a == "--platform"]
    modern = [f"manylinux_2_{minor}_x86_64" for minor in range(5, 36)]
    legacy = ["manylinux1_x86_64", "manylinux2010_x86_64", "manylinux2014_x86_64", "linux_x86_64"]
    assert sorted(platforms) == sorted([*modern, *legacy])


@pytest.mark.parametrize("platform", ["manylinux_2_35_x86_64", "manylinux2014_x86_64", "any"])
def test_wheels_for_another_machine_are_downloaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str
) -> None:
    index = use_index(monkeypatch, tmp_path / "index")
    tag = "py3-none-any" if platform == "any" else f"cp312-cp312-{platform}"
    made = make_wheel(index, "fast", tag=tag)
    folder = tmp_path / "wheels"
    folder.mkdir()
    fetch.download([("fast", "1.0")], tiny_image(), folder, tmp_path)
    assert [path.name for path in folder.iterdir()] == [made.name]


def test_nothing_is_asked_of_pip_when_nothing_is_missing(tmp_path: Path) -> None:
    fetch.download([], tiny_image(), tmp_path / "missing", tmp_path)
    assert not list(tmp_path.iterdir())


def test_pip_takes_only_the_files_that_uv_looked_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_wheel(use_index(monkeypatch, tmp_path / "index"), "fast")
    folder = tmp_path / "wheels"
    folder.mkdir()
    other = f"fast==1.0 --hash=sha256:{'0' * 64}"
    with pytest.raises(BundleError) as caught:
        fetch._pip_download([other], tiny_image(), folder, tmp_path)
    assert str(caught.value).splitlines()[0] == (
        "pip was offered other files than uv: the two are set to different package indexes"
    )
    assert not list(folder.iterdir())
