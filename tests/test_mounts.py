"""Every layout of /kaggle/input, and what is said when something is not attached."""

from pathlib import Path

import pytest

from kagglekit import mounts
from kagglekit.errors import DataError

LAYOUTS = ("bowl", "competitions/bowl", "datasets/owner/bowl", "notebooks/owner/bowl")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout(layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / layout).mkdir(parents=True)
    assert mounts.find_input("bowl", tmp_path) == tmp_path / layout
    monkeypatch.setenv("KAGGLEKIT_INPUT", str(tmp_path))
    assert mounts.find_input("bowl") == tmp_path / layout


def test_the_first_layout_wins(tmp_path: Path) -> None:
    for layout in reversed(LAYOUTS):
        (tmp_path / layout).mkdir(parents=True)
        assert mounts.find_input("bowl", tmp_path) == tmp_path / layout


def test_a_file_of_that_name_is_no_input(tmp_path: Path) -> None:
    (tmp_path / "bowl").touch()
    (tmp_path / "datasets" / "b" / "bowl").mkdir(parents=True)
    assert mounts.find_input("bowl", tmp_path) == tmp_path / "datasets" / "b" / "bowl"


def test_a_link_is_an_input(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "bowl").symlink_to(tmp_path / "elsewhere")
    assert mounts.find_input("bowl", tmp_path / "input") == tmp_path / "input" / "bowl"


def test_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAGGLEKIT_INPUT", "KAGGLEKIT_WORKING"):
        monkeypatch.delenv(name, raising=False)
    assert mounts.input_root() == Path("/kaggle/input")
    assert mounts.working_root() == Path("/kaggle/working")
    monkeypatch.setenv("KAGGLEKIT_INPUT", "/a")
    monkeypatch.setenv("KAGGLEKIT_WORKING", "/b")
    assert mounts.input_root() == Path("/a")
    assert mounts.working_root() == Path("/b")


def told(root: Path) -> list[str]:
    with pytest.raises(DataError) as caught:
        mounts.find_input("bowl", root)
    first, *found, hint = str(caught.value).splitlines()
    assert first == f"`bowl` is not attached: nothing of that name under `{root}`"
    assert hint == (
        "hint: attach it to the notebook with “Add Input”, or set KAGGLEKIT_INPUT to where it is"
    )
    return found


def test_what_is_attached_is_shown(tmp_path: Path) -> None:
    (tmp_path / "competitions" / "hubmap" / "train").mkdir(parents=True)
    (tmp_path / "competitions" / "hubmap" / "train.csv").touch()
    (tmp_path / "datasets" / "me" / "weights" / "deeper").mkdir(parents=True)
    assert told(tmp_path) == [
        "  - found competitions",
        "  - found datasets",
        "  - found competitions/hubmap",
        "  - found datasets/me",
        "  - found competitions/hubmap/train",
        "  - found datasets/me/weights",
    ]


def test_of_many_things_some_are_shown(tmp_path: Path) -> None:
    for n in range(30):
        (tmp_path / f"a{n:02}.csv").touch()
        (tmp_path / f"b{n:02}").mkdir()
    assert told(tmp_path) == [f"  - found b{n:02}" for n in range(8)]


def test_nothing_is_attached(tmp_path: Path) -> None:
    assert told(tmp_path) == [f"  - `{tmp_path}` holds no folder"]
    assert told(tmp_path / "gone") == [f"  - `{tmp_path}/gone` does not exist"]
