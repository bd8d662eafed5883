"""The page: one file that shows what was found, never runs what it is told, and fits a phone."""

import base64
import re
import shutil
import subprocess
from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from kagglekit import __version__, plots
from kagglekit.rehearsal.judge import Verdict
from kagglekit.rehearsal.limits import NO_LIMITS, Limits, Usage
from kagglekit.rehearsal.page import write
from kagglekit.rehearsal.report import Picture, Report, Step
from kagglekit.rehearsal.trial import Trial
from kagglekit.submission import Score

DICE = Score(0.75, "mean_dice", {"a": 0.9, "b": 0.6}, {"a": 0.9, "b": 0.6})
PRECISION = Score(
    0.4321, "instance_precision", {"c": 0.7, "d": 0.1, "e": 0.5}, {"c": 0.9, "d": 0.5, "e": 0.7}
)
PNG = plots.as_png(np.zeros((4, 6, 3), np.uint8))
JPEG = plots.as_jpeg(np.zeros((4, 6, 3), np.uint8))
PANELS = {"image": JPEG, "prediction": PNG, "truth": PNG, "differences": JPEG}
LIMITS = Limits(seconds=3600.0, memory=1e9, disk=20e9)
TRIAL = Trial(
    {"ok": True, "cells": 2, "timeline": [[1, 0.5, 20.0], [2, 20.0, 60.0]]},
    (),
    Usage(61.0, ((0.0, 100.0), (30.0, 850.0), (60.0, 200.0)), disk_mb=3.25),
)
EVIL = "</pre></style><script>alert('x')</script><img src=x onerror=\"y\">{body} & $title ${body}"


def passed() -> Report:
    return Report(
        "HuBMAP",
        "kidney_submit.py",
        "kaggle-2026-06-gpu",
        steps=[
            Step("replica", "Python 3.12.1, 1 of 2 packages", 3.0),
            Step("hidden", "ran 3 cells", 57.0, 812.4),
        ],
        verdicts={
            "visible": Verdict(True, "Succeeded", score=DICE),
            "hidden": Verdict(True, "Succeeded", score=PRECISION, warnings=("it waited",)),
        },
        pictures=[Picture("d", 0.1, PANELS), Picture("c", 0.7, PANELS, wide=True)],
        bundle=[("kagglekit", "0.1", 154_621)],
        drift=[("numpy", "2.0.2", "2.1.0"), ("odd", "", "1.0")],
        remarks=["not isolated"],
    )


def failed() -> Report:
    report = passed()
    cause = "cell 2, `f()`: ValueError: odd\n  - row 3"
    report.verdicts["hidden"] = Verdict(False, "Notebook Threw Exception", cause, "write less")
    report.pictures = []
    return report


def evil() -> Report:
    score = Score(0.5, EVIL, {EVIL: 0.5}, {EVIL: 0.5}, {EVIL: 0.5}, {EVIL: 0.5}, {EVIL: 0.5})
    return Report(
        EVIL, EVIL, EVIL,
        steps=[Step(EVIL, EVIL, 1.0), Step("replica", EVIL, 1.0)],
        verdicts={EVIL: Verdict(False, EVIL, f"{EVIL}\n{EVIL}", EVIL, score, (EVIL,))},
        pictures=[Picture(EVIL, 0.5, {EVIL: PNG})],
        bundle=[(EVIL, EVIL, 1)], drift=[(EVIL, EVIL, EVIL)], remarks=[EVIL], failure=EVIL,
    )  # fmt: skip


def evil_trial() -> Trial:
    attempt = {"host": EVIL, "port": EVIL, "where": EVIL}
    return replace(TRIAL, outcome={**TRIAL.outcome, "traceback": EVIL}, attempts=(attempt,))


class Page(HTMLParser):
    """What a browser would make of it: tags with attributes, and the text that is shown."""

    def __init__(
        self,
        report: Report,
        folder: Path,
        trials: dict[str, Trial] | None = None,
        limits: Limits = LIMITS,
    ) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.shown: list[str] = []
        write(report, trials or {}, limits, folder / "report.html")
        self.source = (folder / "report.html").read_text(encoding="utf-8")
        self.feed(self.source[: self.source.index("<style>")])
        self.feed(self.source[self.source.index("</style>") :])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.shown.append(data)

    @property
    def text(self) -> str:
        return "\n".join(text for text in self.shown if text.strip())


@pytest.mark.parametrize("report", [passed(), failed(), evil(), Report("x", "n.py", "image")])
def test_the_page_is_one_file_that_asks_for_nothing(report: Report, tmp_path: Path) -> None:
    page = Page(report, tmp_path, {"hidden": TRIAL})
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "a", "use"}
    sources = [attributes["src"] for _, attributes in page.tags if "src" in attributes]
    assert all(source and source.startswith("data:image/") for source in sources)
    assert not re.search(r"https?:|url\(|@import", page.source)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_page_that_passed(tmp_path: Path) -> None:
    calm = replace(TRIAL, usage=Usage(0.1))
    page = Page(passed(), tmp_path, {"train": calm, "visible": calm, "hidden": TRIAL})
    told = [
        "PASSED: Kaggle would score it, but read the notes",
        "HuBMAP · kidney_submit.py · Kaggle image kaggle-2026-06-gpu",
        "Fix first",
        "hidden: it took 85% of the RAM that it may take",
        "it waited",
        "`d` scores 0.100, the images shown 0.400 on average",
        "Passes",
        "train: passed",
        "visible test: passed",
        "score 0.7500 (mean dice, 2 images)",
        "hidden test: passed",
        "1.02 min, at most 850 MB of RAM, 3.2 MB in /kaggle/working",
        "limit 1 GB",
        "Score per image",
        "Predictions, worst first",
        "Timeline, 1 min",
        "ran 3 cells",
        "57 s",
        "Bundle",
        "1 wheel, 0.15 MB",
        "Environment",
        "2 that differ",
        "not there",
        "Notes",
        "not isolated",
        f"kagglekit {__version__}",
    ]
    places = [page.text.find(words) for words in told]
    assert -1 not in places, told[places.index(-1)]
    assert places == sorted(places)  # the verdict first, then what to fix


def test_scores_are_sorted_worst_first(tmp_path: Path) -> None:
    page = Page(passed(), tmp_path)
    bars = re.findall(r"<span>(\w)</span><b>([\d.]+)</b>.*?width:([\d.]+)%", page.source)
    worst = [("d", "0.1000", "10.00"), ("e", "0.5000", "50.00"), ("c", "0.7000", "70.00")]
    assert bars[2:5] == worst  # after those of the visible test
    assert re.findall(r"<details( open)?><summary>(\w+) test", page.source) == [
        ("", "visible"), (" open", "hidden"),
    ]  # fmt: skip


def test_pictures_are_in_the_page(tmp_path: Path) -> None:
    page = Page(passed(), tmp_path)
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert [picture["alt"] for picture in pictures] == [
        f"{name} of {image}" for image in "dc" for name in PANELS
    ]
    for picture, data in zip(pictures, [*PANELS.values()] * 2, strict=True):
        kind, _, text = (picture["src"] or "").partition(";base64,")
        assert kind == ("data:image/png" if data is PNG else "data:image/jpeg")
        assert base64.b64decode(text) == data
    assert [a["class"] for t, a in page.tags if "panels" in (a.get("class") or "")] == [
        "panels", "panels wide",
    ]  # fmt: skip


def test_a_page_that_failed(tmp_path: Path) -> None:
    trial = replace(TRIAL, outcome={"ok": False, "traceback": "Traceback: here", "timeline": []})
    page = Page(failed(), tmp_path, {"hidden": trial}, NO_LIMITS)
    fix = page.text[page.text.index("Fix first") : page.text.index("Passes")]
    assert "hidden test: cell 2, `f()`: ValueError: odd" in fix
    assert "  - row 3" in fix
    assert "write less" in fix
    assert "Kaggle would say: \nNotebook Threw Exception" in page.text
    assert "Traceback: here" in page.text
    assert "limit" not in page.text
    assert "Predictions" not in page.text


def test_a_training_that_failed(tmp_path: Path) -> None:
    report = Report("x", "n.py", "image", failure="the training failed in cell 1: odd\nhint: more")
    trial = replace(TRIAL, outcome={"ok": False})
    page = Page(report, tmp_path, {"train": trial})
    assert "the training failed in cell 1: odd\nmore\n" in page.text
    assert "train: FAILED" in page.text


def test_what_a_notebook_prints_is_shown_and_not_run(tmp_path: Path) -> None:
    page = Page(evil(), tmp_path, {EVIL: evil_trial()})
    assert "script" not in {tag for tag, _ in page.tags}
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert [set(attributes) for attributes in images] == [{"alt", "src"}]
    assert images[0]["alt"] == f"{EVIL} of {EVIL}"
    assert page.text.count(EVIL) >= 30


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("make", [passed, failed, evil])
def test_in_a_browser_nothing_sticks_out(make: object, width: int, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("Chromium is not installed")
    page = Page(make(), tmp_path, {"hidden": TRIAL, "train": evil_trial()})  # type: ignore[operator]
    # A window has a least width; a frame has not.
    ruler = tmp_path / "ruler.html"
    ruler.write_text(
        f'<body style="margin:0"><iframe style="border:0" width="{width}" height="900" '
        f'srcdoc="{escape(page.source)}"></iframe><script>'
        "onload = () => { const page = document.querySelector('iframe').contentDocument;"
        "for (const folded of page.querySelectorAll('details')) folded.open = true;"
        "document.body.dataset.width = page.documentElement.scrollWidth;"
        "document.body.dataset.title = page.querySelector('h1').innerText; };</script>",
        encoding="utf-8",
    )
    shot = tmp_path / "shot.png"
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},1000",
        f"--screenshot={shot}", "--dump-dom", ruler.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    found = re.search(r'data-width="(\d+)" data-title="(PASSED|FAILED):', done.stdout)
    assert found, done.stdout[-300:]
    assert int(found[1]) <= width
    assert np.ptp(cv2.imread(str(shot))) > 150  # ink on paper
