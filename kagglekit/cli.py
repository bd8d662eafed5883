"""The `kagglekit` command.

Each command imports NumPy, torch and the like when it runs, so `kagglekit --help` is quick and the
build command works without them. Exit codes: docs/exit-codes.md.
"""

import argparse
import math
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import current_thread, main_thread

from kagglekit import __version__
from kagglekit.errors import KagglekitError
from kagglekit.offline import commands as offline
from kagglekit.offline import image
from kagglekit.offline.manifest import Manifest

_DESCRIPTION = "From a trained segmentation model to a Kaggle score, proved on your own machine."

FAILED_VERDICT = 21
"""Exit code of a rehearsal whose notebook would not have scored."""


_SIGNALLED = 128  # shells add a signal's number to it


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    if hasattr(sys.stdout, "reconfigure"):  # names of files may be none of the terminal's letters
        sys.stdout.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        with _orderly_end():
            code: int = options.run(options)
            print(end="", flush=True)  # now, and not when nobody can be told of it any more
    except KeyboardInterrupt:
        print("error: stopped", file=sys.stderr)
        return _SIGNALLED + signal.SIGINT
    except KagglekitError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # who reads has seen enough, as `head` does
        # Else Python itself complains of it at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _SIGNALLED + getattr(signal, "SIGPIPE", 13)
    except OSError as error:  # a full disk, a folder that may not be written
        print(f"error: {error}", file=sys.stderr)
        return KagglekitError.exit_code
    return code


@contextmanager
def _orderly_end() -> Iterator[None]:
    """Let a signal to end do what Ctrl-C does: what the command has started ends with it."""

    def end(number: int, _: object) -> None:
        raise SystemExit(_SIGNALLED + number)

    # Python lets only the main thread say what a signal does.
    names = ("SIGTERM", "SIGHUP") if current_thread() is main_thread() else ()
    numbers = [getattr(signal, name, None) for name in names]
    # One that is ignored stays so: nohup ignores SIGHUP.
    ours = [number for number in numbers if number and signal.getsignal(number) == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kagglekit", description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"kagglekit {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser(
        "rehearse", help="run a notebook as Kaggle will, with no network, and judge its submission"
    )
    command.add_argument(
        "notebook", type=Path, nargs="?", help="the submit notebook (.ipynb or .py)"
    )
    command.add_argument(
        "--competition", metavar="SLUG", help="default: the one the notebook names"
    )
    command.add_argument("--data", type=Path, metavar="DIR", help="the real competition folder")
    command.add_argument(
        "--image", default=image.DEFAULT, metavar="NAME|FILE", help="default: %(default)s"
    )
    command.add_argument("--out", type=Path, metavar="DIR", help="default: rehearsals/<SLUG>")
    command.add_argument("--minutes", type=_minutes, default=1.0, help="training time (default: 1)")
    command.add_argument("--trained", type=_folder, metavar="DIR", help="attach this, do not train")
    command.add_argument("--bundle", type=Path, metavar="DIR", help="use this bundle, do not build")
    command.add_argument(
        "--attach",
        type=_folder,
        action="append",
        default=[],
        metavar="DIR",
        help="a further dataset",
    )
    command.add_argument(
        "--fuzz",
        type=_natural,
        default=0,
        metavar="N",
        help="meet N further hidden tests, odd ones",
    )
    for limit, unit in (("--hours", "of wall time"), ("--ram", "GB of RAM")):
        command.add_argument(
            limit, type=_amount, metavar="N", help=f"{unit} for a run (default: the competition's)"
        )
    command.add_argument(
        "--disk", type=_amount, metavar="N", help="GB that /kaggle/working holds (default: 20)"
    )
    command.set_defaults(run=_rehearse)

    offline.add(commands, lambda line: print(line, flush=True), _install)

    command = commands.add_parser("fake", help="make a competition folder out of synthetic images")
    command.add_argument("competition", metavar="SLUG")
    command.add_argument("--out", type=Path, required=True, metavar="DIR")
    command.add_argument(
        "--seed", type=_natural, default=0, help="another seed gives other images (default: 0)"
    )
    command.add_argument(
        "--hidden", action="store_true", help="the test of the rerun: other ids, sizes and counts"
    )
    command.set_defaults(run=_fake)

    command = commands.add_parser("competitions", help="list the competitions with a profile")
    command.set_defaults(run=_competitions)

    command = commands.add_parser(
        "tiles", help="write train images at the resolution a model sees; goes on after a kill"
    )
    command.add_argument("--competition", required=True, metavar="SLUG")
    command.add_argument("--data", type=Path, metavar="DIR", help="default: under /kaggle/input")
    command.add_argument("--out", type=Path, required=True, metavar="DIR")
    command.add_argument("--scale", type=_positive, default=1, help="image pixels per model pixel")
    command.add_argument("--window", type=_positive, default=512, help="tile's side (default: 512)")
    command.add_argument("--png", action="store_true", help="also each tile as a PNG")
    command.set_defaults(run=_tiles)

    command = commands.add_parser(
        "check", help="list everything wrong with a submission.csv, and how train.csv is written"
    )
    command.add_argument("submission", type=Path, nargs="?", help="default: only train.csv")
    command.add_argument("--competition", required=True, metavar="SLUG")
    command.add_argument("--data", type=Path, metavar="DIR", help="default: under /kaggle/input")
    command.set_defaults(run=_check)

    command = commands.add_parser(
        "score", help="score a submission.csv against the truth, as the competition does"
    )
    command.add_argument("submission", type=Path)
    command.add_argument(
        "--truth", type=Path, required=True, metavar="DIR_OR_CSV",
        help="a folder whose train images the submission is about, or the test's answer",
    )  # fmt: skip
    command.add_argument("--competition", required=True, metavar="SLUG")
    command.add_argument("--data", type=Path, metavar="DIR", help="where the test images are")
    command.add_argument("--out", type=Path, metavar="DIR", help="draw the worst images here")
    command.set_defaults(run=_score)
    return parser


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"`{text}` is not a whole number of at least 0")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"`{text}` is not a whole number of at least 1")
    return int(text)


def _minutes(text: str) -> float:
    return _above_zero(text, "a number of minutes")


def _amount(text: str) -> float:
    return _above_zero(text, "a number")


def _above_zero(text: str, expected: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"`{text}` is not {expected} above 0")
    return number


def _folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"`{text}` is not a folder")
    return Path(text)


def _rehearse(options: argparse.Namespace) -> int:
    from kagglekit.rehearsal.plan import default_plan
    from kagglekit.rehearsal.rehearse import rehearse
    from kagglekit.rehearsal.report import summary
    from kagglekit.rehearsal.terminal import shorten

    plan = default_plan(
        options.notebook, options.competition, options.image, options.out,
        data=options.data, trained=options.trained, attach=tuple(options.attach),
        bundle=options.bundle, minutes=options.minutes, fuzz=options.fuzz,
        hours=options.hours, ram_gb=options.ram, disk_gb=options.disk,
    )  # fmt: skip
    report = rehearse(plan, say=lambda line: print(line, flush=True))
    print()
    print(shorten(summary(report)))
    print(f"report: {plan.out / 'report.html'}")
    return 0 if report.passed else FAILED_VERDICT


def _install(folder: Path, manifest: Manifest, kaggle: image.KaggleImage) -> tuple[str, ...]:
    from kagglekit.rehearsal import installing

    return installing.install(folder, manifest, kaggle)


def _fake(options: argparse.Namespace) -> int:
    from kagglekit import competitions
    from kagglekit.competitions import fake

    comp = competitions.load(options.competition)
    truth = fake.make(comp, options.out, seed=options.seed, hidden=options.hidden)
    count = f"{len(truth)} test image" + ("s" if len(truth) != 1 else "")
    print(f"{options.out}: {comp.title}, {count}")
    return 0


def _competitions(options: argparse.Namespace) -> int:
    from kagglekit import competitions

    lines = [("competition", "title", "rows", "metric", "order", "hours")]
    for slug in competitions.slugs():
        comp = competitions.load(slug)
        rules = comp.submission
        metric = comp.metric.name.replace("_", " ")
        lines.append((slug, comp.title, rules.rows, metric, rules.order, f"{comp.limits.hours:g}"))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())
    return 0


def _tiles(options: argparse.Namespace) -> int:
    from kagglekit import competitions
    from kagglekit.tiles import prepare

    data = competitions.load(options.competition).find_data(options.data)
    prepare(data, options.out, options.scale, options.window, options.png, print)
    return 0


def _check(options: argparse.Namespace) -> int:
    from kagglekit import competitions, submission
    from kagglekit.competitions import template
    from kagglekit.errors import DataError, SubmissionError

    comp = competitions.load(options.competition)
    data = comp.find_data(options.data)
    labelled = template.find(data.root, comp.tree.train_images)
    if labelled and (data.root / comp.train_table.path).is_file():
        found, problems = submission.validate_train_table(data)
        print(f"{comp.train_table.path}: {found}".replace("\n", f"\n{comp.train_table.path}: "))
        if problems:
            raise DataError(
                f"{comp.train_table.path} is not written as the profile says", problems=problems
            )
    elif options.submission is None:
        what = (
            f"with `{comp.train_table.path}`" if comp.train_table.path else "with a table of masks"
        )
        raise DataError(
            f"nothing to check: `{data.root}` has no labelled images {what}",
            hint="give a submission.csv",
        )
    if options.submission is None:
        return 0
    problems = submission.validate(options.submission, comp, data)
    if problems:
        raise SubmissionError(f"{options.submission} is not fit to submit", problems=problems)
    print(f"{options.submission}: fit to submit to {comp.title}")
    return 0


def _score(options: argparse.Namespace) -> int:
    from kagglekit import competitions, scoring, submission

    comp = competitions.load(options.competition)
    data, truth = scoring.find_truth(options.truth, comp, options.data)
    result = submission.score(options.submission, comp, data, truth)
    print(scoring.table(result))
    if options.out:
        drawn = scoring.draw_worst(options.submission, data, truth, result, options.out)
        print(f"\n{options.out}: {len(drawn)} pictures, {scoring.LEGEND}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
