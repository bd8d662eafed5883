from pathlib import Path

import pytest

from kagglekit.offline import image, resolve
from tests.wheels_factory import make_wheel, use_index


@pytest.mark.parametrize("name", image.names())
def test_what_torch_depends_on_is_never_looked_at(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    loaded = image.load(name)
    index = use_index(monkeypatch, tmp_path / "index")
    make_wheel(index, "asked", requires=["torch>=2", "opencv-contrib-python-headless"])
    make_wheel(index, "torch", loaded.packages["torch"], requires=["gigantic==1.0"])
    stub = resolve.Stub.write(loaded, tmp_path / "stub")
    assert resolve.missing(["asked", "torch", "numpy"], stub) == [("asked", "1.0", False)]


def test_a_git_install_counts_as_present(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_index(monkeypatch, tmp_path / "index")
    text = "# python: 3.12\n# glibc: 2.35\nfrom_git @ git+ssh://somewhere/x@abc\nother==1.0\n"
    stub = resolve.Stub.write(image.parse(text, "mine"), tmp_path / "stub")
    assert resolve.missing(["from-git"], stub) == []


def test_markers_are_those_of_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = use_index(monkeypatch, tmp_path / "index")
    make_wheel(index, "old")
    make_wheel(index, "new")
    stub = resolve.Stub.write(image.load("colab-2026-08-gpu"), tmp_path / "stub")
    wanted = ["old; python_version < '3.13'", "new; python_version >= '3.13'"]
    assert resolve.missing(wanted, stub) == [("new", "1.0", False)]
