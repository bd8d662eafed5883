"""What Kaggle would say about one run of a notebook, why, and what it would score.

Kaggle answers a failed submission with a phrase and no log. Here the cause is told too: from the
error that ended the notebook, from the connections it tried, and from the rows it wrote.
"""

import os
import re
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kagglekit import submission
from kagglekit.competitions.data import Data
from kagglekit.competitions.profile import Profile
from kagglekit.errors import DataError
from kagglekit.rehearsal import suspect
from kagglekit.rehearsal.stage import Test
from kagglekit.submission import Score
from kagglekit.submission.check import NOT_FOUND, SCORING_ERROR, WRONG_SCORE, is_refusal

THREW = "Notebook Threw Exception"
EXCEEDED = "Notebook Exceeded Allowed Compute"
TIMEOUT = "Notebook Timeout"
SCORED = "Succeeded"
WRONG_ORDER = "scored, but far below what was predicted"

OUT_OF_TIME = "fewer views, folds or overlap: submission.Budget walks down such a list in time"
_TAKE_IDS = "take the ids from the test folder: Data.test_images()"
_SHOWN = 10  # of many problems, files or connections

_NETWORK_ERRORS = (
    "URLError", "HTTPError", "ConnectionError", "ConnectTimeout", "ProxyError", "gaierror",
    "MaxRetryError", "NameResolutionError", "LocalEntryNotFoundError", "ConnectError",
    "OfflineModeIsEnabled", "NewConnectionError", "TimeoutError", "ClientConnectorError",
)  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """The judgement of one run.

    Attributes:
        passed: whether Kaggle would have scored it as the notebook meant it.
        kaggle_says: the phrase that Kaggle would show.
        cause: why it failed, in words that name the fault; empty when it passed.
        hint: what to do about it.
        score: the score, where the file could be scored.
        warnings: what did no harm here and may do so on Kaggle.
    """

    passed: bool
    kaggle_says: str
    cause: str = ""
    hint: str = ""
    score: Score | None = None
    warnings: tuple[str, ...] = ()


def judge(
    outcome: Mapping[str, Any],
    attempts: Sequence[Mapping[str, str]],
    working: Path,
    comp: Profile,
    tests: tuple[Test, Test],
    hidden: bool,
) -> Verdict:
    """Judge one run of a submit notebook.

    Args:
        outcome: what the runner wrote: ok, and for a failed cell its number, line, error.
        attempts: connections that were tried: host, port, where.
        working: what the run left in /kaggle/working.
        comp: the competition's rules.
        tests: the visible and the hidden test.
        hidden: which of them this run met.

    Returns:
        The `Verdict`.
    """
    test = tests[hidden]
    foreign = tests[0].truth.keys() - tests[1].truth.keys() if hidden else set()
    if "exceeded" in outcome:
        says = TIMEOUT if outcome["exceeded"] == "time" else EXCEEDED
        return Verdict(False, says, *_explain_limit(outcome))
    if not outcome["ok"]:
        died = outcome["name"] == "DeadKernelError"
        return Verdict(False, EXCEEDED if died else THREW, *explain(outcome, attempts, foreign))
    warnings = tuple(
        f"`{a['where']}` tried to reach {a['host']}; it went on without, but on Kaggle it may wait "
        "for a time-out first"
        for a in attempts
    )
    if "ended" in outcome and outcome["ended"] < outcome["cells"]:
        ended = f"cell {outcome['ended']} of {outcome['cells']} ended the notebook with sys.exit"
        warnings += (f"{ended}: the cells after it did not run",)
    path = working / "submission.csv"
    inside = Path(os.path.realpath(path)).is_relative_to(working.resolve())  # also of a circle
    if path.is_symlink() and not inside:  # followed here it would lead through another root
        cause = f"submission.csv is a link to `{path.readlink()}`: write the file itself"
        return Verdict(False, NOT_FOUND, cause, "", None, warnings)
    if not path.is_file():
        found = [path for path in working.iterdir() if not path.name.startswith(".")]
        names = sorted(f"{path.name}/" if path.is_dir() else path.name for path in found)
        cause = (
            "the notebook ended without writing /kaggle/working/submission.csv; "
            f"it wrote {_first(names, ', ') or 'nothing'}"
        )
        return Verdict(False, NOT_FOUND, cause, "write it with submission.Writer", None, warnings)
    data = comp.find_data(test.tree)
    problems = submission.validate(path, comp, data)
    refused = [p.removeprefix(f"{SCORING_ERROR}: ") for p in problems if is_refusal(p)]
    if refused:
        hard_coded = _name_hard_coded_ids(path, comp, foreign, len(test.truth))
        cause, hint = (hard_coded, _TAKE_IDS) if hard_coded else (_first(refused, "\n"), "")
        return Verdict(False, SCORING_ERROR, cause, hint, None, warnings)
    score = submission.score(path, comp, data, test.truth)
    nothing = suspect.nothing_found(path, comp, test.truth)
    if nothing and hidden:
        hint = "is a mask of 0 and 1 encoded, and not a probability below 1?"
        return Verdict(False, WRONG_ORDER, nothing, hint, score, warnings)
    if nothing:  # many save hours by doing nothing before the rerun
        warnings += (f"{nothing}; right if the notebook works only in the competition's rerun",)
        return Verdict(True, SCORED, "", "", score, warnings)
    cause, hint = _suspicion(path, comp, data, test, problems)
    if cause:
        return Verdict(False, WRONG_ORDER, cause, hint, score, warnings)
    empty = _empty_score(comp, data, test)
    if score.value <= empty:
        warnings += (f"an all-empty submission scores {empty:.4f} here, no less than this one",)
    return Verdict(True, SCORED, "", "", score, warnings)


def _suspicion(
    path: Path, comp: Profile, data: Data, test: Test, problems: Sequence[str]
) -> tuple[str, str]:
    """Return what is wrong with a file that is scored, and what to do about it."""
    order = f'encode with order="{comp.submission.order}"'
    # The truth can prove a wrong order; where the model is too weak for that, the masks' own shape.
    cause = suspect.wrong_order(path, comp, data, test.truth)
    cause = cause or "\n".join(problem.removeprefix(f"{WRONG_SCORE}: ") for problem in problems)
    if cause:
        return cause, order
    cause = suspect.wrong_size(path, comp, data, test.truth)
    if cause:
        return cause, "resize each mask back to its own image's size before encoding"
    cause = suspect.differing_twins(path, comp, data, test.twins)
    return cause, "make masks and lists anew for each image" if cause else ""


def _first(texts: Sequence[str], between: str) -> str:
    """Join the first of many texts, and say how many more there are."""
    more = [f"and {len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
    return between.join([*texts[:_SHOWN], *more])


def _empty_score(comp: Profile, data: Data, test: Test) -> float:
    """Return what a submission with nothing in it scores."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "submission.csv")
        submission.write_truth(path, comp, {image: [] for image in test.truth}, data)
        return submission.score(path, comp, data, test.truth).value


def explain(
    outcome: Mapping[str, Any],
    attempts: Sequence[Mapping[str, str]] = (),
    visible_ids: Collection[str] = (),
) -> tuple[str, str]:
    """Say why a notebook died, and what to do about it.

    Args:
        outcome: what the runner wrote about the failed cell.
        attempts: connections that were tried.
        visible_ids: ids that only the visible test has, when this was the hidden one.

    Returns:
        Cause and hint.
    """
    name, message = outcome["name"], outcome["message"]
    place = _place(outcome)
    told = f"{place}: {name}: {message}".removesuffix(": ")
    module = re.search(r"No module named '(\w+)'", message)
    if name in ("ModuleNotFoundError", "ImportError") and module:
        return (
            f"{place}: `{module[1]}` is neither in the Kaggle image nor in the bundle, under this "
            "name",
            f"add the package that provides `{module[1]}` to wheels/requirements.in and rebuild; "
            "what the image has under another name is not bundled again",
        )
    hosts = list(dict.fromkeys(f"{a['host']} (`{a['where']}`)" for a in attempts))
    reached = _first(hosts, ", ")
    if reached and (name in _NETWORK_ERRORS or _speaks_of_network(message)):
        return (
            f"{told}\nthe notebook needs the network: it tried to reach {reached}",
            "bundle what it downloads; the competition's rerun has no internet",
        )
    hard_coded = sorted(image for image in visible_ids if image in message)
    if hard_coded:
        return (
            f"{told}\nid `{hard_coded[0]}` is an image of the visible test and not of the hidden "
            "one: it is hard-coded",
            _TAKE_IDS,
        )
    if "/kaggle/input" in message and (name == "FileNotFoundError" or "No such file" in message):
        return (
            told,
            "Kaggle mounts inputs as /kaggle/input/competitions/<slug> and datasets/<owner>/<slug>,"
            " or flat as /kaggle/input/<slug>: use kagglekit.mounts.find_input",
        )
    if reached:
        return (
            f"{told}\nbefore that it tried to reach {reached}",
            "if that is why: bundle what it downloads; the competition's rerun has no internet",
        )
    return told, ""


def _explain_limit(outcome: Mapping[str, Any]) -> tuple[str, str]:
    """Say at which limit a run was stopped, and what to do about it."""
    hints = {
        "time": OUT_OF_TIME,
        "memory": "read windows, not whole images, and free what one needed before the next",
        "disk": "write what is only needed meanwhile to /tmp",
    }
    return f"{_place(outcome)}: {outcome['message']}", hints[outcome["exceeded"]]


def _place(outcome: Mapping[str, Any]) -> str:
    return f"cell {outcome['cell']}" + (f", `{outcome['line']}`" if outcome["line"] else "")


def _speaks_of_network(message: str) -> bool:
    return bool(re.search(r"name resolution|unreachable|connect|offline|download", message, re.I))


def _name_hard_coded_ids(path: Path, comp: Profile, foreign: Collection[str], images: int) -> str:
    """Say so if rows of a hidden run are of images that only the visible test has."""
    try:
        found = [image for image in submission.read(path, comp) if image in foreign]
    except DataError:  # told as it is
        return ""
    if not found:
        return ""
    count = "1 image" if len(found) == 1 else f"{len(found)} images"
    return (
        f"there are rows of {count} of the visible test, e.g. id `{found[0]}`, which the hidden "
        f"test, with {images} other images, does not have: the ids are hard-coded"
    )
