"""The commands on bundles, each a parser and what it runs; `kagglekit` puts them beside its own."""

import argparse
from collections.abc import Callable
from typing import Any

from kagglekit.offline import command, image, probe

Say = Callable[[str], None]


def add(commands: Any, say: Say) -> None:
    """Add the commands to argparse's subparsers; `options.run(options)` returns the exit code."""
    parser = commands.add_parser(
        "build", help="build the offline bundle: what the Kaggle image lacks"
    )
    command.add_arguments(parser)
    parser.set_defaults(run=lambda options: _build(options, say))

    parser = commands.add_parser("images", help="list the Kaggle images whose versions are known")
    parser.set_defaults(run=lambda _: _images(say))

    parser = commands.add_parser(
        "probe", help="print a cell that lists the Kaggle image it runs in, for --image FILE"
    )
    parser.set_defaults(run=lambda _: _probe(say))


def _build(options: argparse.Namespace, say: Say) -> int:
    command.run(options, say)
    return 0


def _images(say: Say) -> int:
    say(f"{'name':20}  {'date':10}  Python  glibc  accelerator  packages")
    for name in image.names():
        one = image.load(name)
        default = "   the default" if name == image.DEFAULT else ""
        count = len(one.packages) + len(one.unversioned)
        say(
            f"{name:20}  {one.date:10}  {one.python:6}  {one.glibc:5}  {one.accelerator:11} "
            f" {count:8}{default}"
        )
    say("")
    say("reconstructed from public sources; `kagglekit probe` shows how to list your own session's")
    return 0


def _probe(say: Say) -> int:
    say(probe.ADVICE)
    say(probe.CELL)
    return 0
