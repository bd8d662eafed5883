"""What to rehearse: what the user said, what follows from it, and whether it can be done."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kagglekit import competitions
from kagglekit.competitions.profile import Profile
from kagglekit.errors import RehearsalError
from kagglekit.offline import image as images
from kagglekit.offline.dataset import is_slug
from kagglekit.rehearsal import notebooks, sandbox
from kagglekit.rehearsal.limits import NO_LIMITS, Limits, limits_of

BUNDLE = "kagglekit-offline"
"""The dataset that the bundle becomes, where none is given."""


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
        limits: what each run may take; by default what the competition allows.
        fuzz: how many further hidden tests, odd ones, the submit notebook meets.
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
    limits: Limits = NO_LIMITS
    fuzz: int = 0


def check_plan(plan: Plan) -> None:
    """Refuse what would only fail, or be lost, after minutes.

    Raises:
        RehearsalError: a folder is missing or in the way; all such are listed.
    """
    given = [path for path in (plan.data, plan.trained, plan.bundle, *plan.attach) if path]
    problems = [f"`{path}` is not a folder" for path in given if not path.is_dir()]
    kept = [*given, plan.notebook, notebooks.train_name(plan.notebook), Path(plan.image)]
    problems += [
        f"`{path}` lies in `{plan.out}`, which is emptied first"
        for path in dict.fromkeys(kept)
        if path.exists() and path.resolve().is_relative_to(plan.out)
    ]
    attached = [name_of(path) for path in plan.attach]
    problems += [
        f"no dataset on Kaggle can be called `{name}`: lower-case letters, digits, single hyphens"
        for name in dict.fromkeys(attached)
        if not is_slug(name)
    ]
    names = [*attached, name_of(plan.bundle) if plan.bundle else BUNDLE]
    problems += [
        f"two datasets are called `{name}`"
        for name in dict.fromkeys(attached)
        if names.count(name) > 1
    ]
    if problems:
        raise RehearsalError("this cannot be rehearsed", problems=problems)


def name_of(folder: Path) -> str:
    """Return a folder's name as a dataset: a link's own, and of `.` the current folder's."""
    return os.path.basename(os.path.abspath(folder))  # noqa: PTH119, PTH100 - no link is followed


def clear(out: Path) -> None:
    """Empty the rehearsal's folder, but never one that something else wrote.

    Raises:
        RehearsalError: something else wrote it.
    """
    marker = out / ".kagglekit-rehearsal"
    is_empty = out.is_dir() and not any(out.iterdir())
    if out.exists() and not is_empty and not marker.is_file():
        raise RehearsalError(
            f"`{out}` exists and was not written by a rehearsal",
            hint="give another folder as --out",
        )
    sandbox.remove(out)
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
    limits = limits_of(comp, *(more.pop(name, None) for name in ("hours", "ram_gb", "disk_gb")))
    return Plan(notebook, comp, image, out.resolve(), limits=limits, **more)
