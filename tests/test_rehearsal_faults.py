"""The fault catalogue: every planted fault is rejected by name, every sound notebook passes."""

import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from kagglekit import competitions
from kagglekit.competitions import fake
from kagglekit.rehearsal import fuzz, sandbox, twins
from kagglekit.rehearsal.judge import SCORED, Verdict
from kagglekit.rehearsal.limits import Limits
from kagglekit.rehearsal.passes import look_ahead, run_pass
from kagglekit.rehearsal.stage import Test
from tests import fault_bases
from tests.fault_table import FAULTS, Fault
from tests.sound_notebooks import SOUND, Sound

BOWL = competitions.load("data-science-bowl-2018")
KIDNEY = competitions.load("hubmap-kidney-segmentation")
DOCS = Path(__file__).parents[1] / "docs" / "rehearsal.md"
Tests = tuple[Test, ...]


@dataclass(frozen=True)
class Rehearsed:
    """A notebook, and the verdict of each pass in order."""

    verdicts: dict[str, Verdict]

    @property
    def last(self) -> tuple[str, Verdict]:
        return list(self.verdicts.items())[-1]


@pytest.fixture(scope="session")
def stages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tests]:
    """The visible, the hidden and the odd tests of two competitions, small."""
    made = {}
    for comp, size in ((BOWL, (96, 140)), (KIDNEY, (160, 220))):
        folder = tmp_path_factory.mktemp(comp.slug)
        visible = fake.make(comp, folder / "visible", seed=0, train=2, test=1, size=size)
        hidden = fake.make(comp, folder / "hidden", seed=1, train=2, test=2, size=size)
        pair = twins.plant(comp, folder / "hidden", hidden)
        odd = fuzz.make(comp, folder, 4) if comp is BOWL else ()
        made[comp.slug] = (
            Test("visible", folder / "visible", visible),
            Test("hidden", folder / "hidden", hidden, pair),
            *odd,
        )
    return made


@pytest.fixture(scope="session")
def outcomes(
    request: pytest.FixtureRequest,
    stages: dict[str, Tests],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, "Future[Rehearsed]"]]:
    """All the rehearsals that were asked for, two at a time."""
    if sandbox.isolation():
        pytest.skip(f"not isolated here: {sandbox.isolation()}")
    chosen = {
        item.callspec.id  # type: ignore[attr-defined]
        for item in request.session.items
        if item.path == Path(__file__) and hasattr(item, "callspec")
    }
    with ThreadPoolExecutor(2) as pool:
        yield {
            one.what: pool.submit(_rehearse, one, stages, tmp_path_factory.mktemp("rehearsal"))
            for one in (*FAULTS, *SOUND)
            if one.what in chosen
        }


def _rehearse(one: Fault | Sound, stages: dict[str, Tests], folder: Path) -> Rehearsed:
    """Run a notebook on the visible test, the hidden one, and the odd one that it asks for."""
    comp = KIDNEY if "hubmap" in _code(one) else BOWL
    tests, limits = stages[comp.slug], Limits(**dict(one.limits))
    notebook = _write(one, folder, tests[0], comp)
    passes = {}
    verdicts: dict[str, Verdict] = {}
    for test in (*tests[:2], *(test for test in tests[2:] if test.name in one.test)):
        working = folder / test.name
        working.mkdir()
        session = sandbox.Session({}, working, folder / "scratch" / test.name, Path(sys.prefix))
        done = passes[test.name] = run_pass(notebook, comp, (tests[0], test), session, limits)
        verdicts[test.name] = done.verdict
        if test is tests[1] and done.verdict.passed:
            verdicts[test.name], _ = look_ahead(comp, tests, passes, limits)
        if not verdicts[test.name].passed:
            break
    return Rehearsed(verdicts)


def _code(one: Fault | Sound) -> str:
    if isinstance(one, Sound):
        return one.code
    base: str = getattr(fault_bases, one.base)
    assert base.count(one.old) == 1, f"{one.what}: {base.count(one.old)} times"
    return base.replace(one.old, one.new)


def _write(one: Fault | Sound, folder: Path, visible: Test, comp: competitions.Profile) -> Path:
    [(image_id, path)] = comp.find_data(visible.tree).test_images().items()
    shape = comp.find_data(visible.tree).shape(path)
    code = _code(one).replace("VISIBLE_ID", image_id).replace("VISIBLE_SHAPE", str(shape))
    if "#%%\n" not in code and not code.lstrip().startswith("%"):
        script = folder / "submit.py"
        script.write_text(code)
        return script
    cells = [new_code_cell(cell.rstrip("\n")) for cell in code.split("#%%\n")]
    nbformat.write(new_notebook(cells=cells), folder / "submit.ipynb")
    return folder / "submit.ipynb"


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_a_planted_fault_is_rejected_by_name(
    fault: Fault, outcomes: "dict[str, Future[Rehearsed]]"
) -> None:
    found = outcomes[fault.what].result()
    name, verdict = found.last
    assert not verdict.passed, found
    assert name == fault.test, verdict
    assert verdict.kaggle_says == fault.says, verdict
    assert fault.cause in verdict.cause


@pytest.mark.slow
@pytest.mark.parametrize("sound", SOUND, ids=lambda sound: sound.what)
def test_a_sound_notebook_passes(sound: Sound, outcomes: "dict[str, Future[Rehearsed]]") -> None:
    found = outcomes[sound.what].result()
    says = {name: verdict.kaggle_says for name, verdict in found.verdicts.items()}
    assert says == dict.fromkeys(("visible", "hidden", *sound.test), SCORED), found
    assert all(verdict.passed for verdict in found.verdicts.values())


def test_the_catalogue_is_as_long_as_it_says() -> None:
    assert len({fault.what for fault in FAULTS}) == len(FAULTS) >= 60
    assert len({sound.what for sound in SOUND}) == len(SOUND) >= 20


def test_the_docs_show_the_catalogue() -> None:
    assert table() in DOCS.read_text(encoding="utf-8")
    assert f"{len(FAULTS)} faults" in DOCS.read_text(encoding="utf-8")


def table() -> str:
    """Return the catalogue as docs/rehearsal.md shows it."""
    rows = [
        f"| {fault.what} | {fault.test.removeprefix('hidden, ')} | {fault.says} | {_shown(fault.cause)} |"
        for fault in FAULTS
    ]
    return "\n".join(
        ["| planted fault | fails on | Kaggle says | the cause names |", "|---|---|---|---|", *rows]
    )


def _shown(cause: str) -> str:
    """Return the words of a cause for a table."""
    return "…" + cause.strip(" :,").replace("|", "\\|") + "…"
