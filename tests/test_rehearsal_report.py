"""The summary, compared whole."""

from kagglekit.rehearsal.judge import Verdict
from kagglekit.rehearsal.report import Report, Step, summary
from kagglekit.submission import Score

DICE = Score(0.75, "mean_dice", {"a": 0.9, "b": 0.6}, {"a": 0.9, "b": 0.6})
PRECISION = Score(
    0.4321, "instance_precision", {"c": 0.7, "d": 0.1, "e": 0.5}, {"c": 0.9, "d": 0.5, "e": 0.7}
)


def passed() -> Report:
    return Report(
        "HuBMAP",
        "kidney_submit.py",
        "kaggle-2026-06-gpu",
        steps=[Step("bundle", "2 wheels", 3.21), Step("hidden", "ran 3 cells", 61.0, 812.4)],
        verdicts={
            "visible": Verdict(True, "Succeeded", score=DICE),
            "hidden": Verdict(True, "Succeeded", score=PRECISION, warnings=("it waited",)),
        },
        bundle=[("kagglekit", "0.1", 154_621)],
        remarks=["not isolated"],
    )


def failed() -> Report:
    report = passed()
    report.verdicts = {
        "visible": Verdict(True, "Succeeded", score=DICE, warnings=("slow",)),
        "hidden": Verdict(
            False, "Notebook Threw Exception", "cell 2, `f()`: ValueError: odd\n  - row 3", "write"
        ),
    }
    return report


def test_summary_of_a_report_that_passed() -> None:
    assert summary(passed()) == (
        "visible test  passed  Kaggle: Succeeded\n"
        "    score 0.7500 (mean dice, 2 images)\n"
        "hidden test   passed  Kaggle: Succeeded\n"
        "    score 0.4321 (instance precision, 3 images); mean Dice of the union mask 0.7000\n"
        "note: not isolated\n"
        "note: it waited\n"
        "\n"
        "PASSED: Kaggle would score it, but read the notes"
    )


def test_summary_of_a_report_that_failed() -> None:
    assert summary(failed()) == (
        "visible test  passed  Kaggle: Succeeded\n"
        "    score 0.7500 (mean dice, 2 images)\n"
        "hidden test   FAILED  Kaggle: Notebook Threw Exception\n"
        "    cell 2, `f()`: ValueError: odd\n"
        "      - row 3\n"
        "    hint: write\n"
        "note: not isolated\n"
        "note: slow\n"
        "\n"
        "FAILED: do not submit this"
    )


def test_summary_of_a_training_that_failed() -> None:
    report = Report("HuBMAP", "n.py", "image", failure="the training notebook failed in cell 1")
    assert summary(report) == (
        "the training notebook failed in cell 1\n\nFAILED: do not submit this"
    )


def test_one_image_is_not_images() -> None:
    one = Score(0.5, "mean_dice", {"a": 0.5}, {"a": 0.5})
    report = Report("x", "n", "i", verdicts={"visible": Verdict(True, "Succeeded", score=one)})
    assert "score 0.5000 (mean dice, 1 image)\n" in summary(report)


def test_passed_means_both_runs_and_no_failure() -> None:
    assert passed().passed
    assert not failed().passed
    unfinished = passed()
    del unfinished.verdicts["hidden"]
    assert not unfinished.passed
    broken = passed()
    broken.failure = "the training notebook failed"
    assert not broken.passed
    assert not Report("x", "n", "i").passed
