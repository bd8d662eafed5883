"""Bundles beside the naive way: wheels, bytes, seconds; one command, a row as soon as it is known.

    uv run python benchmarks/bundle.py [--install] [--out benchmarks/results/bundle.md]

For each Kaggle image and each list: the build with empty caches (cold) and again (warm), the
closure alone and the whole of check-bundle, and with --install `install.py` in a replica with no
network. Beside it the naive way: what `pip download` of the same list fetches; with --install it is
really downloaded (gigabytes) and installed with `pip install --no-index` in the same replica,
otherwise told by uv (sizes as the package index tells them, "?" where it tells none).
"""

import argparse
import os
import re
import tempfile
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

import bundle_naive

from kagglekit.errors import KagglekitError
from kagglekit.offline import bundle, check, command, image, notebook, requirements, tools, wheel
from kagglekit.offline.manifest import Manifest
from kagglekit.offline.resolve import target_arguments
from kagglekit.rehearsal import installing

ROOT = command.CHECKOUT
IMAGES = ("kaggle-2026-06-gpu", "kaggle-2026-06-cpu", "colab-2026-08-gpu")
HEAD = (
    "| image | list | wheels | MiB | cold s | warm s | closure ms | whole check ms"
    " | install s | of it imports s | naive wheels | naive MiB | naive install s |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def lists() -> dict[str, list[str]]:
    """Return what is bundled, by name."""
    default = [str(line) for line in requirements.read(ROOT / "wheels" / "requirements.in")]
    submit = notebook.distributions(ROOT / "notebooks" / "hubmap_kidney_submit.ipynb")
    return {
        "default": default,
        "+ monai zarr imagecodecs ttach": [*default, "monai", "zarr", "imagecodecs", "ttach"],
        "smp 0.5.0": ["segmentation-models-pytorch==0.5.0"],
        "notebook": [name for name in submit if name != "kagglekit"],
    }


def ours(
    kaggle: image.KaggleImage, wanted: list[str], out: Path, install: bool
) -> tuple[list[str], Manifest]:
    """Build twice, prove, and install; return the cells, and what was built."""
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        built = bundle.build(wanted, kaggle, out, ROOT)
        seconds.append(time.perf_counter() - started)
    started = time.perf_counter()
    check.check_bundle(out, kaggle)
    proof = 1000 * (time.perf_counter() - started)
    made = built.manifest
    wheels = [wheel.read(out / each.file) for each in made.wheels]
    started = time.perf_counter()
    check.closure_problems(out, wheels, made.target(kaggle.name), kaggle)
    closure = 1000 * (time.perf_counter() - started)
    told = installing.install(out, made, kaggle)[0] if install else ""
    times = re.findall(r"the cell itself ([\d.]+) s, ([\d.]+) s", told) or [("", "")]
    cells = [
        str(len(made.wheels)),
        f"{made.size / 2**20:.2f}",
        *(f"{each:.1f}" for each in seconds),
        f"{closure:.0f}",
        f"{proof:.0f}",
        *times[0],
    ]
    return cells, made


def naive(kaggle: image.KaggleImage, wanted: Sequence[str], work: Path) -> list[str]:
    """Let uv resolve with nothing subtracted; return the cells."""
    (work / "naive.in").write_text("\n".join(wanted))
    line = [tools.find_uv(), "pip", "compile", "--quiet", "naive.in", "-o", "pylock.toml"]
    done = tools.call([*line, *target_arguments(kaggle)], cwd=work)
    if done.returncode:
        return ["none", "no solution", ""]
    packages = tomllib.loads((work / "pylock.toml").read_text())["packages"]
    wheels = [each for package in packages for each in package.get("wheels", [])[:1]]
    sizes = [each["size"] for each in wheels if "size" in each]
    told = f"{sum(sizes) / 2**20:.0f}" if len(sizes) == len(wheels) else "?"
    return [str(len(wheels)), told, ""]


def main() -> None:
    """Print the table, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--image", nargs="+", default=IMAGES)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = [HEAD]
    print(HEAD, flush=True)
    for name in options.image:
        kaggle = image.load(name)
        for title, wanted in lists().items():
            with tempfile.TemporaryDirectory() as scratch:
                work = Path(scratch)
                saved = dict(os.environ)
                os.environ |= {"UV_CACHE_DIR": f"{work}/uv", "PIP_CACHE_DIR": f"{work}/pip"}
                try:
                    cells, made = ours(kaggle, wanted, work / "bundle", options.install)
                    if options.install:
                        cells += bundle_naive.install(kaggle, made, wanted)
                    else:
                        cells += naive(kaggle, wanted, work)
                except KagglekitError as error:
                    cells = ["refused", str(error).splitlines()[0], *[""] * 8]
                row = f"| {' | '.join([name, title, *cells])} |"
                os.environ.clear()
                os.environ.update(saved)
            rows.append(row)
            print(row, flush=True)
    if options.out:
        options.out.write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
