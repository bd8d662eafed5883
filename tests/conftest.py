"""What all tests share."""

import os
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
