import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kagglekit.errors import NetworkError, ToolError
from kagglekit.offline import tools


def test_uv_and_pip_are_found() -> None:
    for command in ([tools.find_uv()], tools.find_pip()):
        done = tools.call([*command, "--version"], cwd=Path.cwd())
        assert done.returncode == 0
        assert done.stdout.startswith(("uv ", "pip "))


def test_uv_on_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\n")
    uv.chmod(0o755)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tools.find_uv() == str(uv)


def test_a_status_is_handed_on(tmp_path: Path) -> None:
    done = tools.call([sys.executable, "-c", "import sys; sys.exit('no')"], cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "no\n")


def test_a_command_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="`nosuch` could not be started"):
        tools.call(["nosuch"], cwd=tmp_path)


def test_an_unreachable_index(tmp_path: Path) -> None:
    code = "import sys; sys.exit('error: Failed to fetch: x\\n  cause: dns error')"
    with pytest.raises(NetworkError) as caught:
        tools.call([sys.executable, "-c", code], cwd=tmp_path)
    assert str(caught.value) == (
        "the package index could not be reached\n"
        "  - Failed to fetch: x\n"
        "  - dns error\n"
        "hint: a bundle is built where there is internet; check the connection and try again"
    )


def test_a_long_explanation_is_cut_at_the_front() -> None:
    said = "".join(f"line {i}\n" for i in range(20))
    assert tools.excerpt(said, most=2) == ["line 18", "line 19"]


def test_tools_in_other_threads_can_be_ended(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(tools.call, ["sleep", "600"], tmp_path) for _ in range(2)]
        while len(tools._running) < 2:
            time.sleep(0.01)
        tools.end()
        assert [call.result().returncode for call in calls] == [-signal.SIGKILL] * 2
    assert not tools._running


def test_what_killed_runs_left_in_memory_is_cleared() -> None:
    with tools.scratch() as folder:
        left = folder.with_name("kagglekit-scratch-left-by-a-test")
        left.mkdir()
        with tools.scratch() as other:
            assert folder.is_dir()
            assert other.is_dir()
            assert not left.exists()
    assert not folder.exists()
