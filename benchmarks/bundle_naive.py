"""The naive way: `pip download` at home, `pip install --no-index --find-links` on Kaggle."""

import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from kagglekit.offline.image import KaggleImage
from kagglekit.offline.manifest import Manifest
from kagglekit.rehearsal import sandbox
from kagglekit.rehearsal.installing import replica_for


def install(kaggle: KaggleImage, manifest: Manifest, wanted: Sequence[str]) -> list[str]:
    """Download a list with pip and install it in the replica that our bundle is installed in.

    Args:
        kaggle: the image.
        manifest: of our bundle, which says what the replica must have and must lack.
        wanted: the list.

    Returns:
        Wheels, MiB, and the seconds that the installation takes; or what pip said last.
    """
    replica = replica_for(manifest, kaggle)
    with tempfile.TemporaryDirectory() as scratch:
        wheels = Path(scratch, "naive")
        command = [replica.executable, "-m", "pip", "download", "--quiet", "-d", wheels, *wanted]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            return ["", "", _last(done.stderr.splitlines())]
        files = list(wheels.iterdir())
        clone = replica.clone(Path(scratch, "replica"))
        working = Path(scratch, "working")
        working.mkdir()
        session = sandbox.Session({"naive": wheels}, working, Path(scratch, "s"), clone.folder)
        said: list[str] = []
        options = ["--no-index", "--find-links", "/kaggle/input/naive"]
        started = time.perf_counter()
        finished = sandbox.run(
            [str(clone.executable), "-m", "pip", "install", *options, *wanted], session, said.append
        )
        size = sum(file.stat().st_size for file in files) / 2**20
        seconds = time.perf_counter() - started
        told = f"{seconds:.1f}" if finished.status == 0 else _last(said)
        return [str(len(files)), f"{size:,.0f}", told]


def _last(lines: Sequence[str]) -> str:
    errors = [line for line in lines if line.startswith("ERROR")] or list(lines) or ["no message"]
    return errors[-1][:80].replace("|", "/")
