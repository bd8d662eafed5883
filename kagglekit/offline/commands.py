"""The commands on bundles, each a parser and what it runs; `kagglekit` puts them beside its own."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kagglekit.offline import check, command, image, probe, upload
from kagglekit.offline.image import KaggleImage
from kagglekit.offline.manifest import Manifest

Say = Callable[[str], None]
Install = Callable[[Path, Manifest, KaggleImage], tuple[str, ...]]


def add(commands: Any, say: Say, install: Install) -> None:
    """Add the commands to argparse's subparsers; `options.run(options)` returns the exit code.

    Args:
        commands: what `ArgumentParser.add_subparsers` gave.
        say: is told each line.
        install: installs a bundle in a replica, and returns what to tell.
    """
    parser = commands.add_parser(
        "build", help="build the offline bundle: what the Kaggle image lacks"
    )
    command.add_arguments(parser)
    parser.set_defaults(run=lambda options: _build(options, say))

    parser = commands.add_parser(
        "check-bundle", help="prove without a network that a bundle installs on its images"
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="the bundle")
    parser.add_argument(
        "--image",
        action="append",
        metavar="NAME|FILE",
        help="a list that is not shipped, or one of several (default: those it was built for)",
    )
    parser.add_argument(
        "--install",
        action="store_true",
        help="also install it, in a replica of each image, with no network",
    )
    parser.set_defaults(run=lambda options: _check(options, say, install))

    parser = commands.add_parser("upload", help="upload a bundle as a private dataset of yours")
    parser.add_argument("folder", type=Path, metavar="DIR", help="the bundle")
    parser.add_argument("--dry-run", action="store_true", help="only print the commands")
    parser.set_defaults(run=lambda options: _upload(options, say))

    parser = commands.add_parser(
        "push", help="push a notebook: internet off, T4, image pinned, bundle attached"
    )
    _push_arguments(parser)
    parser.set_defaults(run=lambda options: _push(options, say))

    parser = commands.add_parser("images", help="list the Kaggle images whose versions are known")
    parser.set_defaults(run=lambda _: _images(say))

    parser = commands.add_parser(
        "probe", help="print a cell that lists the Kaggle image it runs in, for --image FILE"
    )
    parser.set_defaults(run=lambda _: _probe(say))


def _push_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("notebook", type=Path, metavar="NOTEBOOK", help="an .ipynb file")
    parser.add_argument("--competition", required=True, metavar="SLUG")
    parser.add_argument(
        "--bundle", required=True, type=Path, metavar="DIR", help="attach it; its owner is yours"
    )
    for option, what in (("--attach", "a further dataset"), ("--kernel", "a notebook's output")):
        parser.add_argument(
            option, action="append", default=[], metavar="OWNER/SLUG", help=f"attach {what}"
        )
    parser.add_argument("--cpu", action="store_true", help="no GPU (default: T4 x2)")
    parser.add_argument("--dry-run", action="store_true", help="only print what would be sent")


def _upload(options: argparse.Namespace, say: Say) -> int:
    upload.upload(options.folder, say, dry_run=options.dry_run)
    return 0


def _push(options: argparse.Namespace, say: Say) -> int:
    name = upload.dataset_of(options.bundle)
    kernel = upload.Kernel(
        options.notebook,
        name.split("/")[0],
        options.competition,
        datasets=(name, *options.attach),
        kernels=tuple(options.kernel),
        gpu=not options.cpu,
    )
    upload.push(kernel, say, dry_run=options.dry_run)
    return 0


def _build(options: argparse.Namespace, say: Say) -> int:
    command.run(options, say)
    return 0


def _check(options: argparse.Namespace, say: Say, install: Install) -> int:
    manifest = Manifest.read(options.folder)
    for name in options.image or [target.image for target in manifest.targets]:
        one = image.load(name)
        started = time.perf_counter()
        check.check_bundle(options.folder, one)
        milliseconds = 1000 * (time.perf_counter() - started)
        say(
            f"{options.folder}: installs on {one.name} (Python {one.python}):"
            f" {len(manifest.target(one.name).install)} wheels, proved in {milliseconds:.0f} ms"
        )
        if options.install:
            for line in install(options.folder, manifest, one):
                say(f"  {line}")
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
