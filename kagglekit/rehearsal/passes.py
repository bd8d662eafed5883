"""One pass of a submit notebook: saved on the visible test, or submitted on a hidden one."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kagglekit.competitions.profile import Profile
from kagglekit.rehearsal.forecast import forecast
from kagglekit.rehearsal.judge import OUT_OF_TIME, TIMEOUT, Verdict, judge
from kagglekit.rehearsal.limits import NO_LIMITS, Limits
from kagglekit.rehearsal.sandbox import Session
from kagglekit.rehearsal.stage import Test
from kagglekit.rehearsal.trial import Say, Trial, run_trial

_RERUN = {"KAGGLE_IS_COMPETITION_RERUN": "1"}


@dataclass(frozen=True)
class Pass:
    """How a notebook ran on one test, and what Kaggle would have said."""

    trial: Trial
    verdict: Verdict


def run_pass(
    notebook: Path,
    comp: Profile,
    tests: tuple[Test, Test],
    session: Session,
    limits: Limits = NO_LIMITS,
    say: Say = lambda line: None,
) -> Pass:
    """Run a submit notebook on a test and judge what it hands in.

    Args:
        notebook: .ipynb, `# %%` script, or plain script.
        comp: the competition.
        tests: the visible test, and the one that the run meets: the same, or a hidden one.
        session: what the run sees besides the competition's folder.
        limits: what it may take.
        say: called with each line of progress.

    Raises:
        RehearsalError: the run could not be carried out.
    """
    test, hidden = tests[1], tests[1] is not tests[0]
    session = replace(
        session,
        inputs={**session.inputs, test.mount(comp): test.tree},
        settings={**session.settings, **(_RERUN if hidden else {})},
    )
    trial = run_trial(notebook, session, limits, say)
    verdict = judge(trial.outcome, trial.attempts, session.working, comp, tests, hidden)
    return Pass(trial, verdict)


def look_ahead(
    comp: Profile, tests: Sequence[Test], passes: Mapping[str, Pass], limits: Limits
) -> tuple[Verdict, str]:
    """Judge the hidden pass again by what the real hidden test would take.

    Args:
        comp: the competition.
        tests: the visible test and the hidden one.
        passes: those on "visible" and "hidden", both of which have passed.
        limits: what a run may take.

    Returns:
        The verdict on the hidden pass, and a sentence about the time; "" without a limit.
    """
    verdict = passes["hidden"].verdict
    if math.isinf(limits.seconds):
        return verdict, ""
    counts = {test.name: len(test.truth) for test in tests[:2]}
    trials = {name: done.trial for name, done in passes.items()}
    late, told = forecast(comp, limits, counts, trials)
    if late:
        verdict = replace(verdict, passed=False, kaggle_says=TIMEOUT, cause=told, hint=OUT_OF_TIME)
    return verdict, told
