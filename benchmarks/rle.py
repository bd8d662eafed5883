"""Masks as runs, side by side with the tutorials and the peers, in one run.

    uv run --group bench python benchmarks/rle.py            # prints the tables
    uv run --group bench python benchmarks/rle.py --write    # and keeps them in results/rle.md

CPU time (the median of several calls, everything warm) and the most extra memory of one call, in
a forked child. Ratios to memcpy are to copying the mask of the same task into existing memory.
"""

import ctypes
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path

import cc3d
import cv2
import numpy as np
import rle_cases as cases
import rlemasklib
from skimage.measure import label as skimage_label

from kagglekit import regions
from kagglekit.rle import RLE, use_numba

RESULTS = Path(__file__).parent / "results" / "rle.md"
OURS = {"kagglekit, NumPy": False, "kagglekit, numba": True}

lines: list[str] = []
bars: list[str] = []


def say(line=""):
    """Print a line and keep it."""
    print(line, flush=True)
    lines.append(line)


def cpu_ms(work: Callable[[], object], budget=1.0):
    """Return the median CPU time of a warm call, in ms; what takes seconds is called once."""

    def once():
        start = time.process_time()
        work()
        return time.process_time() - start

    cold = once()
    if cold > 4:
        return cold * 1e3
    took = [once()]
    while sum(took) < budget and len(took) < 200:
        took.append(once())
    return statistics.median(took) * 1e3


def extra_mb(work: Callable[[], object]):
    """Return by how much one call raises the peak memory of a fresh child, in MB."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        small = RLE.from_mask(np.eye(64, dtype=np.uint8))  # maps the libraries' code again
        regions.drop_small(RLE.from_text(small.to_text(), small.shape), 2).to_mask()
        ctypes.CDLL(None).malloc_trim(0)  # nothing that an earlier call freed is used again
        Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
        before = status_mb("VmRSS")
        kept = work()
        os.write(write, str(status_mb("VmHWM") - before).encode())
        del kept
        os._exit(0)
    os.close(write)
    _, status = os.waitpid(child, 0)
    answer = os.read(read, 100)
    os.close(read)
    if status:
        raise SystemExit(f"the child that measures memory ended with status {status}")
    return float(answer)


def status_mb(key):
    """Return a line of /proc/self/status, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"no {key} in /proc/self/status")


class Table:
    """One task: a row per contestant; `per` scales the time to one of many."""

    def __init__(self, title, memcpy=None, per=1):
        self.memcpy, self.per = memcpy, per
        self.ms: dict[str, float] = {}
        self.mb: dict[str, float] = {}
        say(f"\n## {title}\n")
        say("| who | CPU ms | × memcpy | extra MB |\n|---|---:|---:|---:|")
        if memcpy:
            say(f"| memcpy | {memcpy:.3g} | 1 | |")

    def row(self, who, work, memory=True):
        """Measure one contestant."""
        self.ms[who] = cpu_ms(work) / self.per
        self.mb[who] = extra_mb(work) if memory else float("nan")
        ratio = f"{self.ms[who] / self.memcpy:.1f}" if self.memcpy else ""
        mb = f"{self.mb[who]:.0f}" if memory else ""
        say(f"| {who} | {self.ms[who]:.3g} | {ratio} | {mb} |")

    def ours(self, work, memory=True):
        """Measure kagglekit at both speeds."""
        for who, choice in OURS.items():
            use_numba(choice)
            self.row(who, work, memory)
        use_numba(None)

    def times(self, who):
        """Return the ratio to memcpy."""
        return self.ms[who] / self.memcpy


def bar(task, value, limit, unit, at_least=False):
    """Note whether a bar holds."""
    holds = value >= limit if at_least else value <= limit
    sign = "≥" if at_least else "≤"
    verdict = "yes" if holds else "NO"
    bars.append(f"| {task} | {sign} {limit:g} {unit} | {value:.3g} {unit} | {verdict} |")


NUMPY, NUMBA = OURS


def memcpy_ms(mask):
    """Return what copying the mask into existing memory takes."""
    target = np.empty_like(mask)
    return cpu_ms(lambda: np.copyto(target, mask))


def task_a():
    """A large mask with many runs: encode, decode, label."""
    mask = cases.blobs((12_000, 10_000), 1000, (30, 130))
    rle = RLE.from_mask(mask)
    text = rle.to_text()
    copy = memcpy_ms(mask)
    about = f"12,000 × 10,000, 1,000 ellipses, {len(rle):,} runs"
    t = Table(f"(a) encode to text: {about}", copy)
    cases.tutorial_encode_numba(np.eye(8, dtype=np.uint8))  # compiles
    t.ours(lambda: RLE.from_mask(mask).to_text())
    t.row("rlemasklib + join", lambda: cases.rlemasklib_encode(mask))
    t.row("pycocotools (no text)", lambda: cases.pycocotools_encode(mask))
    t.row("tutorial, numba", lambda: cases.tutorial_encode_numba(mask))
    t.row("tutorial", lambda: cases.tutorial_encode(mask))
    bar("(a) encode to text, numba", t.times(NUMBA), 5, "× memcpy")
    bar("(a) encode to text, NumPy", t.times(NUMPY), 15, "× memcpy")
    for who in OURS:
        bar(f"(a) extra memory, {who}", 100 * t.mb[who] / (mask.nbytes / 2**20), 5, "% of the mask")

    t = Table("(a) decode text to a C-contiguous mask, parsing included", copy)
    t.ours(lambda: RLE.from_text(text, mask.shape).to_mask())
    t.row("rlemasklib", lambda: cases.rlemasklib_read(text, mask.shape).to_array(order="C"))
    t.row("tutorial (not C-contiguous)", lambda: cases.tutorial_decode(text, mask.shape))
    t.row(
        "tutorial, made C-contiguous",
        lambda: np.ascontiguousarray(cases.tutorial_decode(text, mask.shape)),
    )
    bar("(a) decode, numba", t.times(NUMBA), 4, "× memcpy")
    bar("(a) decode, NumPy", t.times(NUMPY), 4, "× memcpy")

    t = Table("(a) areas of all components")
    t.ours(lambda: regions.areas(rle))
    peer = rlemasklib.RLEMask.from_array(mask)
    t.row("rlemasklib", lambda: peer.connected_component_stats(connectivity=8))
    t.row("OpenCV", lambda: cases.opencv_areas(mask))
    equal = sorted(regions.areas(rle).tolist()) == sorted(cases.opencv_areas(mask).tolist())
    say(f"\nAreas equal to OpenCV's: {equal}")
    for who in OURS:
        bar(f"label (a) against OpenCV, {who}", t.ms["OpenCV"] / t.ms[who], 50, "×", at_least=True)


def task_b():
    """Many small masks."""
    masks = [cases.blobs((256, 1600), 6, (10, 50), seed) for seed in range(1000)]
    runs = np.mean([len(RLE.from_mask(mask)) for mask in masks])
    t = Table(f"(b) encode 1,000 masks of 256 × 1600, {runs:.0f} runs each: one mask", per=1000)
    t.ours(lambda: [RLE.from_mask(mask).to_text() for mask in masks], memory=False)
    t.row("rlemasklib + join", lambda: [cases.rlemasklib_encode(m) for m in masks], memory=False)
    t.row("pycocotools (no text)", lambda: [cases.pycocotools_encode(m) for m in masks], False)
    t.row("tutorial, numba", lambda: [cases.tutorial_encode_numba(m) for m in masks], False)
    t.row("tutorial", lambda: [cases.tutorial_encode(m) for m in masks], memory=False)
    for who in OURS:
        bar(f"(b) encode, {who}", t.ms[who] / t.ms["rlemasklib + join"], 1, "× rlemasklib + join")


def task_c():
    """The worst case."""
    mask = np.random.default_rng(0).random((4096, 4096)) < 0.5
    t = Table("(c) encode 4096² of 50 % noise to text", memcpy_ms(mask))
    t.ours(lambda: RLE.from_mask(mask).to_text())
    t.row("rlemasklib + join", lambda: cases.rlemasklib_encode(mask.view(np.uint8)))
    t.row("tutorial", lambda: cases.tutorial_encode(mask))
    t.row("tutorial, numba", lambda: cases.tutorial_encode_numba(mask))
    for who in OURS:
        bar(f"(c) noise, {who}", t.ms["tutorial"] / t.ms[who], 5, "× the tutorial's speed", True)


def task_d():
    """A whole slide with some hundred outlines."""
    mask = cases.smooth_polygons((31_278, 25_794), 300, (60, 260))
    runs = len(RLE.from_mask(mask))
    about = f"31,278 × 25,794, 300 smooth polygons, {runs:,} runs"
    t = Table(f"(d) encode to text: {about}", memcpy_ms(mask))
    t.ours(lambda: RLE.from_mask(mask).to_text())
    t.row("rlemasklib + join", lambda: cases.rlemasklib_encode(mask))
    t.row("tutorial, numba", lambda: cases.tutorial_encode_numba(mask))
    say("\nThe tutorial's NumPy function needs 9 bytes a pixel, 7.3 GB, and is left out.")
    bar("(d) encode, numba", t.times(NUMBA), 2, "× memcpy")
    bar("(d) encode, NumPy", t.times(NUMPY), 5, "× memcpy")
    tutorial = t.ms["tutorial, numba"]
    bar("(d) numba", tutorial / t.ms[NUMBA], 60, "× the tutorial's numba", True)
    bar("(d) NumPy", tutorial / t.ms[NUMPY], 20, "× the tutorial's numba", True)
    for who in OURS:
        bar(f"(d) extra memory, {who}", t.mb[who], 16, "MB")


def task_e():
    """Real strings and masks."""
    strings = cases.severstal()
    shape = (256, 1600)
    t = Table(f"(e) decode {len(strings)} real Severstal strings: one string", per=len(strings))
    t.ours(lambda: [RLE.from_text(text, shape).to_mask() for text in strings], memory=False)
    t.row(
        "rlemasklib",
        lambda: [cases.rlemasklib_read(text, shape).to_array(order="C") for text in strings],
        memory=False,
    )
    t.row("tutorial", lambda: [cases.tutorial_decode(s, shape) for s in strings], memory=False)
    masks = list(cases.nuclei())
    t = Table(f"(e) encode {len(masks):,} real DSB nuclei to text: one mask", per=len(masks))
    t.ours(lambda: [RLE.from_mask(mask).to_text() for mask in masks], memory=False)
    t.row("rlemasklib + join", lambda: [cases.rlemasklib_encode(m) for m in masks], memory=False)
    t.row("tutorial", lambda: [cases.tutorial_encode(mask) for mask in masks], memory=False)


def task_slide():
    """One window, and Dice, of a slide that nobody could hold in memory."""
    shape = (25_000, 35_000)
    rle, other = (cases.disks_as_runs(shape, 700, (60, 200), seed) for seed in (0, 1))
    text, other_text = rle.to_text(), other.to_text()
    peer, peer_other = (cases.rlemasklib_read(t, shape) for t in (text, other_text))
    about = f"25,000 × 35,000, {len(rle):,} runs"
    box = np.array([9_000, 5_000, 1024, 1024])
    t = Table(f"1024² window of {about}, from text")
    t.ours(lambda: RLE.from_text(text, shape).window(5_000, 6_024, 9_000, 10_024))
    t.row("rlemasklib", lambda: cases.rlemasklib_read(text, shape).crop(box).to_array(order="C"))
    for who in OURS:
        bar(f"window from text, {who}", t.ms[who], 5, "ms")
        bar(f"window from text, extra memory, {who}", t.mb[who], 10, "MB")
    t = Table(f"1024² window of {about}, parsed")
    t.ours(lambda: rle.window(5_000, 6_024, 9_000, 10_024))
    t.row("rlemasklib", lambda: peer.crop(box).to_array(order="C"))
    for who in OURS:
        bar(f"window parsed, {who}", t.ms[who], 0.1, "ms")
    t = Table(f"Dice of two masks of {about}, from text")
    t.ours(lambda: RLE.from_text(text, shape).dice(RLE.from_text(other_text, shape)))
    t.row(
        "rlemasklib (IoU)",
        lambda: cases.rlemasklib_read(text, shape).iou(cases.rlemasklib_read(other_text, shape)),
    )
    for who in OURS:
        bar(f"Dice from text, {who}", t.ms[who], 8, "ms")
    t = Table(f"Dice of two masks of {about}, parsed")
    t.ours(lambda: rle.dice(other))
    t.row("rlemasklib (IoU)", lambda: peer.iou(peer_other))
    for who in OURS:
        bar(f"Dice parsed, {who}", t.ms[who], 2, "ms")


def task_regions():
    """Removing small components."""
    mask = cases.blobs((6000, 5000), 1200, (5, 60))
    rle = RLE.from_mask(mask)
    peer = rlemasklib.RLEMask.from_array(mask)
    count = len(regions.areas(rle))
    kept = regions.drop_small(rle, 2000).to_mask()
    same = np.array_equal(kept, cases.opencv_drop_small(mask, 2000))
    t = Table(f"drop_small: 6,000 × 5,000, {count} components, {len(rle):,} runs")
    t.ours(lambda: regions.drop_small(rle, 2000))
    t.row("rlemasklib", lambda: peer.remove_small_components(2000, connectivity=8))
    t.row("OpenCV, statistics and look-up", lambda: cases.opencv_drop_small(mask, 2000))
    t.row("cc3d.dust", lambda: cc3d.dust(mask, threshold=2000, connectivity=8))
    t.row("scikit-image, labels only", lambda: skimage_label(mask, connectivity=2))
    say(f"\nResult equal to OpenCV's: {same}")
    for who in OURS:
        bar(f"drop_small, {who}", t.ms[who] / t.ms["rlemasklib"], 1, "× rlemasklib")
        opencv = t.ms["OpenCV, statistics and look-up"]
        bar(f"drop_small against OpenCV, {who}", opencv / t.ms[who], 20, "×", at_least=True)
        bar(f"drop_small, extra memory, {who}", t.mb[who], 10, "MB")


def task_start():
    """Import and first call, each in a fresh process."""

    def child(code):
        script = f"import time, numpy as np; start = time.process_time()\n{code}"
        script += "\nprint(time.process_time() - start)"
        runs = [
            subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True)
            for _ in range(7)
        ]
        return min(float(run.stdout) for run in runs) * 1e3

    imported = child("import kagglekit.rle")
    encoded = child(
        "import kagglekit.rle as r; mask = np.eye(256, dtype=np.uint8)\n"
        "start = time.process_time(); r.RLE.from_mask(mask).to_text()"
    )
    say("\n## Start\n")
    say(f"`import kagglekit.rle` after NumPy: {imported:.1f} ms.")
    say(f"First small encode: {encoded:.2f} ms.")
    bar("import, beyond NumPy's own", imported, 20, "ms")
    bar("first small encode", encoded, 5, "ms")


def main():
    """Run every task and print the bars."""
    cv2.setNumThreads(1)
    peers = ("numpy", "numba", "rlemasklib", "pycocotools", "opencv-python-headless")
    say("# Masks as runs: measurements\n")
    say(f"{date.today()}, {os.cpu_count()} cores ({platform.machine()}),")
    say(f"Python {platform.python_version()},")
    say(", ".join(f"{name} {version(name)}" for name in peers) + ".")
    say("Made by `uv run --group bench python benchmarks/rle.py --write`.")
    for task in (task_a, task_b, task_c, task_d, task_e, task_slide, task_regions, task_start):
        task()
    say("\n## The bars\n")
    say("Where a bar names no speed it is numba that has to hold it; NumPy's row shows what is")
    say("left before anything is compiled.\n")
    say("| task | bar | measured | holds |\n|---|---|---|---|")
    for line in bars:
        say(line)
    if "--write" in sys.argv:
        RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
