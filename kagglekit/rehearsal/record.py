"""rehearsal.json: the rehearsal as plain data, for programs and for later."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kagglekit.rehearsal.limits import Limits
from kagglekit.rehearsal.report import Report
from kagglekit.rehearsal.trial import Trial


def write(report: Report, trials: Mapping[str, Trial], limits: Limits, path: Path) -> None:
    """Write what a rehearsal has found.

    Args:
        report: its verdicts and steps.
        trials: how each run went, by name ("train", "visible", "hidden", ...).
        limits: what each run might take.
        path: the file.
    """
    runs = {name: _run(trial) for name, trial in trials.items()}
    verdicts = {
        name: {
            "passed": verdict.passed,
            "kaggle_says": verdict.kaggle_says,
            "cause": verdict.cause,
            "hint": verdict.hint,
            "score": verdict.score.value if verdict.score else None,
            "per_image": verdict.score.per_image if verdict.score else {},
            "warnings": verdict.warnings,
        }
        for name, verdict in report.verdicts.items()
    }
    found = {
        "competition": report.competition,
        "notebook": report.notebook,
        "image": report.image,
        "passed": report.passed,
        "failure": report.failure,
        "remarks": report.remarks,
        # JSON knows no infinity.
        "limits": {k: v if math.isfinite(v) else None for k, v in asdict(limits).items()},
        "steps": [asdict(step) for step in report.steps],
        "runs": runs,
        "verdicts": verdicts,
    }
    path.write_text(json.dumps(found, indent=1), encoding="utf-8")


def _run(trial: Trial) -> dict[str, Any]:
    """Return a run's usage, its cells (number, start, end in seconds) and its connections."""
    return {
        "usage": asdict(trial.usage),
        "timeline": trial.outcome.get("timeline", []),
        "attempts": list(trial.attempts),
    }
