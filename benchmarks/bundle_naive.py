"""The naive way: `pip download` at home, `pip install --no-index --find-links` on Kaggle."""

import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from kagglekit.rehearsal import sandbox
from kagglekit.rehearsal.replica import Replica


class RefusedError(Exception):
    """What pip said last."""


def download(replica: Replica, wanted: Sequence[str], wheels: Path) -> None:
    """Download a list with the replica's pip; raises RefusedError."""
    command = [replica.executable, "-m", "pip", "download", "--quiet", "-d", wheels, *wanted]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RefusedError(_last(done.stderr.splitlines()))


def install(replica: Replica, wanted: Sequence[str], wheels: Path) -> float:
    """Install it with no network in a clone of the replica; return the seconds."""
    with tempfile.TemporaryDirectory() as scratch:
        clone = replica.clone(Path(scratch, "replica"))
        working = Path(scratch, "working")
        working.mkdir()
        session = sandbox.Session({"naive": wheels}, working, Path(scratch, "s"), clone.folder)
        said: list[str] = []
        options = ["--no-index", "--find-links", "/kaggle/input/naive"]
        command = [str(clone.executable), "-m", "pip", "install", *options, *wanted]
        started = time.perf_counter()
        finished = sandbox.run(command, session, said.append)
        seconds = time.perf_counter() - started
    if finished.status:
        raise RefusedError(_last(said))
    return seconds


def _last(lines: Sequence[str]) -> str:
    errors = [line for line in lines if line.startswith("ERROR")] or list(lines) or ["no message"]
    return errors[-1][:80].replace("|", "/")
