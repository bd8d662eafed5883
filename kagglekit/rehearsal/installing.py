"""Install a bundle as a notebook's first cell would: in a replica of its image, with no network."""

import json
import tempfile
import time
from pathlib import Path

from kagglekit.errors import BundleCheckError
from kagglekit.offline.bundle import INSTALLER
from kagglekit.offline.image import KaggleImage
from kagglekit.offline.manifest import Manifest
from kagglekit.rehearsal import sandbox
from kagglekit.rehearsal.replica import Replica, make_replica, reachable

_OWNER = "you"


def install(folder: Path, manifest: Manifest, image: KaggleImage) -> tuple[str, ...]:
    """Run the bundle's `install.py` twice; the second time there must be nothing left to do.

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
    replica = replica_for(manifest, image, exact=not unproved)
    with tempfile.TemporaryDirectory() as scratch:
        clone = replica.clone(Path(scratch, "replica"))
        working = Path(scratch, "working")
        working.mkdir()
        inputs = {f"datasets/{_OWNER}/{folder.name}": folder}
        session = sandbox.Session(inputs, working, Path(scratch, "session"), clone.folder)
        seconds, told = [], []
        for wanted in ("installed  ", "installed  nothing"):
            started = time.perf_counter()
            said: list[str] = []
            done = sandbox.run(_command(clone.executable, folder.name), session, said.append)
            seconds.append(time.perf_counter() - started)
            told += [line for line in said if line.startswith("time  ")]
            if done.status or not any(line.startswith(wanted) for line in said):
                raise BundleCheckError(
                    f"`{folder}` does not install in the replica of {image.name}",
                    problems=[line for line in said if line.strip()][-12:],
                )
    count, first, second = len(replica.packages), *seconds
    time_line = told[0].split(maxsplit=1)[1]
    where = "with no network" if sandbox.isolation() == "" else "the network refused in Python only"
    return (
        f"installed in Python {replica.python} with {count} packages of {image.name}, {where}:"
        f" {first:.1f} s (the cell itself {time_line}); again, with nothing to do: {second:.1f} s",
        *unproved,
    )


def replica_for(manifest: Manifest, image: KaggleImage, *, exact: bool = True) -> Replica:
    """Build the replica of an image as far as a bundle needs it, without what the bundle brings.

    Raises:
        RehearsalError: the replica could not be built.
    """
    tools = {"uv"} if image.version_of("uv") else set()  # pip is always there
    roots = {*manifest.requirements, *manifest.target(image.name).expects, *tools}
    bundled = [wheel.name for wheel in manifest.wheels]
    return make_replica(image, roots, bundled, exact=exact)


def _command(python: Path, slug: str) -> list[str]:
    place = json.dumps(f"/datasets/{_OWNER}/{slug}/{INSTALLER}")
    code = (
        "import os, runpy; root = os.environ.get('KAGGLEKIT_INPUT', '/kaggle/input');"
        f" runpy.run_path(root + {place}, run_name='__main__')"
    )
    return [str(python), "-c", code]
