"""The script as a user runs it: in its own process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kagglekit.offline import image, tools

SCRIPT = Path(__file__).resolve().parents[1] / "build_offline.py"


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


def test_help() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "--image NAME|FILE" in done.stdout
    for name in image.names():
        assert name in " ".join(done.stdout.split())


def test_bad_arguments() -> None:
    assert run("--nosuch").returncode == 2


def test_an_error_is_one_message_and_a_status() -> None:
    done = run("--requirements", "/nowhere/requirements.in")
    assert (done.returncode, done.stdout) == (17, "")
    assert done.stderr == (
        "error: the requirements `/nowhere/requirements.in` cannot be read:"
        " [Errno 2] No such file or directory: '/nowhere/requirements.in'\n"
    )
    assert run("--image", "nosuch").returncode == 16


def test_what_to_install_when_something_is_missing(tmp_path: Path) -> None:
    blocked = "import sys; sys.modules['packaging'] = None; import runpy, sys\n"
    blocked += f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    command = [sys.executable, "-c", blocked]
    environment = os.environ | {"PYTHONPATH": str(SCRIPT.parent)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 15
    assert done.stderr.splitlines()[1] == (
        "hint: `pip install uv pip packaging`, or run `uv run build_offline.py`"
    )


def test_numpy_and_torch_are_not_imported() -> None:
    code = (
        "import sys; sys.modules.update(numpy=None, torch=None, pandas=None)\n"
        "from kagglekit.offline import command"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.network
@pytest.mark.parametrize("name", image.names())
def test_the_default_bundle_is_two_wheels(tmp_path: Path, name: str) -> None:
    done = run("--image", name, "--out", str(tmp_path / "kagglekit-offline"))
    if done.returncode == 14:
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stderr
    wheels = {path.name.split("-")[0]: path for path in tmp_path.glob("*/*.whl")}
    assert set(wheels) == {"kagglekit", "segmentation_models_pytorch"}
    assert sum(path.stat().st_size for path in wheels.values()) < 1_000_000


@pytest.mark.network
def test_uv_brings_what_the_script_needs(tmp_path: Path) -> None:
    command = [tools.find_uv(), "run", "--no-project", str(SCRIPT), "--image", "nosuch"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    if "nosuch" not in done.stderr:
        pytest.skip(f"uv could not set the script up: {done.stderr[-200:]}")
    assert done.returncode == 16
