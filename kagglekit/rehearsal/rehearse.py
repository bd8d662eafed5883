"""The rehearsal: data, bundle, replica, training, visible test, hidden tests, judgement, report."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from kagglekit.errors import RehearsalError
from kagglekit.locks import held
from kagglekit.offline import bundle, check, command, manifest, requirements
from kagglekit.offline import image as images
from kagglekit.offline.bundle import Bundle
from kagglekit.offline.image import KaggleImage
from kagglekit.rehearsal import fuzz, notebooks, page, pictures, record, sandbox, stage
from kagglekit.rehearsal.judge import explain
from kagglekit.rehearsal.passes import Pass, look_ahead, run_pass
from kagglekit.rehearsal.plan import BUNDLE, Plan, check_plan, clear, name_of
from kagglekit.rehearsal.replica import Replica, drift, make_replica, reachable
from kagglekit.rehearsal.report import Report, Step
from kagglekit.rehearsal.sandbox import Session
from kagglekit.rehearsal.stage import Test
from kagglekit.rehearsal.trial import Say, Trial, run_trial

_OWNER = "you"  # whose datasets the rehearsed /kaggle/input shows


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
    whole = images.load(plan.image)
    image, unproved = reachable(whole)
    check_plan(plan)
    if plan.bundle is None and not unproved:
        wheels = command.CHECKOUT / "wheels"
        _refuse_to_lose(wheels / BUNDLE, wheels / "requirements.in")
    plan.out.parent.mkdir(parents=True, exist_ok=True)
    with held(plan.out.with_name(f".{plan.out.name}.lock")) as is_ours:
        if not is_ours:
            raise RehearsalError(
                f"another rehearsal is at work in `{plan.out}`",
                hint="give this one another folder as --out",
            )
        clear(plan.out)
        return _carry_out(plan, whole, image, unproved, say)


def _carry_out(
    plan: Plan, whole: KaggleImage, image: KaggleImage, unproved: tuple[str, ...], say: Say
) -> Report:
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
    report.drift = drift(whole, replica)
    folders = (built.folder, *plan.attach)
    inputs = {f"datasets/{_OWNER}/{name_of(folder)}": folder for folder in folders}
    trained = steps.train(replica, inputs, tests[0])
    if trained:
        inputs[notebooks.slug(notebooks.train_name(plan.notebook))] = trained
    if not report.failure:
        steps.submit(replica, inputs, tests)
    record.write(report, steps.trials, plan.limits, plan.out / "rehearsal.json")
    page.write(report, steps.trials, plan.limits, plan.out / "report.html")
    return report


def _refuse_to_lose(folder: Path, asked: Path) -> None:
    """Refuse to build over a bundle of the user's that holds what the new one would not.

    Raises:
        RehearsalError: it has weights, or requirements that the file does not ask for.
    """
    if not (folder / manifest.FILE).is_file():
        return
    made = manifest.Manifest.read(folder)
    names = {canonicalize_name(each.name) for each in requirements.read(asked)}
    there = {line: canonicalize_name(Requirement(line).name) for line in made.requirements}
    lost = [line for line, name in there.items() if name not in names]
    lost += sorted(made.weights)
    if lost:
        raise RehearsalError(
            f"the bundle in `{folder}` holds what `{asked}` does not ask for, and building would"
            " lose it",
            problems=lost[:10],
            hint=f"rehearse with it: --bundle {folder}; or delete it",
        )


@dataclass(frozen=True)
class _Steps:
    """The steps of one rehearsal; each notes in the report what came of it."""

    plan: Plan
    report: Report
    say: Say
    exact: bool  # whether the image's own Python is here
    trials: dict[str, Trial] = field(default_factory=dict)

    def data(self) -> tuple[Test, ...]:
        """Make the competition trees of the tests: the visible, the hidden, the odd ones."""
        plan, trees = self.plan, self.plan.out / "trees"
        with self._step("data") as told:
            if plan.data is None:
                tests, source = stage.from_fake(plan.comp, trees), "synthetic images"
            else:
                data = plan.comp.find_data(plan.data)
                # A hard link is only as safe as the mount that makes it read-only.
                links = sandbox.isolation() == ""
                tests = stage.from_data(data, trees, links=links)
                source = "held-out labelled images"
            visible, hidden = (len(test.truth) for test in tests)
            odd = fuzz.make(plan.comp, trees, plan.fuzz)
            more = f", {len(odd)} odd tests" if odd else ""
            told(f"{visible} in the visible test, {hidden} in the hidden one, {source}{more}")
        return (*tests, *odd)

    def bundle(self, image: KaggleImage) -> Bundle:
        """Take the given bundle after checking it, or build the one that would be uploaded."""
        given, wheels = self.plan.bundle, command.CHECKOUT / "wheels"
        with self._step("bundle") as told:
            if given:
                built = Bundle(given, check.check_bundle(given, image))
            elif wheels.is_dir():
                # Built for another Python it is not the one to upload, and must not replace that.
                out = (wheels if self.exact else self.plan.out) / BUNDLE
                asked = wheels / "requirements.in"
                built = bundle.build(asked, image, out, command.CHECKOUT)
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
        inputs = {**inputs, test.mount(self.plan.comp): test.tree}
        with self._step("train") as told, self._session("train", replica, inputs) as session:
            trial = run_trial(notebook, session, self.plan.limits, self.say)
            self._note(trial, "train", notebook, told)
        if not trial.outcome["ok"]:
            cause, hint = explain(trial.outcome, trial.attempts)
            hint = f"\nhint: {hint}" if hint else ""
            self.report.failure = f"the training notebook failed in {cause}{hint}"
        return self.plan.out / "train"

    def submit(self, replica: Replica, inputs: Mapping[str, Path], tests: tuple[Test, ...]) -> None:
        """Run the submit notebook on one test after the other, as long as it passes."""
        plan, passes = self.plan, dict[str, Pass]()
        for test in tests:
            with (
                self._step(test.name) as told,
                self._session(test.name, replica, inputs) as session,
            ):
                pair = (tests[0], test)
                done = run_pass(plan.notebook, plan.comp, pair, session, plan.limits, self.say)
                self._note(done.trial, test.name, plan.notebook, told)
            passes[test.name] = done
            verdict = done.verdict
            if test is tests[1] and verdict.passed:
                verdict, told_ahead = look_ahead(plan.comp, tests, passes, plan.limits)
                self.report.remarks += [told_ahead] if told_ahead and verdict.passed else []
            self.report.verdicts[test.name] = verdict
            if verdict.score and test in tests[:2]:
                path = session.working / "submission.csv"
                self.report.pictures = pictures.draw(path, plan.comp, test, verdict.score)
            if not verdict.passed:
                return  # what has failed once would only fail again

    @contextmanager
    def _session(
        self, name: str, replica: Replica, inputs: Mapping[str, Path]
    ) -> Iterator[Session]:
        """Prepare folders for one run, which sees the replica as if nothing had ever run in it."""
        working, scratch = self.plan.out / name, self.plan.out / "scratch" / name
        working.mkdir()
        scratch.mkdir(parents=True)
        settings = {"KAGGLEKIT_MINUTES": str(self.plan.minutes)}
        session = sandbox.of_replica(replica, inputs, working, scratch, settings)
        try:
            yield session
        finally:
            sandbox.forget(session)

    def _note(
        self, trial: Trial, name: str, notebook: Path, told: Callable[[str, float], None]
    ) -> None:
        """Keep what a run leaves: its trial, and the executed notebook."""
        self.trials[name] = trial
        outcome, executed = trial.outcome, self.plan.out / "scratch" / name / "result.ipynb"
        if executed.is_file():
            executed.replace(self.plan.out / f"{name}.ipynb")
        state = "ran" if outcome["ok"] else "FAILED in"
        told(
            f"{notebook.name} {state} {outcome['cells']} cells",
            max(trial.usage.peak_mb, outcome.get("peak_mb", 0.0)),
        )

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
