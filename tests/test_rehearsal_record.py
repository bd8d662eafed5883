"""rehearsal.json, as another program reads it."""

import json
from pathlib import Path

import pytest

from kagglekit.rehearsal import record
from kagglekit.rehearsal.limits import Limits, Usage
from kagglekit.rehearsal.report import Report, Step
from kagglekit.rehearsal.trial import Trial


def test_it_is_json_for_every_program_and_no_limit_is_null(tmp_path: Path) -> None:
    report = Report("HuBMAP", "kidney.py", "tiny", steps=[Step("hidden", "ran", 2.0, 812.4)])
    trial = Trial({"timeline": [[1, 0.5, 1.5]]}, (), Usage(2.0))
    record.write(report, {"hidden": trial}, Limits(seconds=60), tmp_path / "rehearsal.json")

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    text = (tmp_path / "rehearsal.json").read_text("utf-8")
    found = json.loads(text, parse_constant=refuse)
    assert found["limits"] == {"seconds": 60, "memory": None, "disk": None}
    assert found["competition"] == "HuBMAP"
    assert found["runs"]["hidden"]["timeline"] == [[1, 0.5, 1.5]]
    assert found["runs"]["hidden"]["usage"]["seconds"] == 2.0
    assert found["steps"][0]["seconds"] == 2.0
