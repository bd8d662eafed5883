"""The command that builds a bundle, and what it tells: `build_offline.py`, `kagglekit build`."""

import argparse
from collections.abc import Callable
from pathlib import Path

from kagglekit.offline import bundle, dataset, image
from kagglekit.offline.bundle import Bundle
from kagglekit.offline.manifest import Target

CHECKOUT = Path(__file__).resolve().parents[2]

DESCRIPTION = "Build the offline bundle: what a Kaggle image lacks, ready to upload as a dataset."

FIRST_CELL = """\
import glob
import os
import runpy

root = os.environ.get("KAGGLEKIT_INPUT", "/kaggle/input")
found = glob.glob(f"{{root}}/{slug}/install.py")
found += glob.glob(f"{{root}}/datasets/*/{slug}/install.py")
if not found:
    raise FileNotFoundError("attach the dataset {slug} to this notebook")
_ = runpy.run_path(found[0], run_name="__main__")"""
"""A notebook's first cell; `{slug}` is the dataset's. It knows both layouts of Kaggle's mounts."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to a parser."""
    parser.add_argument(
        "--image",
        action="append",
        metavar="NAME|FILE",
        help=f"Kaggle image that the bundle must fit: {', '.join(image.names())}, or a file with"
        f" its `pip freeze --all`; may be given several times (default: {image.DEFAULT})",
    )
    parser.add_argument(
        "--requirements",
        type=Path,
        default=CHECKOUT / "wheels" / "requirements.in",
        metavar="FILE",
        help="what the notebook needs, a line each (default: wheels/requirements.in)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=CHECKOUT / "wheels" / "kagglekit-offline",
        metavar="DIR",
        help="the dataset folder to write (default: wheels/kagglekit-offline)",
    )
    parser.add_argument("--owner", metavar="NAME", help="your Kaggle user name")
    parser.add_argument(
        "--exclude-newer",
        metavar="DATE",
        help="leave out what the package index got after this date, e.g. 2026-11-01",
    )


def run(arguments: argparse.Namespace, say: Callable[[str], None]) -> Bundle:
    """Build the bundle that the arguments describe, and tell about it line by line.

    Raises:
        BundleError: it could not be built.
    """
    built = bundle.build(
        arguments.requirements,
        [image.load(name) for name in arguments.image or [image.DEFAULT]],
        arguments.out,
        CHECKOUT,
        owner=arguments.owner,
        exclude_newer=arguments.exclude_newer,
        progress=say,
    )
    say("")
    say(summary(built))
    return built


def summary(built: Bundle) -> str:
    """Return what a bundle holds and why, what the images already have, and what to do next."""
    made = built.manifest
    count = f"{len(made.wheels)} wheel" + ("s" if len(made.wheels) != 1 else "")
    here, folder = Path.cwd(), built.folder.resolve()
    folder = folder.relative_to(here) if folder.is_relative_to(here) else folder
    lines = [f"{folder}: {count}, {_megabytes(made.size)}"]
    width = max((len(f"{wheel.name} {wheel.version}") for wheel in made.wheels), default=0)
    for wheel in made.wheels:
        pin = f"{wheel.name} {wheel.version}"
        lines.append(f"  {pin:{width}}  {_megabytes(wheel.size):>8}  {wheel.why}")
    for target in made.targets:
        lines += ["", *_already(target)]
    return "\n".join([*lines, "", *_next_steps(folder)])


def _already(target: Target) -> list[str]:
    has = [f"  {name} {version}".rstrip() for name, version in target.expects.items()]
    title = f"{target.image} (Python {target.python}, glibc {target.glibc}) already has"
    return [f"{title}:", *has] if has else [f"{title} nothing of what is needed"]


def _next_steps(folder: Path) -> list[str]:
    metadata = folder / dataset.FILE
    steps = [
        "next, upload it; the second line is for later versions:",
        f"  kaggle datasets create -p {folder} -r zip",
        f'  kaggle datasets version -p {folder} -r zip -m "new bundle"',
        "",
        "then attach the dataset to the notebook; its first cell, before any import, is",
        "",
        FIRST_CELL.format(slug=folder.name),
    ]
    if dataset.NO_OWNER in metadata.read_text(encoding="utf-8"):
        steps.insert(0, f"first put your Kaggle user name into {metadata}, or give --owner")
    return steps


def _megabytes(size: int) -> str:
    """Return a size in megabytes (10⁶ bytes), two decimals.

    Example:
        >>> _megabytes(154_621)
        '0.15 MB'
    """
    return f"{size / 1e6:.2f} MB"
