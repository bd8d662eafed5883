"""Writing and checking Carvana's submission of 100,064 rows, its images 1918 × 1280 pixels.

    uv run python benchmarks/submission.py            # prints the table
    uv run python benchmarks/submission.py --images 5000

Each step is a process of its own; memory is the most that it held beyond its imports. Images are
one JPEG file under many names, masks are cars drawn as a few ellipses. Predicting takes no time
here, so the writer has the worst case: nothing to hide behind.
"""

import argparse
import itertools
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from kagglekit import competitions, submission
from kagglekit.rle import RLE

SHAPE = (1280, 1918)
LINKS = 30_000  # names that one file may have are limited


def draw_cars(count: int = 16) -> list[RLE]:
    """Draw masks of about the size and outline of a car."""
    cars = []
    for turn in range(count):
        mask = np.zeros(SHAPE, np.uint8)
        cv2.ellipse(mask, (959, 640), (560 - 15 * turn, 190), 0, 0, 360, 1, -1)
        cv2.ellipse(mask, (900 + 10 * turn, 500), (300, 170), 0, 0, 360, 1, -1)
        for x in (600, 1300):
            cv2.ellipse(mask, (x, 800), (90, 100), 0, 0, 360, 1, -1)
        cars.append(RLE.from_mask(mask, order="C"))
    return cars


def make_tree(root: Path, images: int) -> None:
    """Put a test folder of so many images together."""
    (root / "test").mkdir(parents=True)
    for number in range(images):
        path = root / "test" / f"{number // 16:012x}_{number % 16 + 1:02}.jpg"
        if number % LINKS == 0:
            original = path
            cv2.imwrite(str(path), np.full((*SHAPE, 3), 90, np.uint8))
        else:
            os.link(original, path)


def write(comp: competitions.Profile, data: competitions.Data, path: Path) -> None:
    """Set a mask for every image."""
    cars = itertools.cycle(draw_cars())
    with submission.Writer(comp, data, path) as out:
        for image_id, _ in out.todo():
            out[image_id] = next(cars)


def check(comp: competitions.Profile, data: competitions.Data, path: Path) -> None:
    """Validate what was written."""
    problems = submission.validate(path, comp, data)
    if problems:
        raise SystemExit("\n".join(problems[:5]))


def main() -> None:
    """Print a line for each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_064)
    parser.add_argument("--step", choices=["write", "check"], help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        comp = competitions.load("carvana-image-masking-challenge")
        data = comp.find_data(options.root)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began, cpu = time.perf_counter(), time.process_time()
        {"write": write, "check": check}[options.step](comp, data, options.root / "submission.csv")
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
        peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3
        print(f"| {options.step} | {wall:.1f} | {cpu:.1f} | {peak:.0f} |")
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_tree(root, options.images)
        print("| step | seconds | CPU seconds | peak MB |\n|---|---|---|---|", flush=True)
        for step in ("write", "check"):
            command = [sys.executable, __file__, "--step", step, "--root", folder]
            # As on a user's machine, where what Python compiled once stays compiled.
            settings = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL, env=settings)
        size = (root / "submission.csv").stat().st_size / 1e6
        print(f"\n{options.images:,} rows, {size:,.0f} MB")


if __name__ == "__main__":
    main()
