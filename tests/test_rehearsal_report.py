"""The summary, compared whole, and the page: one file that shows and never runs what it is told."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from kagglekit import __version__
from kagglekit.rehearsal.judge import Verdict
from kagglekit.rehearsal.report import Report, Step, summary, write
from kagglekit.submission import Score

DICE = Score(0.75, "mean_dice", {"a": 0.9, "b": 0.6}, {"a": 0.9, "b": 0.6})
PRECISION = Score(
    0.4321, "instance_precision", {"c": 0.7, "d": 0.1, "e": 0.5}, {"c": 0.9, "d": 0.5, "e": 0.7}
)
PNG = cv2.imencode(".png", np.zeros((4, 6, 3), np.uint8))[1].tobytes()


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
        pictures=[("d: 0.100", PNG)],
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
    report.pictures = []
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


class Page(HTMLParser):
    """What a browser would make of it: tags with attributes, and the text that is shown."""

    def __init__(self, report: Report, folder: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.shown: list[str] = []
        write(report, folder / "report.html")
        self.source = (folder / "report.html").read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.shown.append(data)

    @property
    def text(self) -> str:
        return "\n".join(text for text in self.shown if text.strip())


@pytest.mark.parametrize("make", [passed, failed])
def test_the_page_is_one_file(make: object, tmp_path: Path) -> None:
    page = Page(make(), tmp_path)  # type: ignore[operator]
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "a"}
    sources = [attributes["src"] for _, attributes in page.tags if "src" in attributes]
    assert all(source and source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"(https?:)?//|url\(|@import", page.source)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_page_that_passed(tmp_path: Path) -> None:
    page = Page(passed(), tmp_path)
    for told in (
        "PASSED: Kaggle would score it, but read the notes",
        f"HuBMAP · kidney_submit.py · Kaggle image kaggle-2026-06-gpu · kagglekit {__version__}",
        "visible test: passed",
        "score 0.7500 (mean dice, 2 images)",
        "hidden test: passed",
        "not isolated",
        "it waited",
        "Predictions of the hidden test",
        "ran 3 cells",
        "61.0",
        "812",
        "kagglekit",
        "0.15",
    ):
        assert told in page.text
    # The images, worst first.
    assert re.findall(r"<td[^>]*>([cde])<", page.source) == ["d", "e", "c"]
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert [(picture["alt"], picture["src"]) for picture in pictures] == [
        ("d: 0.100", "data:image/png;base64," + base64.b64encode(PNG).decode())
    ]


def test_a_page_that_failed(tmp_path: Path) -> None:
    page = Page(failed(), tmp_path)
    assert "FAILED: do not submit this" in page.text
    assert "cell 2, `f()`: ValueError: odd\n  - row 3" in page.text
    assert "Notebook Threw Exception" in page.text
    assert "Predictions of the hidden test" not in page.text
    broken = Report("x", "n.py", "image", failure="the training notebook failed in cell 1: odd")
    assert "the training notebook failed in cell 1: odd" in Page(broken, tmp_path).text


def test_what_a_notebook_prints_is_shown_and_not_run(tmp_path: Path) -> None:
    evil = "</pre><script>alert('x')</script><img src=x onerror=\"y\">{body} & {title}"
    report = Report(
        evil, evil, evil,
        steps=[Step(evil, evil, 1.0)],
        verdicts={
            "hidden": Verdict(
                False, evil, evil, evil,
                Score(0.5, evil, {evil: 0.5}, {evil: 0.5}), (evil,),
            )
        },
        pictures=[(evil, PNG)],
        bundle=[(evil, evil, 1)],
        remarks=[evil],
        failure=evil,
    )  # fmt: skip
    page = Page(report, tmp_path)
    assert "script" not in {tag for tag, _ in page.tags}
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert [set(attributes) for attributes in images] == [{"alt", "src"}]
    assert images[0]["alt"] == evil
    assert page.text.count(evil) >= 12
