"""The rehearsal: data, bundle, replica, training, visible test, hidden test, judgement, report."""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kagglekit import competitions
from kagglekit.competitions.profile import Profile
from kagglekit.errors import RehearsalError
from kagglekit.offline import bundle, check, command
from kagglekit.offline import image as images
from kagglekit.offline.bundle import Bundle
from kagglekit.offline.image import KaggleImage
from kagglekit.rehearsal import notebooks, pictures, sandbox, stage
from kagglekit.rehearsal.judge import explain, judge
from kagglekit.rehearsal.replica import Replica, make_replica, reachable
from kagglekit.rehearsal.report import Report, Step, write
from kagglekit.rehearsal.stage import Test

_RUNNER = Path(__file__).parent / "inside" / "runner.py"
_OWNER = "you"  # whose datasets the rehearsed /kaggle/input shows

Say = Callable[[str], None]
Outcome = dict[str, Any]
Attempts = tuple[dict[str, str], ...]


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
    image, unproved = reachable(images.load(plan.image))
    _check(plan)
    _clear(plan.out)
    report = Report(plan.comp.title, plan.notebook.name, image.name)
    if sandbox.isolation():
        report.remarks.append(
            f"not isolated ({sandbox.isolation()}): inputs were writable copies, shown through "
            "KAGGLEKIT_INPUT, and the network was refused in Python only"
        )
    report.remarks += unproved
    steps = _Steps(plan, report, say, exact=not unproved)
    tests = steps.data()
    built = steps.bundle(image)
    replica = steps.replica(image, built)
    inputs = {f"datasets/{_OWNER}/{folder.name}": folder for folder in (built.folder, *plan.attach)}
    trained = steps.train(replica, inputs, tests[0])
    if trained:
        inputs[notebooks.slug(notebooks.train_name(plan.notebook))] = trained
    for hidden, test in enumerate(tests):
        if report.failure or not all(verdict.passed for verdict in report.verdicts.values()):
            break  # what has failed once would only fail again
        steps.submit(replica, inputs, tests, bool(hidden))
        verdict = report.verdicts[test.name]
        if verdict.score:
            path = plan.out / test.name / "submission.csv"
            report.pictures = pictures.draw(path, plan.comp, test, verdict.score)
    write(report, plan.out / "report.html")
    return report


@dataclass(frozen=True)
class _Steps:
    """The steps of one rehearsal; each notes in the report what came of it."""

    plan: Plan
    report: Report
    say: Say
    exact: bool  # whether the image's own Python is here

    def data(self) -> tuple[Test, Test]:
        """Make the competition trees of the two tests."""
        plan, trees = self.plan, self.plan.out / "trees"
        with self._step("data") as told:
            if plan.data is None:
                tests, source = stage.from_fake(plan.comp, trees), "synthetic images"
            else:
                data = plan.comp.find_data(plan.data)
                # A hard link is only as safe as the mount that makes it read-only.
                links = sandbox.isolation() == ""
                tests = stage.from_data(plan.comp, data, trees, links=links)
                source = "held-out labelled images"
            visible, hidden = (len(test.truth) for test in tests)
            told(f"{visible} in the visible test, {hidden} in the hidden one, {source}")
        return tests

    def bundle(self, image: KaggleImage) -> Bundle:
        """Take the given bundle after checking it, or build the one that would be uploaded."""
        given, wheels = self.plan.bundle, command.CHECKOUT / "wheels"
        with self._step("bundle") as told:
            if given:
                built = Bundle(given, check.check_bundle(given, image))
            elif wheels.is_dir():
                # Built for another Python it is not the one to upload, and must not replace that.
                out = (wheels if self.exact else self.plan.out) / "kagglekit-offline"
                built = bundle.build(wheels / "requirements.in", image, out, command.CHECKOUT)
            else:
                raise RehearsalError(
                    "kagglekit runs here from an installed wheel, which cannot bundle itself",
                    hint="run it from a clone, or give --bundle",
                )
            made = built.manifest
            self.report.bundle = [(wheel.name, wheel.version, wheel.size) for wheel in made.wheels]
            told(f"{len(made.wheels)} wheels, {made.size / 1e6:.2f} MB, for {image.name}")
        return built

    def replica(self, image: KaggleImage, built: Bundle) -> Replica:
        """Build the replica of the image, as far as bundle and notebooks can reach it."""
        made = built.manifest
        with self._step("replica") as told:
            roots = {*made.requirements, *made.target(image.name).expects}
            for notebook in (self.plan.notebook, notebooks.train_name(self.plan.notebook)):
                if notebook.is_file():
                    roots |= notebooks.packages(notebook, image)
            bundled = [wheel.name for wheel in made.wheels]
            replica = make_replica(image, roots, bundled, exact=self.exact)
            same = sum(image.packages.get(name) == v for name, v in replica.packages.items())
            count = len(replica.packages)
            told(f"Python {replica.python}, {same} of {count} packages at the image's versions")
        return replica

    def train(self, replica: Replica, inputs: Mapping[str, Path], test: Test) -> Path | None:
        """Run the training notebook, if there is one to run; return the folder with its output."""
        notebook = notebooks.sibling(self.plan.notebook)
        if self.plan.trained or notebook is None:
            return self.plan.trained
        outcome, attempts = self._run("train", notebook, replica, self._with(inputs, test))
        if not outcome["ok"]:
            cause, hint = explain(outcome, attempts)
            hint = f"\nhint: {hint}" if hint else ""
            self.report.failure = f"the training notebook failed in {cause}{hint}"
        return self.plan.out / "train"

    def submit(
        self, replica: Replica, inputs: Mapping[str, Path], tests: tuple[Test, Test], hidden: bool
    ) -> None:
        """Run the submit notebook on one of the tests and judge what it hands in."""
        test = tests[hidden]
        rerun = {"KAGGLE_IS_COMPETITION_RERUN": "1"} if hidden else {}
        outcome, attempts = self._run(
            test.name, self.plan.notebook, replica, self._with(inputs, test), rerun
        )
        working = self.plan.out / test.name
        verdict = judge(outcome, attempts, working, self.plan.comp, tests, hidden)
        self.report.verdicts[test.name] = verdict

    def _with(self, inputs: Mapping[str, Path], test: Test) -> dict[str, Path]:
        return {**inputs, f"competitions/{self.plan.comp.slug}": test.tree}

    def _run(
        self,
        name: str,
        notebook: Path,
        replica: Replica,
        inputs: Mapping[str, Path],
        settings: Mapping[str, str] | None = None,
    ) -> tuple[Outcome, Attempts]:
        """Run a notebook in a fresh copy of the replica: its outcome, and connections it tried."""
        working, scratch = self.plan.out / name, self.plan.out / "scratch" / name
        working.mkdir()
        scratch.mkdir(parents=True)
        settings = {"KAGGLEKIT_MINUTES": str(self.plan.minutes), **(settings or {})}
        result = scratch / "result.json"
        lines: list[str] = []

        def on_line(line: str) -> None:
            lines.append(line)
            if line.strip():
                self.say(f"      | {line}")

        with self._step(name) as told:
            runnable = notebooks.as_ipynb(notebook, scratch)
            copy = replica.clone(scratch / "venv")
            session = sandbox.Session(inputs, working, scratch, copy.folder, settings)
            arguments = [str(copy.executable), str(_RUNNER), str(runnable), str(result)]
            done = sandbox.run(arguments, session, on_line)
            shutil.rmtree(copy.folder)
            if not result.is_file():
                raise RehearsalError(
                    f"the notebook runner ended with status {done.status}", problems=lines[-15:]
                )
            outcome: Outcome = json.loads(result.read_text())
            result.with_suffix(".ipynb").replace(self.plan.out / f"{name}.ipynb")
            state = "ran" if outcome["ok"] else "FAILED in"
            told(f"{notebook.name} {state} {outcome['cells']} cells", outcome["peak_mb"])
        return outcome, done.attempts

    @contextmanager
    def _step(self, name: str) -> Iterator[Callable[..., None]]:
        """Time a step; the block calls what it is given with a few words on what came of it."""
        self.say(f"[{len(self.report.steps) + 1}] {name} …")
        started = time.monotonic()

        def told(words: str, peak_mb: float | None = None) -> None:
            seconds = time.monotonic() - started
            self.report.steps.append(Step(name, words, seconds, peak_mb))
            memory = f", peak {peak_mb:.0f} MB" if peak_mb else ""
            self.say(f"    {words}  ({seconds:.1f} s{memory})")

        yield told


def _check(plan: Plan) -> None:
    """Refuse what would only fail, or be lost, after minutes."""
    given = [path for path in (plan.data, plan.trained, plan.bundle, *plan.attach) if path]
    problems = [f"`{path}` is not a folder" for path in given if not path.is_dir()]
    problems += [
        f"`{path}` lies in `{plan.out}`, which is emptied first"
        for path in given
        if path.resolve().is_relative_to(plan.out)
    ]
    names = [path.name for path in plan.attach]
    problems += [f"two datasets are called `{name}`" for name in {*names} if names.count(name) > 1]
    if problems:
        raise RehearsalError("this cannot be rehearsed", problems=problems)


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
        comp = competitions.load(competition or "hubmap-kidney-segmentation")
        notebook = notebooks.submit_notebook(comp.slug)
    elif notebook.is_file():
        comp = competitions.load(competition or notebooks.competition_of(notebook))
    else:
        raise RehearsalError(f"there is no notebook at `{notebook}`")
    out = out or Path("rehearsals") / comp.slug
    return Plan(notebook, comp, image, out.resolve(), **more)
