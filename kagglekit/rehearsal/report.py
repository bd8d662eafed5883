"""What a rehearsal has found, as data and in the words of a terminal."""

from dataclasses import dataclass, field

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


@dataclass(frozen=True)
class Picture:
    """An image of the test with what was predicted in it.

    Attributes:
        image: its id.
        score: what it scores.
        panels: files of the image, the prediction, the truth and their differences, by these names.
        wide: whether they are much wider than high, and better shown large.
    """

    image: str
    score: float
    panels: dict[str, bytes]
    wide: bool = False


@dataclass
class Report:
    """What a rehearsal has found so far.

    Attributes:
        competition: its title.
        notebook: name of the submit notebook.
        image: name of the Kaggle image.
        steps: in order.
        verdicts: of the visible and the hidden run, by name.
        pictures: of the last run that was scored, worst first.
        bundle: name, version and size in bytes of each wheel in the bundle.
        drift: what the replica has otherwise than the image: name, the image's version ("" if it
            has none), the replica's.
        remarks: what this rehearsal leaves unproved, and warnings.
        failure: why it ended before the hidden run, if it did.
    """

    competition: str
    notebook: str
    image: str
    steps: list[Step] = field(default_factory=list)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    pictures: list[Picture] = field(default_factory=list)
    bundle: list[tuple[str, str, int]] = field(default_factory=list)
    drift: list[tuple[str, str, str]] = field(default_factory=list)
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
        lines.append(f"{name + ' test':<13} {mark(verdict.passed)}  Kaggle: {verdict.kaggle_says}")
        lines += [f"    {line}" for line in verdict.cause.splitlines()]
        if verdict.hint:
            lines.append(f"    hint: {verdict.hint}")
        if verdict.score:
            lines.append(f"    {score_line(verdict)}")
    if report.failure:
        lines += report.failure.splitlines()
    lines += [f"note: {remark}" for remark in report.remarks]
    lines += [f"note: {w}" for v in report.verdicts.values() for w in v.warnings]
    return "\n".join([*lines, "", closing(report)])


def score_line(verdict: Verdict) -> str:
    """Return the score in a line, with what it is of."""
    score = verdict.score
    if score is None:
        return "not scored"
    count = f"{len(score.per_image)} image" + ("s" if len(score.per_image) > 1 else "")
    line = f"score {score.value:.4f} ({score.metric.replace('_', ' ')}, {count})"
    if score.metric == "mean_dice":
        return line
    union = sum(score.union_dice.values()) / len(score.union_dice)
    return f"{line}; mean Dice of the union mask {union:.4f}"


def closing(report: Report) -> str:
    """Return the verdict in a line."""
    if not report.passed:
        return "FAILED: do not submit this"
    if any(verdict.warnings for verdict in report.verdicts.values()):
        return "PASSED: Kaggle would score it, but read the notes"
    return "PASSED: this notebook is fit to submit"


def mark(passed: bool) -> str:
    """Return the word for it."""
    return "passed" if passed else "FAILED"
