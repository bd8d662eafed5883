"""The `kagglekit` command.

Each command imports what it needs when it runs, so `kagglekit --help` is quick and the build
command works without torch. Exit codes: docs/exit-codes.md.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from kagglekit import __version__
from kagglekit.errors import KagglekitError

FAILED_VERDICT = 21
"""Exit code of a rehearsal whose notebook would not have scored."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except KagglekitError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kagglekit", description=__doc__.splitlines()[0])
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
        "--image", default="kaggle-2026-06-gpu", metavar="NAME", help="Kaggle image"
    )
    command.add_argument("--out", type=Path, metavar="DIR", help="default: rehearsals/<SLUG>")
    command.add_argument("--minutes", type=float, default=1.0, help="training time (default: 1)")
    command.add_argument("--trained", type=Path, metavar="DIR", help="attach this, do not train")
    command.add_argument("--bundle", type=Path, metavar="DIR", help="use this bundle, do not build")
    command.add_argument(
        "--attach", type=Path, action="append", default=[], metavar="DIR", help="a further dataset"
    )
    command.set_defaults(run=_rehearse)

    command = commands.add_parser("fake", help="make a competition folder out of synthetic images")
    command.add_argument("competition", metavar="SLUG")
    command.add_argument("--out", type=Path, required=True, metavar="DIR")
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(run=_fake)

    command = commands.add_parser("check", help="list everything wrong with a submission.csv")
    command.add_argument("submission", type=Path)
    command.add_argument("--competition", required=True, metavar="SLUG")
    command.add_argument("--data", type=Path, metavar="DIR", help="default: under /kaggle/input")
    command.set_defaults(run=_check)
    return parser


def _rehearse(options: argparse.Namespace) -> int:
    from kagglekit.rehearsal.rehearse import default_plan, rehearse
    from kagglekit.rehearsal.report import summary

    plan = default_plan(
        options.notebook, options.competition, options.image, options.out,
        data=options.data, trained=options.trained, attach=tuple(options.attach),
        bundle=options.bundle, minutes=options.minutes,
    )  # fmt: skip
    report = rehearse(plan, say=lambda line: print(line, flush=True))
    print()
    print(summary(report))
    print(f"report: {plan.out / 'report.html'}")
    return 0 if report.passed else FAILED_VERDICT


def _fake(options: argparse.Namespace) -> int:
    from kagglekit import competitions
    from kagglekit.competitions import fake

    comp = competitions.load(options.competition)
    truth = fake.make(comp, options.out, seed=options.seed)
    print(f"{options.out}: {comp.title}, {len(truth)} test image(s)")
    return 0


def _check(options: argparse.Namespace) -> int:
    from kagglekit import competitions, submission
    from kagglekit.errors import SubmissionError

    comp = competitions.load(options.competition)
    problems = submission.validate(options.submission, comp, comp.find_data(options.data))
    if problems:
        raise SubmissionError(
            f"{options.submission}: {comp.title} would refuse it", problems=problems
        )
    print(f"{options.submission}: fit to submit to {comp.title}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
