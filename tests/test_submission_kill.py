"""Killed at any moment, a run leaves a valid file, and the next one ends as if nothing had happened."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEN = "abcdefghij"


def test_killed_at_twenty_random_moments_the_next_run_ends_the_same(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.submission_kill_worker", str(tmp_path)],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    attempts = json.loads(done.stdout.splitlines()[-1])
    assert len(attempts) == 20
    for attempt in attempts:
        assert attempt["killed"], attempt
        assert attempt["left"] in (None, []), "the file that the kill left is not valid"
        assert attempt["same"], attempt
        # Only the image at work when the kill came is predicted again, and the one that fails.
        counts = Counter(attempt["predicted"])
        assert set(counts) == set(TEN), attempt
        twice = [image_id for image_id, times in counts.items() if times > 1]
        assert len(set(twice) - {"d"}) <= 1, attempt
        assert max(counts.values()) <= 2
        assert [name for name in attempt["beside"] if name.endswith(".tmp")] == [], attempt
    assert sum(attempt["left"] == [] for attempt in attempts) >= 12, "too many came before any file"
