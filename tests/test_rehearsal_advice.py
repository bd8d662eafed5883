"""What to fix first: the gravest first, and nothing where there is nothing."""

from kagglekit.rehearsal.advice import what_to_fix
from kagglekit.rehearsal.judge import Verdict
from kagglekit.rehearsal.limits import NO_LIMITS, Limits, Usage
from kagglekit.rehearsal.report import Picture, Report
from kagglekit.rehearsal.trial import Trial

LIMITS = Limits(seconds=100.0, memory=1e9, disk=1e9)


def trial(usage: Usage) -> Trial:
    return Trial({"ok": True}, (), usage)


def report(*verdicts: Verdict, failure: str = "", scores: tuple[float, ...] = ()) -> Report:
    named = dict(zip(("visible", "hidden"), verdicts, strict=False))
    pictures = [Picture(f"image {score}", score, {}) for score in scores]
    return Report("c", "n", "i", verdicts=named, failure=failure, pictures=pictures)


def test_in_order_of_weight() -> None:
    failed = Verdict(False, "Notebook Timeout", "cell 1: slow\nvery", "be quick", None, ("waits",))
    found = what_to_fix(
        report(Verdict(True, "Succeeded", warnings=("waits",)), failed, scores=(0.1, 0.9)),
        {"hidden": trial(Usage(81.0, ((0.0, 850.0),), disk_mb=900.0))},
        LIMITS,
    )
    assert found == [
        ("hidden test: cell 1: slow\nvery", "be quick"),
        ("hidden: it took 81% of the time that it may take", "fewer views, folds or overlap"),
        ("hidden: it took 85% of the RAM that it may take", "read windows, not whole images"),
        (
            "hidden: it took 90% of the disk that it may take",
            "write to /tmp what is only needed meanwhile",
        ),
        ("waits", ""),
        (
            "`image 0.1` scores 0.100, the images shown 0.500 on average",
            "look at its differences below",
        ),
    ]


def test_a_failed_training_comes_with_its_hint() -> None:
    assert what_to_fix(report(failure="it failed\nhint: mend it"), {}, LIMITS) == [
        ("it failed", "mend it")
    ]


def test_nothing_to_fix() -> None:
    fine = report(*[Verdict(True, "Succeeded")] * 2, scores=(0.5, 0.9))
    for usage in (
        Usage(79.0, ((0.0, 790.0),), disk_mb=790.0),
        Usage(100.1, exceeded="time"),  # the verdict tells that
    ):
        assert what_to_fix(fine, {"hidden": trial(usage)}, LIMITS) == []
    assert what_to_fix(fine, {"hidden": trial(Usage(1e9, ((0.0, 1e9),)))}, NO_LIMITS) == []
