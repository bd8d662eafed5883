"""One run of a notebook or script in the sandbox, under limits, and how it went."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kagglekit.errors import RehearsalError
from kagglekit.rehearsal import notebooks, sandbox
from kagglekit.rehearsal.limits import GB, NO_LIMITS, Exceeded, Limits, Usage
from kagglekit.rehearsal.sandbox import Session

_INSIDE = Path(__file__).parent / "inside"
_SILENCE = 15.0  # seconds without a line after which it is told how far the run is

Say = Callable[[str], None]
Outcome = dict[str, Any]
Attempts = tuple[dict[str, str], ...]


@dataclass(frozen=True)
class Trial:
    """How a run went.

    Attributes:
        outcome: what the runner wrote: ok, cells, timeline; of a failure cell, line, name, message;
            of a run that was stopped at a limit `exceeded` ("time", "memory", "disk") as well.
        attempts: connections that were tried: host, port, where.
        usage: what it took.
    """

    outcome: Outcome
    attempts: Attempts
    usage: Usage

    @property
    def working_seconds(self) -> float:
        """The seconds from the start of the first cell to the end of the last that was begun."""
        timeline = self.outcome["timeline"]
        return float(timeline[-1][2] - timeline[0][1]) if timeline else 0.0


def run_trial(
    notebook: Path, session: Session, limits: Limits = NO_LIMITS, say: Say = lambda line: None
) -> Trial:
    """Run a notebook, or a script, and wait for it.

    Args:
        notebook: .ipynb, `# %%` script, or plain script.
        session: what it sees; the executed notebook is left in its scratch folder as result.ipynb.
        limits: at which it is stopped.
        say: called with each line that it prints, and now and then with how far it is.

    Raises:
        RehearsalError: the runner itself failed; with what it printed.
    """
    session.scratch.mkdir(parents=True, exist_ok=True)
    runnable = notebooks.runnable(notebook, session.scratch)
    runner = _INSIDE / ("runner.py" if runnable.suffix == ".ipynb" else "script.py")
    result = session.scratch.resolve() / "result.json"
    at = result.with_suffix(".at")
    for old in (result, at):
        old.unlink(missing_ok=True)
    lines: list[str] = []
    told = time.monotonic()

    def on_line(line: str) -> None:
        nonlocal told
        lines.append(line)
        if line.strip():
            told = time.monotonic()
            say(f"      | {line}")

    def tick(seconds: float, mb: float) -> None:
        nonlocal told
        if time.monotonic() - told > _SILENCE:
            told = time.monotonic()
            where = f"{at.read_text()}, " if at.is_file() else ""
            say(f"      … {seconds:.0f} s, {where}{mb:.0f} MB")

    python = session.python.absolute() / "bin" / "python"
    command = [str(python), str(runner), str(runnable.resolve()), str(result)]
    done = sandbox.run(command, session, on_line, limits, tick)
    if result.is_file():
        outcome: Outcome = json.loads(result.read_text())
    elif done.usage.exceeded:  # the runner did not outlive it
        where = at.read_text() if at.is_file() else "the first cell"
        outcome = {
            "ok": False,
            "cell": where,
            "line": "",
            "name": "",
            "message": "",
            "cells": 0,
            "timeline": [],
        }
    else:
        raise RehearsalError(
            f"the notebook runner ended with status {done.status}", problems=lines[-15:]
        )
    if done.usage.exceeded:
        outcome |= {"ok": False, "exceeded": done.usage.exceeded}
        outcome = {"cell": outcome["cells"], "line": "", "name": "", **outcome}  # it had just ended
        outcome["message"] = _told(done.usage, limits)
    return Trial(outcome, done.attempts, done.usage)


def _told(usage: Usage, limits: Limits) -> str:
    told: dict[Exceeded, str] = {
        "time": f"it had not ended after {duration(limits.seconds)}, which is the limit",
        "memory": f"it was stopped when it wanted more than {limits.memory / GB:.3g} GB of RAM",
        "disk": f"it was stopped with {usage.disk_mb / 1e3:.3g} GB in /kaggle/working, which holds "
        f"{limits.disk / GB:.3g} GB",
    }
    return told[usage.exceeded]


def duration(seconds: float) -> str:
    """Return a time as one would say it.

    Example:
        >>> duration(32400), duration(90), duration(4.2)
        ('9 h', '1.5 min', '4.2 s')
    """
    for unit, name in ((3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds:.2g} s"
