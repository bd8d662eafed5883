"""What Kaggle would say about one run of a notebook, why, and what it would score.

Kaggle answers a failed submission with a phrase and no log. Here the cause is told too: from the
error that ended the notebook, from the connections it tried, and from the rows it wrote.
"""

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kagglekit import submission
from kagglekit.competitions.data import Data
from kagglekit.competitions.profile import Profile
from kagglekit.errors import KagglekitError
from kagglekit.instances import union
from kagglekit.rehearsal.stage import Test
from kagglekit.rle import RLE
from kagglekit.submission import Score

THREW = "Notebook Threw Exception"
NO_CSV = "Submission CSV Not Found"
SCORING = "Submission Scoring Error"
SCORED = "Succeeded"
WRONG_ORDER = "scored, but far below what was predicted"

_NETWORK_ERRORS = (
    "URLError", "HTTPError", "ConnectionError", "ConnectTimeout", "ProxyError", "gaierror",
    "MaxRetryError", "NameResolutionError", "LocalEntryNotFoundError", "ConnectError",
    "OfflineModeIsEnabled", "NewConnectionError", "TimeoutError", "ClientConnectorError",
)  # fmt: skip
Order = Literal["F", "C"]
_ORDER_MARGIN = 0.15  # mean Dice by which the other order must win before it is called the cause


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
    if not outcome["ok"]:
        other_ids = tests[0].truth.keys() if hidden else ()
        cause, hint = explain(outcome, attempts, other_ids)
        return Verdict(False, THREW, cause, hint)
    warnings = tuple(
        f"`{a['where']}` tried to reach {a['host']}; it went on without, but on Kaggle it may wait "
        "for a time-out first"
        for a in attempts
    )
    path = working / "submission.csv"
    if not path.is_file():
        names = sorted(p.name for p in working.iterdir() if not p.name.startswith("."))
        cause = (
            "the notebook ended without writing /kaggle/working/submission.csv; "
            f"it wrote {', '.join(names) or 'nothing'}"
        )
        return Verdict(False, NO_CSV, cause, "write it with submission.Writer", None, warnings)
    data = comp.find_data(test.tree)
    problems = submission.validate(path, comp, data)
    if problems:
        cause = _name_hard_coded_ids(path, comp, tests, hidden) or "\n".join(problems[:10])
        hint = "take the ids from the test folder: Data.test_images()" if hidden else ""
        return Verdict(False, SCORING, cause, hint, None, warnings)
    score = submission.score(path, comp, data, test.truth)
    wrong_order = _wrong_order(path, comp, data, test.truth)
    if wrong_order:
        return Verdict(False, WRONG_ORDER, *wrong_order, score, warnings)
    empty = _empty_score(comp, data, test)
    if score.value <= empty:
        warnings += (f"an all-empty submission scores {empty:.4f} here, no less than this one",)
    return Verdict(True, SCORED, "", "", score, warnings)


def _empty_score(comp: Profile, data: Data, test: Test) -> float:
    """Return what a submission with nothing in it scores."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "submission.csv")
        submission.write_truth(path, comp, {image: [] for image in test.truth})
        return submission.score(path, comp, data, test.truth).value


def explain(
    outcome: Mapping[str, Any],
    attempts: Sequence[Mapping[str, str]] = (),
    visible_ids: Sequence[str] | Any = (),
) -> tuple[str, str]:
    """Say why a notebook died, and what to do about it.

    Args:
        outcome: what the runner wrote about the failed cell.
        attempts: connections that were tried.
        visible_ids: ids of the visible test, when this was the hidden one.

    Returns:
        Cause and hint.
    """
    name, message = outcome["name"], outcome["message"]
    place = f"cell {outcome['cell']}" + (f", `{outcome['line']}`" if outcome["line"] else "")
    told = f"{place}: {name}: {message}"
    module = re.search(r"No module named '([\w.]+)'", message)
    if name in ("ModuleNotFoundError", "ImportError") and module:
        package = module[1].split(".")[0]
        return (
            f"{place}: `{package}` is neither in the Kaggle image nor in the bundle",
            f"add the package that provides `{package}` to wheels/requirements.in and rebuild",
        )
    if attempts and (name in _NETWORK_ERRORS or _speaks_of_network(message)):
        reached = ", ".join(dict.fromkeys(f"{a['host']} (`{a['where']}`)" for a in attempts))
        return (
            f"{told}\nthe notebook needs the network: it tried to reach {reached}",
            "bundle what it downloads; the competition's rerun has no internet",
        )
    hard_coded = sorted(image for image in visible_ids if image in message)
    if hard_coded:
        return (
            f"{told}\nid `{hard_coded[0]}` is an image of the visible test and not of the hidden "
            "one: it is hard-coded",
            "take the ids from the test folder: Data.test_images()",
        )
    if name == "FileNotFoundError" and "/kaggle/input" in message:
        return (
            told,
            "Kaggle mounts inputs as /kaggle/input/competitions/<slug> and datasets/<owner>/<slug>,"
            " or flat as /kaggle/input/<slug>: use kagglekit.mounts.find_input",
        )
    return told, ""


def _speaks_of_network(message: str) -> bool:
    return bool(
        re.search(r"name resolution|unreachable|connection|offline|download", message, re.I)
    )


def _name_hard_coded_ids(path: Path, comp: Profile, tests: tuple[Test, Test], hidden: bool) -> str:
    """Say so if the rows of a hidden run are those of the visible test."""
    if not hidden:
        return ""
    try:
        rows = submission.read(path, comp)
    except KagglekitError:
        return ""
    visible = [image for image in rows if image in tests[0].truth and image not in tests[1].truth]
    if not visible:
        return ""
    return (
        f"{len(visible)} row(s) are of the visible test, e.g. id `{visible[0]}`, and not of the "
        f"hidden one, which has {len(tests[1].truth)} other images: the ids are hard-coded"
    )


def _wrong_order(
    path: Path, comp: Profile, data: Data, truth: Mapping[str, list[RLE]]
) -> tuple[str, str] | None:
    """Say so if the runs fit the truth much better when read in the other order."""
    declared = comp.submission.order
    other: Order = "C" if declared == "F" else "F"
    dice: dict[Order, float] = {declared: 0.0, other: 0.0}
    images = data.test_images()
    for image, texts in submission.read(path, comp).items():
        shape = data.shape(images[image])
        true = union(truth[image], shape).reorder(declared)
        for order in dice:
            masks = [RLE.from_text(text, shape, order=order).reorder(declared) for text in texts]
            dice[order] += union(masks, shape).dice(true, empty=1.0) / len(truth)
    if dice[other] < dice[declared] + _ORDER_MARGIN:
        return None
    return (
        f"the runs were counted in the wrong order: read {_WAYS[other]} (order {other!r}) they "
        f"reach a Dice of {dice[other]:.3f}, read {_WAYS[declared]} (order {declared!r}), as this "
        f"competition does, only {dice[declared]:.3f}",
        f'encode with order="{declared}"',
    )


_WAYS = {"F": "down the columns", "C": "along the rows"}
