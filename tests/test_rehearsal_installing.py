import ensurepip
import shutil
import sys
from pathlib import Path

import pytest

from kagglekit import cli
from kagglekit.offline import command
from kagglekit.rehearsal import replica
from tests.wheels_factory import TINY_LIST, make_parts, make_wheel, use_index

HOST = f"3.{sys.version_info.minor}"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle, the list of its image, and an index from which the replica is made."""
    folder = make_parts(tmp_path / "parts")
    index = use_index(monkeypatch, tmp_path / "index")
    shutil.copytree(folder / "image", index, dirs_exist_ok=True)
    for name in ("ipykernel", "nbclient", "nbformat", "asked"):
        make_wheel(index, name)
    [pip] = Path(ensurepip.__file__).parent.glob(
        "_bundled/pip-*.whl"
    )  # the replica needs a real one
    shutil.copy(pip, index)
    monkeypatch.setattr(command, "CHECKOUT", tmp_path)
    (tmp_path / "tiny.txt").write_text(TINY_LIST)
    monkeypatch.setenv("KAGGLEKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(replica, "find_python", lambda version: (sys.executable, ()))
    return folder / "my-bundle"


def run(made: Path, *arguments: str) -> int:
    listed = made.parents[1] / "tiny.txt"
    return cli.main(["check-bundle", str(made), "--image", str(listed), *arguments])


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_bundle_that_installs(
    made: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    installer: str,
) -> None:
    if installer == "pip":
        if shutil.which("uv", path="/usr/local/bin:/usr/bin:/bin"):
            pytest.skip("this machine's own uv would be found in the sandbox")
        monkeypatch.setattr(replica, "_put_uv", lambda program: None)
    assert run(made, "--install") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{made}: installs on tiny (Python 3.12): 3 wheels, proved in ")
    assert second.startswith(f"  installed in Python {HOST}.")
    assert " packages of tiny, with no network: " in second or " refused in Python only: " in second
    assert f" s of it for imports, by {installer}); again, with nothing to do: " in second


def test_a_bundle_that_only_fails_when_it_is_imported(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_wheel(tmp_path / "index", "broken", body="import nosuchmodule\n")
    listed = str(tmp_path / "tiny.txt")
    out = str(tmp_path / "broken-bundle")
    assert cli.main(["build", "broken", "--image", listed, "--out", out]) == 0
    capsys.readouterr()
    assert cli.main(["check-bundle", out, "--image", listed, "--install"]) == 18
    told = capsys.readouterr().err
    assert told.startswith(f"error: `{out}` does not install in the replica of tiny\n")
    assert "`import broken`: ModuleNotFoundError: No module named 'nosuchmodule'" in told


def test_a_bundle_for_another_image(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check-bundle", str(made)]) == 16
    assert "`tiny` is neither a known Kaggle image nor" in capsys.readouterr().err
    assert cli.main(["check-bundle", str(made), "--image", "kaggle-2026-06-gpu"]) == 18


def test_a_folder_that_is_no_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check-bundle", str(tmp_path)]) == 18
    assert "the manifest of" in capsys.readouterr().err
