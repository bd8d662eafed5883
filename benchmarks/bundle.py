"""Bundles beside the naive way: wheels, bytes, seconds; one command, a row as soon as it is known.

    uv run python benchmarks/bundle.py [--install] [--out benchmarks/results/bundle.md]

For each Kaggle image and each list: the build with empty caches (cold) and again (warm), the
closure alone, the whole of check-bundle, and with --install the first cell in a replica with no
network. The naive way beside it is told by uv; with --install it is what `pip download` really
fetches (gigabytes, one list at a time on disk; images of one Python share the download), installed
with `pip install --no-index` in the same replica. That way imports nothing, so our seconds
are also given without the imports, and the ratio is to those.
"""

import argparse
import datetime
import os
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bundle_naive

from kagglekit.errors import KagglekitError
from kagglekit.offline import bundle, check, command, image, notebook, requirements, tools, wheel
from kagglekit.offline.image import KaggleImage
from kagglekit.offline.manifest import Manifest
from kagglekit.offline.resolve import target_arguments
from kagglekit.rehearsal import installing
from kagglekit.rehearsal.replica import Replica, reachable

ROOT = command.CHECKOUT
IMAGES = ("kaggle-2026-06-gpu", "kaggle-2026-06-cpu", "colab-2026-08-gpu")
RUNS = 3  # of each installation; the quickest counts, because whatever else runs only adds
COLUMNS = (
    "image", "Python", "list", "wheels", "MiB", "cold s", "warm s", "closure ms", "whole check ms",
    "install s", "imports s", "without imports s", "by",
    "naive wheels", "naive MiB", "naive install s", "naive / ours",
)  # fmt: skip


@dataclass(frozen=True)
class Ours:
    """One bundle: its image, the title and the lines of its list, and what building it gave."""

    kaggle: KaggleImage
    title: str
    wanted: list[str]
    folder: Path
    made: Manifest
    cells: list[str]


def lists() -> dict[str, list[str]]:
    """Return what is bundled, by name."""
    default = [str(line) for line in requirements.read(ROOT / "wheels" / "requirements.in")]
    submit = notebook.wanted(ROOT / "notebooks" / "hubmap_kidney_submit.ipynb").requirements
    return {
        "default": default,
        "+ monai zarr imagecodecs ttach": [*default, "monai", "zarr", "imagecodecs", "ttach"],
        "smp 0.5.0": ["segmentation-models-pytorch==0.5.0"],
        "notebook": [name for name in submit if name != "kagglekit"],
    }


def build(kaggle: KaggleImage, title: str, wanted: list[str], work: Path) -> Ours:
    """Build twice and prove."""
    out, seconds = work / "my-bundle", []
    with empty_caches(work):
        for _ in range(2):
            started = time.perf_counter()
            made = bundle.build(wanted, kaggle, out, ROOT).manifest
            seconds.append(time.perf_counter() - started)
    started = time.perf_counter()
    check.check_bundle(out, kaggle)
    proof = 1000 * (time.perf_counter() - started)
    wheels = [wheel.read(out / each.file) for each in made.wheels]
    started = time.perf_counter()
    check.closure_problems(out, wheels, made.target(kaggle.name), kaggle)
    closure = 1000 * (time.perf_counter() - started)
    cells = [
        kaggle.name,
        kaggle.python,
        title,
        str(len(made.wheels)),
        f"{made.size / 2**20:.2f}",
        *(f"{each:.1f}" for each in seconds),
        f"{closure:.0f}",
        f"{proof:.0f}",
    ]
    return Ours(kaggle, title, wanted, out, made, cells)


@contextmanager
def empty_caches(work: Path) -> Iterator[None]:
    """Let uv and pip begin with nothing."""
    saved = dict(os.environ)
    os.environ |= {"UV_CACHE_DIR": f"{work}/uv", "PIP_CACHE_DIR": f"{work}/pip"}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)


def told(ours: Ours, work: Path) -> list[str]:
    """Let uv resolve with nothing subtracted; return the cells of the naive way."""
    (work / "naive.in").write_text("\n".join(ours.wanted))
    line = [tools.find_uv(), "pip", "compile", "--quiet", "naive.in", "-o", "pylock.toml"]
    done = tools.call([*line, *target_arguments(ours.kaggle)], cwd=work)
    if done.returncode:
        return ["none", "no solution", "", ""]
    packages = tomllib.loads((work / "pylock.toml").read_text())["packages"]
    wheels = [each for package in packages for each in package.get("wheels", [])[:1]]
    sizes = [each["size"] for each in wheels if "size" in each]
    size = f"{sum(sizes) / 2**20:.0f}" if len(sizes) == len(wheels) else "?"
    return [str(len(wheels)), size, "", ""]


def install(some: Sequence[Ours], replicas: dict[str, Replica]) -> Iterator[list[str]]:
    """Install one list in the replicas of images of one Python, our way and then the naive one."""
    first, mine = replicas[some[0].kaggle.name], {}
    for ours in some:
        runs = [installing.install_in(replicas[ours.kaggle.name], ours.folder) for _ in range(RUNS)]
        done = min(runs, key=lambda run: run.seconds - run.importing)
        mine[ours.kaggle.name] = done.seconds - done.importing
        ours.cells.extend(f"{each:.1f}" for each in (done.seconds, done.importing))
        ours.cells.extend([f"{mine[ours.kaggle.name]:.1f}", done.told.rpartition("by ")[2]])
    with tempfile.TemporaryDirectory() as scratch:
        wheels = Path(scratch)
        try:
            bundle_naive.download(first, some[0].wanted, wheels)
        except bundle_naive.RefusedError as refused:
            yield from ([*ours.cells, "none", "", str(refused), ""] for ours in some)
            return
        sizes = [file.stat().st_size for file in wheels.iterdir()]
        for ours in some:
            fetched = [str(len(sizes)), f"{sum(sizes) / 2**20:,.0f}"]
            try:
                replica = replicas[ours.kaggle.name]
                took = min(bundle_naive.install(replica, ours.wanted, wheels) for _ in range(RUNS))
                ratio = took / mine[ours.kaggle.name]
                yield [*ours.cells, *fetched, f"{took:.1f}", f"{ratio:.1f}"]
            except bundle_naive.RefusedError as refused:
                yield [*ours.cells, *fetched, str(refused), ""]


def rows(images: Sequence[str], work: Path, really: bool) -> Iterator[list[str]]:
    """Yield the rows of the table."""
    built: list[Ours] = []
    for name in images:
        kaggle = image.load(name)
        for number, (title, wanted) in enumerate(lists().items()):
            place = work / f"{name}-{number}"
            place.mkdir()
            try:
                built.append(build(kaggle, title, wanted, place))
            except KagglekitError as error:
                yield [name, kaggle.python, title, "refused", str(error).splitlines()[0]]
                continue
            if not really:
                yield [*built[-1].cells, *[""] * 4, *told(built[-1], place)]
    if not really:
        return
    replicas = {}
    for name in images:
        kaggle, unproved = reachable(image.load(name))
        manifests = [ours.made for ours in built if ours.kaggle.name == name]
        replicas[name] = installing.replica_for(manifests, kaggle, exact=not unproved)
        print(f"replica of {name}: Python {replicas[name].python}", *unproved, flush=True)
    for python in dict.fromkeys(ours.kaggle.python for ours in built):
        for title in lists():
            some = [o for o in built if (o.kaggle.python, o.title) == (python, title)]
            if some:
                yield from install(some, replicas)


def main() -> None:
    """Print the table, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--image", nargs="+", default=IMAGES)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    head = [_line(COLUMNS), _line(["---"] * len(COLUMNS))]
    print(*head, sep="\n", flush=True)
    loads, made = [os.getloadavg()[0]], []
    with tempfile.TemporaryDirectory() as scratch:
        for row in rows(options.image, Path(scratch), options.install):
            made.append(row)
            loads.append(os.getloadavg()[0])
            print(_line(row), flush=True)
    if options.out:
        made.sort(key=lambda row: options.image.index(row[0]))
        lines = [*_preface(loads), *head, *map(_line, made)]
        options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _preface(loads: Sequence[float]) -> list[str]:
    return [
        "# Offline bundles: measurements",
        "",
        f"{datetime.date.today()}, {os.cpu_count()} cores, load average {min(loads):.1f} to"
        f" {max(loads):.1f}; made by `uv run python benchmarks/bundle.py --install`.",
        "",
        "cold: caches of uv and pip empty. install: the first cell in a replica of the image with",
        "no network, hashes and the imports of everything new included. The naive way is `pip",
        "download` and `pip install --no-index` of the same list in the same replica; it imports",
        "nothing, so naive / ours compares it with our seconds without the imports. Images of one",
        f"Python share one naive download: pip knows nothing of images. Quickest of {RUNS} runs.",
        "",
    ]


if __name__ == "__main__":
    main()
