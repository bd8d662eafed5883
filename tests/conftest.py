"""What all tests share."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

# Before torch is imported: spinning threads are ten times slower when the machine is shared.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import pytest
from hypothesis import settings

# Timings belong to benchmarks; a repeatable draw makes a red CI mean the same on every machine.
settings.register_profile("kagglekit", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("kagglekit")

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real images and real RLE strings, which are not part of the project."""
    if not SHARED.is_dir():
        pytest.skip("the real images are not here (../shared/data)")
    return SHARED


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture
def hosts() -> Iterator[list[str]]:
    """Two network namespaces, joined by a cable: as two machines see each other.

    They are 10.99.0.1 and 10.99.0.2, and the device of both is called `cable`.
    """
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root and `ip` to make network namespaces")
    names = [f"kagglekit-{os.getpid()}-{k}" for k in (0, 1)]
    cable = ("link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", names[1])
    try:
        for name in names:
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", names[0], *cable)
        for k, name in enumerate(names):
            _ip("-n", name, "addr", "add", f"10.99.0.{k + 1}/24", "dev", "cable")
            _ip("-n", name, "link", "set", "cable", "up")
        yield names
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)
