"""Install a bundle as a notebook's first cell would: in a replica of its image, with no network."""

import json
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kagglekit.errors import BundleCheckError
from kagglekit.offline.bundle import INSTALLER
from kagglekit.offline.image import KaggleImage
from kagglekit.offline.manifest import Manifest
from kagglekit.rehearsal import sandbox
from kagglekit.rehearsal.replica import Replica, make_replica, reachable

_OWNER = "you"
_TIME = re.compile(r"time +([\d.]+ s, ([\d.]+) s of it for imports, by .+)")


@dataclass(frozen=True)
class Installed:
    """How a bundle went in.

    Attributes:
        seconds: of the first cell, as a process of its own.
        importing: of them, seconds for the proof that everything imports.
        again: seconds of the same cell run again, with nothing to do.
        told: what the cell itself said of its time, and whether uv or pip installed.
    """

    seconds: float
    importing: float
    again: float
    told: str


def install(folder: Path, manifest: Manifest, image: KaggleImage) -> tuple[str, ...]:
    """Install a bundle in a replica of an image.

    Args:
        folder: the bundle.
        manifest: its manifest.
        image: the Kaggle image to build the replica of.

    Returns:
        What to tell: Python, packages, seconds, and what this machine could not prove.

    Raises:
        BundleCheckError: `install.py` refused or failed; with what it said.
        RehearsalError: the replica could not be built.
    """
    image, unproved = reachable(image)
    replica = replica_for([manifest], image, exact=not unproved)
    try:
        done = install_in(replica, folder)
    except BundleCheckError as error:
        raise BundleCheckError(
            f"`{folder}` does not install in the replica of {image.name}", problems=error.problems
        ) from error
    where = "with no network" if sandbox.isolation() == "" else "the network refused in Python only"
    return (
        f"installed in Python {replica.python} with {len(replica.packages)} packages of"
        f" {image.name}, {where}: {done.seconds:.1f} s (the cell itself {done.told}); again, with"
        f" nothing to do: {done.again:.1f} s",
        *unproved,
    )


def install_in(replica: Replica, folder: Path) -> Installed:
    """Run the bundle's `install.py` twice in a clone; the second time nothing must be left to do.

    Raises:
        BundleCheckError: `install.py` refused or failed; the problems are what it said.
    """
    with tempfile.TemporaryDirectory() as scratch:
        working = Path(scratch, "working")
        working.mkdir()
        inputs = {f"datasets/{_OWNER}/{folder.name}": folder}
        session = sandbox.of_replica(replica, inputs, working, Path(scratch, "session"))
        seconds, told = [], []
        try:
            for wanted in ("installed  ", "installed  nothing"):
                started = time.perf_counter()
                said: list[str] = []
                command = _command(session.python / "bin" / "python", folder.name)
                done = sandbox.run(command, session, said.append)
                seconds.append(time.perf_counter() - started)
                told += [found for line in said if (found := _TIME.fullmatch(line))]
                if done.status or not any(line.startswith(wanted) for line in said):
                    raise BundleCheckError(
                        f"`{folder}` does not install",
                        problems=[line for line in said if line.strip()][-12:],
                    )
        finally:
            sandbox.forget(session)
    return Installed(seconds[0], float(told[0][2]), seconds[1], told[0][1])


def replica_for(
    manifests: Sequence[Manifest], image: KaggleImage, *, exact: bool = True
) -> Replica:
    """Build the replica of an image as far as bundles need it, without what the bundles bring.

    Raises:
        RehearsalError: the replica could not be built.
    """
    roots = {"uv"} if image.version_of("uv") else set()  # pip is always there
    for each in manifests:
        roots |= {*each.requirements, *each.target(image.name).expects}
    bundled = {wheel.name for each in manifests for wheel in each.wheels}
    return make_replica(image, roots, bundled, exact=exact)


def _command(python: Path, slug: str) -> list[str]:
    place = json.dumps(f"/datasets/{_OWNER}/{slug}/{INSTALLER}")
    code = (
        "import os, runpy; root = os.environ.get('KAGGLEKIT_INPUT', '/kaggle/input');"
        f" runpy.run_path(root + {place}, run_name='__main__')"
    )
    return [str(python), "-c", code]
