"""The rehearsal: data, bundle, replica, training, visible test, hidden test, judgement, report."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kagglekit import competitions, instances, plots, slides, submission
from kagglekit.competitions.data import Data, decode_texts
from kagglekit.competitions.profile import Profile
from kagglekit.errors import RehearsalError
from kagglekit.offline import bundle, check, command
from kagglekit.offline import image as images
from kagglekit.offline.bundle import Bundle
from kagglekit.offline.image import KaggleImage
from kagglekit.offline.manifest import Manifest
from kagglekit.rehearsal import notebooks, sandbox, stage
from kagglekit.rehearsal.judge import explain, judge
from kagglekit.rehearsal.replica import Replica, make_replica
from kagglekit.rehearsal.report import Report, Step, write

_RUNNER = Path(__file__).parent / "inside" / "runner.py"
_OWNER = "you"  # whose datasets the rehearsed /kaggle/input shows
_PICTURES = 6

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What to rehearse.

    Attributes:
        notebook: the submit notebook, .ipynb or `# %%` .py; its `_train` sibling is run first.
        comp: the competition.
        image: name or file of the Kaggle image.
        out: folder of the rehearsal; what an earlier one left there is replaced.
        data: the competition's real folder; without it, images are made up.
        trained: output of an earlier training run, to attach instead of training again.
        attach: further folders to attach as datasets.
        bundle: an offline bundle to use as it is; without it, `wheels/kagglekit-offline` is built.
        minutes: how long the training notebook may train ($KAGGLEKIT_MINUTES).
    """

    notebook: Path
    comp: Profile
    image: str
    out: Path
    data: Path | None = None
    trained: Path | None = None
    attach: tuple[Path, ...] = ()
    bundle: Path | None = None
    minutes: float = 1.0


def rehearse(plan: Plan, say: Say = print) -> Report:
    """Carry out a rehearsal and write `report.html` into its folder.

    Args:
        plan: what to rehearse.
        say: called with each line of progress.

    Returns:
        The report; `Report.passed` is the verdict.

    Raises:
        KagglekitError: the rehearsal could not be carried out. A failing notebook is not an error.
    """
    _clear(plan.out)
    image = images.load(plan.image)
    report = Report(plan.comp.title, plan.notebook.name, image.name)
    if sandbox.isolation():
        report.remarks.append(
            f"not isolated ({sandbox.isolation()}): inputs were shown through KAGGLEKIT_INPUT and "
            "were writable, and the network was refused in Python only"
        )
    with _step(report, say, "data") as told:
        tests = _stage(plan)
        told(_describe(tests, synthetic=plan.data is None))
    with _step(report, say, "bundle") as told:
        built = _bundle(plan, image)
        wheels = built.manifest.wheels
        report.bundle = [(wheel.name, wheel.version, wheel.size) for wheel in wheels]
        told(f"{len(wheels)} wheels, {built.manifest.size / 1e6:.2f} MB, for {image.name}")
    train_notebook = notebooks.sibling(plan.notebook) if plan.trained is None else None
    with _step(report, say, "replica") as told:
        roots = {*built.manifest.requirements, *built.manifest.target(image.name).expects}
        for notebook in filter(None, (plan.notebook, train_notebook)):
            roots |= notebooks.packages(notebook, image)
        replica = make_replica(image, roots, [wheel.name for wheel in wheels])
        report.remarks += replica.warnings
        told(f"Python {replica.python}, {len(replica.packages)} packages at the image's versions")

    slug = plan.comp.slug
    inputs = {f"datasets/{_OWNER}/{built.folder.name}": built.folder}
    inputs |= {f"datasets/{_OWNER}/{folder.name}": folder for folder in plan.attach}
    session = _Session(plan, replica, say, report)
    trained = plan.trained
    if train_notebook:
        trained = plan.out / "train"
        outcome, attempts = session.run(
            "train", train_notebook, inputs | {f"competitions/{slug}": tests[0].tree}
        )
        if not outcome["ok"]:
            cause, hint = explain(outcome, attempts)
            report.failure = f"the training notebook failed in {cause}\nhint: {hint}"
    if trained:
        name = notebooks.slug(train_notebook or notebooks.train_name(plan.notebook))
        inputs[name] = trained
    if not report.failure:
        for hidden, test in enumerate(tests):
            outcome, attempts = session.run(
                test.name, plan.notebook, inputs | {f"competitions/{slug}": test.tree}, bool(hidden)
            )
            working = plan.out / test.name
            verdict = judge(outcome, attempts, working, plan.comp, tests, bool(hidden))
            report.verdicts[test.name] = verdict
            if hidden and verdict.score:
                report.pictures = _pictures(plan, test)
    write(report, plan.out / "report.html")
    return report


@dataclass(frozen=True)
class _Session:
    """Runs notebooks, each in a fresh copy of the replica, and notes how it went."""

    plan: Plan
    replica: Replica
    say: Say
    report: Report

    def run(
        self, name: str, notebook: Path, inputs: dict[str, Path], hidden: bool = False
    ) -> tuple[dict[str, Any], tuple[dict[str, str], ...]]:
        """Run one notebook; return what the runner wrote and the connections that were tried."""
        working, scratch = self.plan.out / name, self.plan.out / "scratch" / name
        for folder in (working, scratch):
            folder.mkdir(parents=True)
        runnable = notebooks.as_ipynb(notebook, scratch)
        result = scratch / "result.json"
        with _step(self.report, self.say, name) as told:
            environment = self.replica.clone(scratch / "venv")
            lines: list[str] = []

            def on_line(line: str) -> None:
                lines.append(line)
                if line.strip():
                    self.say(f"      | {line}")

            settings = {"KAGGLEKIT_MINUTES": str(self.plan.minutes)}
            if hidden:
                settings["KAGGLE_IS_COMPETITION_RERUN"] = "1"
            session = sandbox.Session(inputs, working, scratch, environment.folder, settings)
            command = [str(environment.executable), str(_RUNNER), str(runnable), str(result)]
            done = sandbox.run(command, session, on_line)
            if not result.is_file():
                raise RehearsalError(
                    f"the notebook runner ended with status {done.status}", problems=lines[-15:]
                )
            outcome: dict[str, Any] = json.loads(result.read_text())
            shutil.rmtree(environment.folder)
            state = "ran" if outcome["ok"] else "FAILED in"
            told(f"{notebook.name} {state} {outcome['cells']} cells", outcome["peak_mb"])
        executed = result.with_suffix(".ipynb")
        executed.replace(self.plan.out / f"{name}.ipynb")
        return outcome, done.attempts


@contextmanager
def _step(report: Report, say: Say, name: str) -> Iterator[Callable[..., None]]:
    """Time a step; the block calls what it is given with a few words on what came of it."""
    say(f"[{len(report.steps) + 1}] {name} …")
    started = time.monotonic()

    def told(words: str, peak_mb: float | None = None) -> None:
        seconds = time.monotonic() - started
        report.steps.append(Step(name, words, seconds, peak_mb))
        memory = f", peak {peak_mb:.0f} MB" if peak_mb else ""
        say(f"    {words}  ({seconds:.1f} s{memory})")

    yield told


def _clear(out: Path) -> None:
    """Empty the rehearsal's folder, but never one that something else wrote."""
    marker = out / ".kagglekit-rehearsal"
    if out.is_dir() and any(out.iterdir()) and not marker.is_file():
        raise RehearsalError(
            f"`{out}` exists and was not written by a rehearsal",
            hint="give another folder as --out",
        )
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    marker.touch()


def _stage(plan: Plan) -> tuple[stage.Test, stage.Test]:
    trees = plan.out / "trees"
    if plan.data is None:
        return stage.from_fake(plan.comp, trees)
    return stage.from_data(plan.comp, plan.comp.find_data(plan.data), trees)


def _bundle(plan: Plan, image: KaggleImage) -> Bundle:
    """Take the given bundle after checking it, or build the one that would be uploaded."""
    if plan.bundle:
        check.check_bundle(plan.bundle, image)
        return Bundle(plan.bundle, Manifest.read(plan.bundle))
    wheels = command.CHECKOUT / "wheels"
    if not wheels.is_dir():
        raise RehearsalError(
            "kagglekit runs here from an installed wheel, which cannot bundle itself",
            hint="run it from a clone, or give --bundle",
        )
    return bundle.build(
        wheels / "requirements.in", image, wheels / "kagglekit-offline", command.CHECKOUT
    )


def _describe(tests: tuple[stage.Test, stage.Test], synthetic: bool) -> str:
    visible, hidden = (len(test.truth) for test in tests)
    source = "synthetic images" if synthetic else "held out of the labelled images"
    return f"{visible} in the visible test, {hidden} in the hidden one, {source}"


def _pictures(plan: Plan, test: stage.Test) -> list[tuple[str, bytes]]:
    """Draw the worst and the best images of the hidden test."""
    data = plan.comp.find_data(test.tree)
    path = plan.out / test.name / "submission.csv"
    score = submission.score(path, plan.comp, data, test.truth)
    ranked = sorted(score.per_image, key=lambda image: score.per_image[image])
    chosen = (
        ranked if len(ranked) <= _PICTURES else ranked[: _PICTURES // 2] + ranked[-_PICTURES // 2 :]
    )
    texts, paths = submission.read(path, plan.comp), data.test_images()
    return [
        (f"{image}: {score.per_image[image]:.3f}", _picture(plan, data, test, image, paths, texts))
        for image in chosen
    ]


def _picture(
    plan: Plan,
    data: Data,
    test: stage.Test,
    image: str,
    paths: dict[str, Path],
    texts: dict[str, list[str]],
) -> bytes:
    shape = data.shape(paths[image])
    predicted = instances.union(decode_texts(texts[image], shape, plan.comp), shape)
    truth = instances.union(test.truth[image], shape)
    with slides.open_slide(paths[image]) as slide:
        return plots.as_png(plots.overlay(slide, predicted, truth))


def default_plan(
    notebook: Path | None,
    competition: str | None,
    image: str = images.DEFAULT,
    out: Path | None = None,
    **more: Any,
) -> Plan:
    """Fill in what was left out: a competition's notebook, or a notebook's competition.

    Raises:
        RehearsalError: neither follows from the other.
        DataError: there is no profile of that competition.
    """
    if notebook is None:
        competition = competition or "hubmap-kidney-segmentation"
        notebook = notebooks.submit_notebook(competition)
    elif not notebook.is_file():
        raise RehearsalError(f"there is no notebook at `{notebook}`")
    comp = competitions.load(competition or notebooks.competition_of(notebook))
    out = out or Path("rehearsals") / comp.slug
    return Plan(notebook, comp, image, out.resolve(), **more)
