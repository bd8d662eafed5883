"""Reading windows of a large TIFF, side by side with the peers, each in a process of its own.

    uv run python benchmarks/reading.py              # prints the table
    uv run python benchmarks/reading.py --write      # and keeps it in results/reading.md
    uv run python benchmarks/reading.py --small      # a sixteenth of the pixels, for a quick look

Every window of a grid of 1,024-pixel windows, which overlap by 32 or more, is read once in row
order. The best of several runs that take turns counts, opening included; speeds are compared by CPU
time, so that others on the machine do not matter. The memory is what the process grows by beyond
its imports. Each contestant sums up what it reads, and the sums must agree.
"""

import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results" / "reading.md"
WINDOW, OVERLAP = 1024, 32
RUNS = 3
LAYOUTS = {
    "raw strips": {"blockysize": 16, "interleave": "pixel"},
    "striped LZW": {"blockysize": 64, "interleave": "pixel", "compress": "lzw", "predictor": 2},
    "tiled LZW": {"tiled": True, "interleave": "pixel", "compress": "lzw"},
    "planar tiled LZW": {"tiled": True, "interleave": "band", "compress": "lzw"},
    "tiled JPEG": {
        "tiled": True,
        "interleave": "pixel",
        "compress": "jpeg",
        "photometric": "ycbcr",
    },
}
OURS, BARE = "kagglekit", "rasterio, unlimited cache"

lines: list[str] = []


def say(line=""):
    """Print a line and keep it."""
    print(line, flush=True)
    lines.append(line)


def strip(shape, y0, y1):
    """Draw rows of stained tissue, (3, rows, width): smooth colours with a scanner's noise."""
    rng = np.random.default_rng(y0)
    y, x = np.arange(y0, y1)[:, None], np.arange(shape[1])[None]
    noise = rng.integers(0, 12, (y1 - y0, shape[1]), np.uint8)
    rows = np.empty((3, y1 - y0, shape[1]), np.uint8)
    for plane, (a, b) in zip(rows, ((97, 71), (83, 113), (61, 89)), strict=True):
        wave = 120 + 60 * np.sin(y / a + 1, dtype=np.float32) * np.cos(x / b, dtype=np.float32)
        plane[:] = wave.astype(np.uint8) + noise
    return rows


def write(path, shape, options):
    """Write the picture a strip at a time."""
    import rasterio
    from rasterio.windows import Window

    warnings.simplefilter("ignore")
    sides = {"blockxsize": 512, "blockysize": 512} if options.get("tiled") else {}
    with rasterio.open(
        path, "w", driver="GTiff", height=shape[0], width=shape[1], count=3, dtype="uint8",
        **{"photometric": "rgb"} | options | sides,
    ) as file:  # fmt: skip
        for y0 in range(0, shape[0], 512):
            y1 = min(y0 + 512, shape[0])
            file.write(strip(shape, y0, y1), window=Window(0, y0, shape[1], y1 - y0))


def ours(path):
    """Read through kagglekit."""
    from kagglekit.slides import open_slide

    slide = open_slide(path)
    return slide.shape, slide.read


def bare(path, cache=None):
    """Read through rasterio as it comes, or with more cache than it can fill."""
    import rasterio
    from rasterio.env import set_gdal_config
    from rasterio.windows import Window

    warnings.simplefilter("ignore")
    if cache:
        set_gdal_config("GDAL_CACHEMAX", cache)
    dataset = rasterio.open(path)

    def read(y0, y1, x0, x1):
        return dataset.read([1, 2, 3], window=Window(x0, y0, x1 - x0, y1 - y0))

    return dataset.shape, read


def with_tifffile(path):
    """Decode the whole page, then slice; raw pixels are mapped."""
    import tifffile

    try:
        pixels = tifffile.memmap(path, mode="r")
    except ValueError:
        pixels = tifffile.imread(path)
    if pixels.shape[0] == 3:
        pixels = pixels.transpose(1, 2, 0)
    return pixels.shape[:2], lambda y0, y1, x0, x1: np.ascontiguousarray(pixels[y0:y1, x0:x1])


def with_opencv(path):
    """Decode the whole picture, then slice."""
    os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(1 << 40)
    import cv2

    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3:
        raise ValueError("reads nothing, or one channel")
    return pixels.shape[:2], lambda y0, y1, x0, x1: cv2.cvtColor(
        pixels[y0:y1, x0:x1], cv2.COLOR_BGR2RGB
    )


CONTESTANTS = {
    OURS: ours,
    BARE: lambda path: bare(path, 64 << 30),
    "rasterio, as it comes": bare,
    "tifffile, whole": with_tifffile,
    "OpenCV, whole": with_opencv,
}


def grid(shape):
    """Cover the picture as `make_grid` does, without importing anything."""

    def spread(size):
        count = max(-(-(size - OVERLAP) // (WINDOW - OVERLAP)), 1)
        return [i * (size - WINDOW) // max(count - 1, 1) for i in range(count)]

    return [(y, y + WINDOW, x, x + WINDOW) for y in spread(shape[0]) for x in spread(shape[1])]


def child(who, path):
    """Read the grid once; print the seconds, the growth in MB and the sum of all that was read."""
    for name in ("cv2", "rasterio", "tifffile", "kagglekit.slides"):
        importlib.import_module(name)  # nobody's imports are counted
    before = memory_mb("VmRSS")
    start, cpu = time.perf_counter(), time.process_time()
    shape, read = CONTESTANTS[who](path)
    total = mb = 0
    summing = 0.0
    for window in grid(shape):
        pixels = read(*window)
        now = time.perf_counter(), time.process_time()
        total += int(pixels[::37].sum() if pixels.shape[2] == 3 else pixels[:, ::37].sum())
        mb += pixels.nbytes / 1e6
        summing += time.process_time() - now[1]
        start += time.perf_counter() - now[0]
    answer = {
        "wall": time.perf_counter() - start,
        "cpu": time.process_time() - cpu - summing,
        "growth": memory_mb("VmHWM") - before,
        "sum": total,
        "mb": mb,
    }
    print(json.dumps(answer))


def memory_mb(key):
    """Return what the process holds now (VmRSS) or has held at most (VmHWM), in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"no {key} in /proc/self/status")


def measure(who, path):
    """Run one contestant in a process of its own; None when it cannot read the file."""
    command = [sys.executable, __file__, "--child", who, str(path)]
    run = subprocess.run(command, capture_output=True, text=True)
    return json.loads(run.stdout.splitlines()[-1]) if run.returncode == 0 else None


def table(path, name):
    """Print a layout's table and return its bars."""
    runs = {who: [] for who in CONTESTANTS}
    for _ in range(RUNS):
        for who in CONTESTANTS:
            if runs[who] is not None:
                answer = measure(who, path)
                runs[who] = None if answer is None else [*runs[who], answer]
    best = {who: min(got, key=lambda run: run["cpu"]) for who, got in runs.items() if got}
    size = path.stat().st_size / 1e6
    say(f"\n## {name} ({size:,.0f} MB)\n")
    say("| who | seconds | CPU s | MB/CPU s | × bare rasterio's speed | growth MB | same pixels |")
    say("|---|---:|---:|---:|---:|---:|---|")
    for who in CONTESTANTS:
        if who not in best:
            say(f"| {who} | cannot read it | | | | | |")
            continue
        run = best[who]
        speed = best[BARE]["cpu"] / run["cpu"]
        same = "yes" if run["sum"] == best[BARE]["sum"] else "NO"
        growth = max(each["growth"] for each in runs[who])
        say(
            f"| {who} | {run['wall']:.2f} | {run['cpu']:.2f} | {run['mb'] / run['cpu']:,.0f} | "
            f"{speed:.2f} | {growth:,.0f} | {same} |"
        )
    speed = best[BARE]["cpu"] / best[OURS]["cpu"]
    growth = max(each["growth"] for each in runs[OURS])
    return name, speed, growth


def main():
    """Write the layouts, measure, print the tables and the bars."""
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], Path(sys.argv[3]))
        return
    shape = (3_000, 4_000) if "--small" in sys.argv else (12_000, 16_000)
    libraries = ("numpy", "rasterio", "tifffile", "opencv-python-headless")
    say("# Reading windows: measurements\n")
    say(f"{date.today()}, {os.cpu_count()} cores ({platform.machine()}),")
    say(f"Python {platform.python_version()},")
    say(", ".join(f"{name} {version(name)}" for name in libraries) + ".")
    say("Made by `uv run python benchmarks/reading.py --write`.")
    say(f"A picture of {shape[0]:,} × {shape[1]:,} × 3, {len(grid(shape))} windows of {WINDOW},")
    say(f"best of {RUNS} runs, files in the machine's cache.")
    with tempfile.TemporaryDirectory() as folder:
        bars = []
        for name, options in LAYOUTS.items():
            path = Path(folder) / f"{name}.tif"
            write(path, shape, options)
            bars.append(table(path, name))
            path.unlink()
    say("\n## The bars\n")
    say("| layout | speed against bare rasterio, at least 0.9 | growth, below 200 MB | holds |")
    say("|---|---:|---:|---|")
    for name, speed, growth in bars:
        holds = "yes" if speed >= 0.9 and growth < 200 else "NO"
        say(f"| {name} | {speed:.2f} | {growth:.0f} | {holds} |")
    if "--write" in sys.argv:
        RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
