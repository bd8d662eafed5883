"""uv and pip: where they are, and how they are called.

Both read the user's own settings (indexes, certificates, caches) as they always do. Relative
paths in those settings do not work here, because the tools run in a working folder of ours,
so that no project's settings around the current folder leak into a bundle.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from kagglekit.errors import NetworkError, ToolError
from kagglekit.offline import atomic

_running: set[subprocess.Popen[str]] = set()

INSTALL_HINT = "`pip install uv pip packaging`, or run `uv run build_offline.py`"

_NO_NETWORK = (
    "error sending request",
    "Failed to fetch",
    "network was disabled",
    "network connectivity is disabled",
    "NewConnectionError",
    "ConnectTimeoutError",
    "Temporary failure in name resolution",
    "Failed to establish a new connection",
)


def find_uv() -> str:
    """Return the command that runs uv.

    Raises:
        ToolError: there is none.
    """
    beside = Path(sys.executable).with_name("uv")
    if beside.is_file():
        return str(beside)
    found = shutil.which("uv")
    if found is None:
        raise ToolError("uv was not found", hint=INSTALL_HINT)
    return found


def find_pip() -> list[str]:
    """Return the command that runs this Python's pip.

    Raises:
        ToolError: this Python has no pip.
    """
    if importlib.util.find_spec("pip") is None:
        raise ToolError(f"`{sys.executable}` has no pip", hint=INSTALL_HINT)
    return [sys.executable, "-m", "pip", "--disable-pip-version-check"]


def scratch() -> AbstractContextManager[Path]:
    """Return a temporary folder, in memory where there is one: a stub is a thousand tiny files."""
    memory = Path("/dev/shm")
    fast = memory.is_dir() and os.access(memory, os.W_OK)
    return atomic.passing(memory if fast else Path(tempfile.gettempdir()), "kagglekit-scratch-")


def call(
    command: list[str], cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a tool to its end and return what it said; its status is the caller's to read.

    Raises:
        NetworkError: it failed because it could not reach the package index.
        ToolError: it could not be started.
    """
    try:
        started = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(os.environ if env is None else env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise ToolError(f"`{command[0]}` could not be started: {error}") from error
    with started:
        _running.add(started)
        try:
            out, err = started.communicate()
        except BaseException:
            started.kill()
            raise
        finally:
            _running.discard(started)
    done = subprocess.CompletedProcess(command, started.returncode, out, err)
    if done.returncode and any(sign in done.stderr for sign in _NO_NETWORK):
        raise NetworkError(
            "the package index could not be reached",
            problems=excerpt(done.stderr),
            hint="a bundle is built where there is internet; check the connection and try again",
        )
    return done


def end() -> None:
    """Kill the tools that are at work in other threads: whoever waits for them goes on."""
    for started in list(_running):
        started.kill()


def without_settings(env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what configures uv and pip: for proofs that must not depend.

    Example:
        >>> without_settings({"UV_FIND_LINKS": "x", "PIP_INDEX_URL": "y", "HOME": "/root"})
        {'HOME': '/root'}
    """
    return {key: value for key, value in env.items() if not key.startswith(("UV_", "PIP_"))}


def excerpt(stderr: str, most: int = 8) -> list[str]:
    r"""Return the last lines of what a tool said, less what only makes sense to its own users.

    Example:
        >>> excerpt("Using CPython 3.11\nerror: No solution found\n\n  cause: Because b needs c\n")
        ['Because b needs c']
    """
    noise = ("Using CPython", "Using Python", "WARNING: Location", "hint: ", "error: No solution")
    lines = [line.strip() for line in stderr.splitlines()]
    said = [line for line in lines if line and not line.startswith(noise)]
    return [line.removeprefix("error: ").removeprefix("cause: ") for line in said][-most:]
