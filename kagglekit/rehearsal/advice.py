"""What to fix first: everything a rehearsal has found that wants doing, the gravest first."""

from collections.abc import Mapping

from kagglekit.rehearsal.limits import MB, Limits
from kagglekit.rehearsal.report import Report
from kagglekit.rehearsal.trial import Trial

_CLOSE = 0.8  # of a limit, from where on it is worth a word

Advice = tuple[str, str]
"""What is wrong, and what to do about it; either may be of several lines, the second empty."""


def what_to_fix(report: Report, trials: Mapping[str, Trial], limits: Limits) -> list[Advice]:
    """List what to do, the gravest first.

    Args:
        report: what the rehearsal has found.
        trials: how each run went, by name.
        limits: what each run might take.

    Returns:
        What made it fail; then limits that were nearly met; warnings; an image far below the rest.
    """
    found: list[Advice] = []
    if report.failure:
        what, _, hint = report.failure.partition("\nhint: ")
        found.append((what, hint))
    found += [
        (f"{name} test: {verdict.cause or verdict.kaggle_says}", verdict.hint)
        for name, verdict in report.verdicts.items()
        if not verdict.passed
    ]
    for name, trial in trials.items():
        found += _close_calls(name, trial, limits)
    warnings = [warning for verdict in report.verdicts.values() for warning in verdict.warnings]
    return [*found, *((warning, "") for warning in dict.fromkeys(warnings)), *_outlier(report)]


def _close_calls(name: str, trial: Trial, limits: Limits) -> list[Advice]:
    usage = trial.usage
    taken = {
        "time": (usage.seconds / limits.seconds, "fewer views, folds or overlap"),
        "RAM": (usage.peak_mb * MB / limits.memory, "read windows, not whole images"),
        "disk": (usage.disk_mb * MB / limits.disk, "write to /tmp what is only needed meanwhile"),
    }
    return [
        (f"{name}: it took {part:.0%} of the {what} that it may take", hint)
        for what, (part, hint) in taken.items()
        if part > _CLOSE and not usage.exceeded
    ]


def _outlier(report: Report) -> list[Advice]:
    if not report.pictures:
        return []
    worst, scores = report.pictures[0], [picture.score for picture in report.pictures]
    mean = sum(scores) / len(scores)
    if worst.score >= mean / 2:
        return []
    told = f"`{worst.image}` scores {worst.score:.3f}, the images shown {mean:.3f} on average"
    return [(told, "look at its differences below")]
