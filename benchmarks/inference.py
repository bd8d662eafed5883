"""Sliding-window inference, side by side with the peers: one command, markdown tables.

    uv run --group bench python benchmarks/inference.py                     # everything
    uv run --group bench python benchmarks/inference.py --case small --runs 3 --write
    uv run --group bench python benchmarks/inference.py --only kagglekit decoding
    uv run --group bench python benchmarks/inference.py --check             # is the harness right?

docs/benchmarks.md says what is measured and how to read the tables. Slides and right answers are
made once and kept in `--cache`; `--write` keeps the tables, benchmarks/results/inference-small.md
and so on, a file for each kind of case.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import warnings
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median

import inference_bars as bars
import inference_limit as limit
import torch
from inference_cases import Case, differing, edges_of_text, right_answer
from inference_child import FLOORS, THREADS
from inference_equal import check, tiled_equals_untiled
from inference_peers import PEERS
from inference_slides import SLIDES, raw_mb, slide
from rasterio.errors import NotGeoreferencedWarning

RESULTS = Path(__file__).parent / "results"
CHILD = Path(__file__).parent / "inference_child.py"
PACKAGES = ("torch", "rasterio", "numpy", "monai", "openslide-python", "pytorch-toolbelt", "tiler")

TWO_THREADS = [name for name in FLOORS if not name.endswith("1 thread")]
ON_THE_LARGEST = ["kagglekit", "tutorials' loop", "decoding alone"]
PLANS: dict[str, list[tuple[Case, list[str]]]] = {
    "small": [
        (Case("small", "unet"), [*FLOORS, *PEERS]),
        (Case("small", "identity"), [*TWO_THREADS, *PEERS]),
    ],
    "large": [(Case("large", "unet"), [*TWO_THREADS, *PEERS])],
    "scale": [
        (Case("small", "unet", 4, 256, 8), [*TWO_THREADS, *PEERS]),
        (Case("small", "unet", 4, 256, 64), [*TWO_THREADS, "kagglekit"]),
        *((Case(name, "unet", 4, 256, 8), ON_THE_LARGEST) for name in bars.LARGEST),
    ],
}

lines: list[str] = []


def say(line: str = "") -> None:
    """Print a line and keep it."""
    print(line, flush=True)
    lines.append(line)


def once(case: Case, who: str, cache: Path, answer=None, prefix=None) -> dict:
    """Run one contestant once in a process of its own.

    Returns:
        What the child measured; with an answer to compare to, "differ" and "border" too; or, if it
        failed, "failed": why.
    """
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder, "rle.txt")
        job = {"who": who, "case": asdict(case), "cache": str(cache), "text": str(text)}
        done = subprocess.run(
            [sys.executable, str(CHILD), json.dumps(job)],
            capture_output=True,
            text=True,
            preexec_fn=prefix,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            why = "killed" if done.returncode == -9 else last[:120]
            return {"failed": f"{why} (status {done.returncode})"}
        took = json.loads(done.stdout.strip().splitlines()[-1])
        if answer is not None and text.exists():
            found = edges_of_text(text.read_text())
            took["differ"], took["border"] = differing(answer, found, case.shape)
    return took


def unable(case: Case, who: str) -> str | None:
    """Say why a contestant cannot take part, if so."""
    if who in FLOORS:
        return None
    peer = PEERS[who]
    if case.scale > 1 and not peer.any_scale:
        return "its reader has no such scale in a file without a pyramid"
    if SLIDES[case.slide].layout == "pages" and not peer.any_layout:
        return "does not read three pages as three channels"
    pixels = case.shape[0] * case.shape[1]
    need = peer.bytes_per_pixel * pixels / case.scale**2 / 1e9
    if case.scale > 1 and not peer.any_layout:
        need += 6 * pixels / 1e9  # the map at full size, and the mask
    with Path("/proc/meminfo").open() as file:
        have = next(int(line.split()[1]) for line in file if "MemAvailable" in line) / 1e6
    if need > 0.85 * have:
        return f"needs about {need:.0f} GB, {have:.0f} GB are free"
    return None


def into_page_cache(path: Path) -> None:
    """Read a file: whoever reads it from a disk first would wait for it, and the others not."""
    with path.open("rb", buffering=0) as file:
        while file.read(16 << 20):
            pass


def measure(case: Case, names: list[str], cache: Path, runs: int) -> bars.Measured:
    """Run contestants in turn, `runs` times, and print their table.

    Returns:
        Per contestant the median of each figure; "min" is the least wall time.
    """
    path = slide(case.slide, cache)
    answer = right_answer(case, cache)
    raw, file = raw_mb(path)
    say(f"\n## {case}\n")
    say(
        f"{raw:,.0f} MB of pixels in a file of {file:,.0f} MB; {case.windows:,} windows on the "
        f"network's stride; {len(answer) // 2:,} runs in the right mask.\n"
    )
    took: dict[str, list[dict]] = {name: [] for name in names}
    failed: dict[str, str] = {}
    for i in range(runs):
        for name in names:
            reason = failed.get(name) or unable(case, name)
            if reason:
                failed[name] = reason
            elif i == 0 or not (name == "tutorials' loop" and case.slide in bars.LARGEST):
                into_page_cache(path)
                figures = once(case, name, cache, answer)
                seen = {key: round(value, 1) for key, value in figures.items() if key != "failed"}
                print(f"run {i + 1}/{runs}, {name}: {seen}", file=sys.stderr, flush=True)
                if "failed" in figures:
                    failed[name] = figures["failed"]
                else:
                    took[name].append(figures)
    say("| who | wall s | least | CPU s | peak MB | × file read | differ | at the border |")
    say("|---|---:|---:|---:|---:|---:|---:|---:|")
    measured: bars.Measured = {}
    for name in names:
        if name in failed or not took[name]:
            say(f"| {name} | {failed.get(name, 'not run')} | | | | | | |")
            continue
        one = {key: median(figures[key] for figures in took[name]) for key in took[name][0]}
        one |= {
            "min": min(figures["wall"] for figures in took[name]),
            "times": one["read"] / path.stat().st_size,
        }
        measured[name] = one
        say(row(name, one))
    return measured


def row(name: str, one: dict[str, float]) -> str:
    """Write one line of a table."""
    if name.startswith("network"):
        return f"| {name} | {one['wall']:.2f} | {one['min']:.2f} | {one['cpu']:.1f} | | | | |"
    differ = f"{one['differ']:,.0f} | {one['border']:,.0f}" if "differ" in one else "|"
    return (
        f"| {name} | {one['wall']:.2f} | {one['min']:.2f} | {one['cpu']:.1f} | {one['peak']:,.0f} |"
        f" {one['times']:.2f} | {differ} |"
    )


def head(kind: str, runs: int) -> None:
    """Say what ran where."""
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    say(f"# Sliding-window inference, {kind}: measurements\n")
    say(f"{date.today()}, {os.cpu_count()} cores ({model}), {memory:.0f} GiB,")
    say(f"load {os.getloadavg()[0]:.1f} at the start, Python {platform.python_version()},")
    say(", ".join(f"{name} {version(name)}" for name in PACKAGES) + ".")
    policy = os.environ.get("OMP_WAIT_POLICY", "not set")
    say(f"Every contestant: a fresh process, {THREADS} torch threads, batch 1 unless named")
    say("(kagglekit: its default, 1 for windows of 512 and 2 for windows of 256),")
    say(f"OMP_WAIT_POLICY {policy}, files in the page cache.")
    asked = f"{kind} --runs {runs}" if kind in PLANS else kind
    say(f"Made by `uv run --group bench python benchmarks/inference.py --case {asked} --write`.")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = [*PLANS, "limit", "equal"]
    parser.add_argument("--case", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="contestants that begin so")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir(), "kagglekit-benchmarks")
    )
    parser.add_argument("--write", action="store_true", help="keep the tables")
    parser.add_argument("--check", action="store_true", help="prove the harness, measure nothing")
    return parser.parse_args()


def main() -> None:
    """Measure what was asked for and print the bars."""
    chosen = arguments()
    torch.set_num_threads(THREADS)
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    if chosen.check:
        raise SystemExit(check(chosen.cache))
    for kind in chosen.case:
        run(kind, chosen)
        if chosen.write:
            (RESULTS / f"inference-{kind}.md").write_text("\n".join(lines) + "\n")


def run(kind: str, chosen: argparse.Namespace) -> None:
    """Measure one kind of case and print its tables and bars."""
    lines.clear()
    head(kind, chosen.runs)
    results: dict[Case, bars.Measured] = {}
    for case, names in PLANS.get(kind, []):
        wanted = tuple(name.lower() for name in chosen.only or [""])
        names = [name for name in names if name.lower().startswith(wanted)]
        if names:
            results[case] = measure(case, names, chosen.cache, chosen.runs)
    equal = tiled_equals_untiled(chosen.cache, say) if kind == "equal" else None
    limited = limit.run(chosen.cache, once, say) if kind == "limit" else None
    say("\n## The bars\n")
    say("Times are medians; × are ratios of medians of this run. A bar whose figures this run did")
    say("not measure is left out.\n")
    say("| what | bar | measured | met |\n|---|---|---|---|")
    for line in bars.table(results, equal, limited):
        say(line)
    say(f"\nLoad at the end {os.getloadavg()[0]:.1f}; what else ran meanwhile is in every time.")


if __name__ == "__main__":
    main()
