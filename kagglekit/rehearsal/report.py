"""report.html: one self-contained page that shows what happened and what was predicted."""

import base64
import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kagglekit import __version__
from kagglekit.rehearsal.judge import Verdict


@dataclass(frozen=True)
class Step:
    """One step of a rehearsal, as a line of the summary.

    Attributes:
        name: e.g. "bundle".
        told: what came of it, in a few words.
        seconds: wall time.
        peak_mb: resident memory of its largest process in MB, if it ran a notebook.
    """

    name: str
    told: str
    seconds: float
    peak_mb: float | None = None


@dataclass
class Report:
    """What a rehearsal has found so far.

    Attributes:
        competition: its title.
        notebook: name of the submit notebook.
        image: name of the Kaggle image.
        steps: in order.
        verdicts: of the visible and the hidden run, by name.
        pictures: PNG overlays of the hidden run: (caption, bytes).
        bundle: name, version and size of each wheel in the bundle.
        remarks: what this rehearsal leaves unproved, and warnings.
        failure: why it ended before the hidden run, if it did.
    """

    competition: str
    notebook: str
    image: str
    steps: list[Step] = field(default_factory=list)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    pictures: list[tuple[str, bytes]] = field(default_factory=list)
    bundle: list[tuple[str, str, int]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    failure: str = ""

    @property
    def passed(self) -> bool:
        """Whether all runs passed, the hidden one among them."""
        return (
            not self.failure
            and len(self.verdicts) >= 2
            and all(verdict.passed for verdict in self.verdicts.values())
        )


def summary(report: Report) -> str:
    """Return the verdict for a terminal: what Kaggle would say, why, the score."""
    lines = []
    for name, verdict in report.verdicts.items():
        lines.append(f"{name + ' test':<13} {_mark(verdict.passed)}  Kaggle: {verdict.kaggle_says}")
        lines += [f"    {line}" for line in verdict.cause.splitlines()]
        if verdict.hint:
            lines.append(f"    hint: {verdict.hint}")
        if verdict.score:
            lines.append(f"    {_score_line(verdict)}")
    if report.failure:
        lines += report.failure.splitlines()
    lines += [f"note: {remark}" for remark in report.remarks]
    lines += [f"note: {w}" for v in report.verdicts.values() for w in v.warnings]
    return "\n".join([*lines, "", _closing(report)])


def write(report: Report, path: Path) -> None:
    """Write the page."""
    path.write_text(_page(report), encoding="utf-8")


def _score_line(verdict: Verdict) -> str:
    score = verdict.score
    if score is None:
        return "not scored"
    count = f"{len(score.per_image)} image" + ("s" if len(score.per_image) > 1 else "")
    line = f"score {score.value:.4f} ({score.metric.replace('_', ' ')}, {count})"
    if score.metric == "mean_dice":
        return line
    union = sum(score.union_dice.values()) / len(score.union_dice)
    return f"{line}; mean Dice of the union mask {union:.4f}"


def _closing(report: Report) -> str:
    if not report.passed:
        return "FAILED: do not submit this"
    if any(verdict.warnings for verdict in report.verdicts.values()):
        return "PASSED: Kaggle would score it, but read the notes"
    return "PASSED: this notebook is fit to submit"


def _mark(passed: bool) -> str:
    return "passed" if passed else "FAILED"


def _page(report: Report) -> str:
    state = "passed" if report.passed else "failed"
    told = _closing(report)
    parts = [
        f'<h1 class="{state}">{told}</h1>',
        f"<p>{_text(report.competition)} · {_text(report.notebook)} · Kaggle image "
        f"{_text(report.image)} · kagglekit {__version__}</p>",
    ]
    if report.failure:
        parts.append(f"<pre>{_text(report.failure)}</pre>")
    verdicts = [_verdict(name, verdict) for name, verdict in report.verdicts.items()]
    parts.append(f'<div class="verdicts">{"".join(verdicts)}</div>')
    remarks = [*report.remarks, *(w for v in report.verdicts.values() for w in v.warnings)]
    if remarks:
        parts.append("<h2>Notes</h2><ul>" + "".join(f"<li>{_text(r)}" for r in remarks) + "</ul>")
    if report.pictures:
        parts.append(
            f"<h2>Predictions of the {list(report.verdicts)[-1]} test</h2>"
            '<p><b class="both">green</b> predicted and true · <b class="only-pred">vermilion</b> '
            'predicted only · <b class="only-true">blue</b> true only</p>'
        )
        figures = [_figure(caption, png) for caption, png in report.pictures]
        parts.append(f'<div class="pictures">{"".join(figures)}</div>')
    parts.append(
        "<h2>Steps</h2>" + _table(("step", "", "seconds", "peak MB"), _steps(report.steps))
    )
    if report.bundle:
        rows = [(name, version, f"{size / 1e6:.2f}") for name, version, size in report.bundle]
        parts.append("<h2>Bundle</h2>" + _table(("wheel", "version", "MB"), rows))
    score = report.verdicts["hidden"].score if "hidden" in report.verdicts else None
    if score:
        rows = [
            (image, f"{value:.4f}", f"{score.union_dice[image]:.4f}")
            for image, value in sorted(score.per_image.items(), key=lambda pair: pair[1])
        ]
        head = ("image, worst first", score.metric.replace("_", " "), "union Dice")
        parts.append("<h2>Score per image</h2>" + _table(head, rows))
    return _SKELETON.format(title=_text(told), body="\n".join(parts))


def _verdict(name: str, verdict: Verdict) -> str:
    state = "passed" if verdict.passed else "failed"
    lines = [f"<p>Kaggle would say: <b>{_text(verdict.kaggle_says)}</b></p>"]
    if verdict.cause:
        lines.append(f"<pre>{_text(verdict.cause)}</pre>")
    if verdict.hint:
        lines.append(f"<p>What to do: {_text(verdict.hint)}</p>")
    if verdict.score:
        lines.append(f"<p>{_text(_score_line(verdict))}</p>")
    title = f"<h2>{_text(name)} test: {_mark(verdict.passed)}</h2>"
    return f'<section class="{state}">{title}{"".join(lines)}</section>'


def _steps(steps: Sequence[Step]) -> list[tuple[str, str, str, str]]:
    return [
        (s.name, s.told, f"{s.seconds:.1f}", f"{s.peak_mb:.0f}" if s.peak_mb else "") for s in steps
    ]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def cell(text: str, tag: str) -> str:
        # Long ids and file names may break anywhere, and so leave other words whole.
        long = max(map(len, text.split()), default=0) > _LONG
        return f"<{tag}{' class=long' if long else ''}>{_text(text)}</{tag}>"

    def row(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(cell(text, tag) for text in cells) + "</tr>"

    return "<table>" + row(head, "th") + "".join(row(cells, "td") for cells in rows) + "</table>"


def _figure(caption: str, png: bytes) -> str:
    data = base64.b64encode(png).decode()
    alt = _text(caption)
    return f'<figure><img alt="{alt}" src="data:image/png;base64,{data}"><figcaption>{alt}</figure>'


def _text(value: str) -> str:
    return html.escape(value)


_LONG = 15  # letters of a word
_SKELETON = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 1rem auto;
padding: 0 1rem; color: #222; overflow-wrap: anywhere; }}
h1, h2 {{ line-height: 1.2; overflow-wrap: normal; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
td, th {{ padding: .25rem 1rem .25rem 0; text-align: left; border-bottom: 1px solid #ddd;
vertical-align: top; }}
td, th {{ overflow-wrap: normal; }} .long {{ overflow-wrap: anywhere; }}
td:nth-child(n+3), th:nth-child(n+3) {{ text-align: right; }}
pre {{ white-space: pre-wrap; background: #f4f4f4; padding: .6rem; font-size: .85rem; }}
.verdicts {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr));
gap: 1rem; }}
section {{ border-left: .3rem solid; padding-left: 1rem; }} section h2 {{ margin-top: 0; }}
section > :not(h2) {{ color: #222; }}
.pictures {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr));
gap: 1rem; }}
figure {{ margin: 0; }} img {{ width: 100%; }} figcaption {{ font-size: .8rem; }}
.passed {{ color: #00664a; }} .failed {{ color: #a83f00; }}
.both {{ color: #009e73; }} .only-pred {{ color: #d55e00; }} .only-true {{ color: #0072b2; }}
</style>
{body}
</html>
"""
