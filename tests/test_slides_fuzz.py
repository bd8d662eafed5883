import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_two_thousand_spoiled_files_neither_crash_nor_hang_nor_raise_anything_else(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "tests.slides_fuzz", tmp_path, "7", "2000"],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    answer = json.loads(run.stdout)
    ends = answer["ends"]
    assert set(ends) == {"read", "refused"}
    assert sum(ends.values()) == 2000
    assert ends["refused"] > 1000
    assert answer["slowest"] < 5  # seconds: none of them hung
