"""The bundle beside what `pip download` would fetch: wheels, bytes, seconds.

    uv run python benchmarks/bundle.py

Builds the default bundle for every shipped Kaggle image, with empty caches (cold) and again
(warm), times the offline proof, and lets uv tell what a plain download of
segmentation-models-pytorch with all that it needs would be. That is not downloaded: the sizes are
those that the package index tells, and where it tells none, the table says so.
"""

import os
import tempfile
import time
import tomllib
from pathlib import Path

from kagglekit.offline import bundle, check, command, image, tools
from kagglekit.offline.resolve import target_arguments

NAIVE = "segmentation-models-pytorch"
ROOT = command.CHECKOUT


def ours(kaggle: image.KaggleImage, out: Path) -> str:
    """Build twice and prove; return a row of the table."""
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        built = bundle.build(ROOT / "wheels" / "requirements.in", kaggle, out, ROOT)
        seconds.append(time.perf_counter() - started)
    started = time.perf_counter()
    check.check_bundle(out, kaggle)
    proof = time.perf_counter() - started
    made = built.manifest
    return (
        f"| {kaggle.name} | {len(made.wheels)} | {made.size / 2**20:.2f} |"
        f" {seconds[0]:.1f} | {seconds[1]:.1f} | {1000 * proof:.0f} |"
    )


def naive(kaggle: image.KaggleImage, work: Path) -> str:
    """Let uv resolve with nothing subtracted; return a row of the table."""
    (work / "naive.in").write_text(f"{NAIVE}\n")
    command = [tools.find_uv(), "pip", "compile", "--quiet", "naive.in", "-o", "pylock.toml"]
    done = tools.call([*command, *target_arguments(kaggle)], cwd=work)
    if done.returncode:
        raise SystemExit(done.stderr)
    packages = tomllib.loads((work / "pylock.toml").read_text())["packages"]
    wheels = [wheel for package in packages for wheel in package["wheels"]]
    sizes = [wheel["size"] for wheel in wheels if "size" in wheel]
    told = f"{sum(sizes) / 2**20:.0f}" if len(sizes) == len(wheels) else "not told by this index"
    return f"| `pip download {NAIVE}`, Python {kaggle.python} | {len(wheels)} | {told} | | | |"


def main() -> None:
    """Print the table."""
    print("| | wheels | MiB | cold build s | warm build s | proof ms |")
    print("|---|---|---|---|---|---|")
    for name in image.names():
        with tempfile.TemporaryDirectory() as scratch:
            work = Path(scratch)
            os.environ |= {"UV_CACHE_DIR": f"{work}/uv", "PIP_CACHE_DIR": f"{work}/pip"}
            print(ours(image.load(name), work / "kagglekit-offline"), flush=True)
            if name.endswith("-gpu"):
                print(naive(image.load(name), work), flush=True)


if __name__ == "__main__":
    main()
