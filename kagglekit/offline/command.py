"""The command that builds a bundle, and what it tells: `build_offline.py`, `kagglekit build`."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from packaging.requirements import Requirement

from kagglekit.offline import bundle, dataset, image, notebook, requirements, runtime
from kagglekit.offline.bundle import Bundle
from kagglekit.offline.image import KaggleImage
from kagglekit.offline.manifest import Target

CHECKOUT = Path(__file__).resolve().parents[2]

_OWN = "kagglekit"

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


ACTIVATE = """\
from kagglekit import offline

_ = offline.activate()  # the bundled weights; before torch, timm or smp is imported"""
"""Follows the first cell where the bundle has weights."""


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
        "names", nargs="*", metavar="REQUIREMENT", help="what the notebook needs, e.g. zarr>=3"
    )
    parser.add_argument(
        "--requirements",
        type=Path,
        metavar="FILE",
        help="the same, a line each, or a .py file with a `# /// script` header (default, where"
        " nothing else says what is needed: wheels/requirements.in)",
    )
    parser.add_argument(
        "--notebook", type=Path, metavar="FILE", help="bundle what this notebook imports"
    )
    parser.add_argument(
        "--project",
        type=Path,
        action="append",
        default=[],
        metavar="DIR|WHEEL",
        help="bundle this project of yours too, or this wheel; may be given several times",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=CHECKOUT / "wheels" / "kagglekit-offline",
        metavar="DIR",
        help="the dataset folder to write (default: wheels/kagglekit-offline)",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE.py:FUNCTION",
        help="call this model factory once, and bundle the pretrained weights that it downloads",
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
    images = [image.load(name) for name in arguments.image or [image.DEFAULT]]
    built = bundle.build(
        _wanted(arguments, images, say),
        images,
        arguments.out,
        [*_own_project(), *arguments.project],
        owner=arguments.owner,
        weights=arguments.weights,
        exclude_newer=arguments.exclude_newer,
        progress=say,
    )
    say("")
    say(summary(built))
    return built


def _wanted(
    arguments: argparse.Namespace, images: Sequence[KaggleImage], say: Callable[[str], None]
) -> Path | list[str]:
    """Return what the notebook needs, from all that says so; tell what is left out of it."""
    file = arguments.requirements
    if file is None and not arguments.names and arguments.notebook is None:
        return CHECKOUT / "wheels" / "requirements.in"
    wanted = list(arguments.names)
    if file is not None:
        script = file.suffix in {".py", ".ipynb"}
        wanted += requirements.of_script(file) if script else map(str, requirements.read(file))
    if arguments.notebook is not None:
        found = notebook.wanted(arguments.notebook)
        wanted += [each for each in found.requirements if Requirement(each).name != _OWN]
        for line in found.passed_over:
            say(f"passed over in {arguments.notebook.name}, {line}")
        for name in found.optional:
            if any(each.version_of(name) is None for each in images):
                say(f"left out: {name}, imported in a `try`; give its name to bundle it, too")
    return wanted


def _own_project() -> list[Path]:
    """Return the checkout; kagglekit that runs from an installed wheel cannot bundle itself."""
    return [CHECKOUT] if (CHECKOUT / "pyproject.toml").is_file() else []


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
    sizes = {name: (built.folder / name).stat().st_size for name in made.weights}
    lines += [f"  {name}  {_megabytes(size)}" for name, size in sizes.items()]
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
    if (folder / runtime.FOLDER).is_dir():
        steps += ["", ACTIVATE]
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
