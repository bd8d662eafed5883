"""report.html: one self-contained page that shows what happened and what was predicted."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

from kagglekit import __version__
from kagglekit.rehearsal import charts
from kagglekit.rehearsal.advice import what_to_fix
from kagglekit.rehearsal.judge import Verdict
from kagglekit.rehearsal.limits import Limits
from kagglekit.rehearsal.report import Picture, Report, closing, mark, score_line
from kagglekit.rehearsal.trial import Trial, duration
from kagglekit.submission import Score

_UNFOLDED = 12  # images whose scores are seen at once

_LEGEND = (
    '<p class="soft"><span class="key both">green</span> predicted and true · '
    '<span class="key only-pred">vermilion</span> predicted only · '
    '<span class="key only-true">blue</span> true only; of several objects or classes each has a '
    "colour of its own</p>"
)


def write(report: Report, trials: Mapping[str, Trial], limits: Limits, path: Path) -> None:
    """Write the page.

    Args:
        report: its verdicts, steps and pictures.
        trials: how each run went, by name ("train", "visible", "hidden", ...).
        limits: what each run might take.
        path: the file.
    """
    sections = (
        _headline(report),
        _fixes(report, trials, limits),
        _passes(report, trials, limits),
        _scores(report),
        _pictures(report),
        _timeline(report),
        _bundle(report),
        _environment(report),
        _notes(report),
        f'<footer class="soft">kagglekit {__version__}</footer>',
    )
    body = "\n".join(section for section in sections if section)
    template = Template(resources.files(__package__).joinpath("page.html").read_text("utf-8"))
    page = template.substitute(title=escape(f"{closing(report)} · {report.notebook}"), body=body)
    path.write_text(page, encoding="utf-8")


def _headline(report: Report) -> str:
    about = f"{report.competition} · {report.notebook} · Kaggle image {report.image}"
    return (
        f'<header class="{_state(report.passed)}"><h1>{closing(report)}</h1>'
        f"<p>{escape(about)}</p></header>"
    )


def _fixes(report: Report, trials: Mapping[str, Trial], limits: Limits) -> str:
    items = []
    for what, todo in what_to_fix(report, trials, limits):
        first, _, rest = what.partition("\n")
        more = f"<pre>{escape(rest)}</pre>" if rest else ""
        told = f'<p class="soft">{escape(todo)}</p>' if todo else ""
        items.append(f"<li><b>{escape(first)}</b>{more}{told}</li>")
    if not items:
        return ""
    return f'<h2>Fix first</h2><ol class="fixes">{"".join(items)}</ol>'


def _passes(report: Report, trials: Mapping[str, Trial], limits: Limits) -> str:
    names = dict.fromkeys([*trials, *report.verdicts])
    cards = [_pass(name, report.verdicts.get(name), trials.get(name), limits) for name in names]
    return f'<h2>Passes</h2><div class="cards">{"".join(cards)}</div>' if cards else ""


def _pass(name: str, verdict: Verdict | None, trial: Trial | None, limits: Limits) -> str:
    """Return the card of one run: what Kaggle would say, why, and what the run took."""
    passed = verdict.passed if verdict else bool(trial and trial.outcome["ok"])
    title = f"{name} test" if verdict else name
    lines = [f'<h3 class="state">{escape(title)}: {mark(passed)}</h3>']
    if verdict:
        lines.append(f"<p>Kaggle would say: <b>{escape(verdict.kaggle_says)}</b></p>")
        lines += [f"<pre>{escape(verdict.cause)}</pre>"] if verdict.cause else []
        lines += [f"<p>What to do: {escape(verdict.hint)}</p>"] if verdict.hint else []
        lines += [f"<p>{escape(score_line(verdict))}</p>"] if verdict.score else []
    if trial:
        lines += _run(trial, limits)
    return f'<section class="card {_state(passed)}">{"".join(lines)}</section>'


def _run(trial: Trial, limits: Limits) -> list[str]:
    usage, outcome = trial.usage, trial.outcome
    took = [duration(usage.seconds), f"at most {usage.peak_mb:,.0f} MB of RAM"]
    took += [f"{usage.gpu_mb:,.0f} MB of GPU memory"] if usage.gpu_mb else []
    took += [f"{usage.disk_mb:,.1f} MB in /kaggle/working"]
    lines = [
        f'<p class="soft">{", ".join(took)}</p>',
        charts.memory_curve(usage, limits.memory, outcome.get("timeline", ())),
    ]
    if trial.attempts:
        rows = [(a["host"], a.get("port", ""), a["where"]) for a in trial.attempts]
        lines.append(_folded("connections tried", _table(("host", "port", "line"), rows)))
    if outcome.get("traceback"):
        lines.append(_folded("traceback", f"<pre>{escape(outcome['traceback'])}</pre>"))
    return lines


def _scores(report: Report) -> str:
    """Return the scores of each run, folded but for the last of the visible and the hidden."""
    scored = {name: v.score for name, v in report.verdicts.items() if v.score}
    shown = [name for name in ("visible", "hidden") if name in scored][-1:]
    parts = []
    for name, score in scored.items():
        title = f"{name} test: {score.value:.4f} ({score.metric.replace('_', ' ')})"
        parts.append(_folded(title, _score(score), unfolded=name in shown))
    return "<h2>Score per image</h2>" + "".join(parts) if parts else ""


def _score(score: Score) -> str:
    ranked = dict(sorted(score.per_image.items(), key=lambda pair: pair[1]))
    first = dict(list(ranked.items())[:_UNFOLDED])
    rest = dict(list(ranked.items())[_UNFOLDED:])
    parts = [f'<p class="soft">worst first</p>{charts.bars(first)}']
    if rest:
        parts.append(_folded(f"{len(rest)} more images", charts.bars(rest)))
    more = {
        "by class": score.per_class,
        "by group": score.per_group,
        "by another reading of the rule": score.readings,
        "Dice of everything found": score.union_dice if score.metric != "mean_dice" else {},
    }
    parts += [_folded(title, charts.bars(values)) for title, values in more.items() if values]
    return "".join(parts)


def _pictures(report: Report) -> str:
    if not report.pictures:
        return ""
    figures = "".join(map(_figure, report.pictures))
    return f"<h2>Predictions, worst first</h2>{_LEGEND}{figures}"


def _figure(picture: Picture) -> str:
    panels = [
        f'<figure><img alt="{escape(f"{name} of {picture.image}")}" src="{_data(data)}">'
        f"<figcaption>{escape(name)}</figcaption></figure>"
        for name, data in picture.panels.items()
    ]
    return (
        f'<h3 class="picture">{picture.score:.3f} <small>{escape(picture.image)}</small></h3>'
        f'<div class="panels{" wide" if picture.wide else ""}">{"".join(panels)}</div>'
    )


def _data(image: bytes) -> str:
    kind = "png" if image.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"


def _timeline(report: Report) -> str:
    total = sum(step.seconds for step in report.steps)
    if not total:
        return ""
    items, start = [], 0.0
    for step in report.steps:
        end = start + step.seconds
        bar = charts.track(start / total, end / total)
        items.append(
            f'<li><span><b>{escape(step.name)}</b> <span class="soft">{escape(step.told)}</span>'
            f"</span><b>{duration(step.seconds)}</b>{bar}</li>"
        )
        start = end
    return f'<h2>Timeline, {duration(total)}</h2><ul class="bars">{"".join(items)}</ul>'


def _bundle(report: Report) -> str:
    if not report.bundle:
        return ""
    rows = [(name, version, f"{size / 1e6:.2f}") for name, version, size in report.bundle]
    total = sum(size for _, _, size in report.bundle) / 1e6
    title = f"{len(rows)} wheel{'s' if len(rows) > 1 else ''}, {total:.2f} MB"
    table = _table(("wheel", "version", "MB"), rows)
    return "<h2>Bundle</h2>" + _folded(title, table, unfolded=len(rows) <= _UNFOLDED)


def _environment(report: Report) -> str:
    if not any(step.name == "replica" for step in report.steps):
        return ""
    told = next(step.told for step in report.steps if step.name == "replica")
    title = f"<h2>Environment</h2><p>{escape(told)}</p>"
    if not report.drift:
        return f'{title}<p class="soft">nothing differs from the image</p>'
    rows = [(name, image or "not there", here) for name, image, here in report.drift]
    table = _table(("package", "in the image", "here"), rows)
    return title + _folded(f"{len(rows)} that differ", table, unfolded=len(rows) <= _UNFOLDED)


def _notes(report: Report) -> str:
    items = "".join(f"<li>{escape(remark)}</li>" for remark in report.remarks)
    return f"<h2>Notes</h2><ul>{items}</ul>" if items else ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return f"<table>{row(head, 'th')}{''.join(row(cells, 'td') for cells in rows)}</table>"


def _folded(title: str, content: str, *, unfolded: bool = False) -> str:
    state = " open" if unfolded else ""
    return f"<details{state}><summary>{escape(title)}</summary><div>{content}</div></details>"


def _state(passed: bool) -> str:
    return "passed" if passed else "failed"
