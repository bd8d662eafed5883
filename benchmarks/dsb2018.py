"""Real nuclei of the 2018 Data Science Bowl: trained from nothing, judged on held-out images.

    uv run python benchmarks/dsb2018.py stage1_train.tar                # prints the tables
    uv run python benchmarks/dsb2018.py stage1_train.tar --minutes 3    # for a quick look

A fifth of the images is held out; images that may be crops of one slide are never on both sides,
and each kind of image is spread evenly (`dsb2018_data.py`). Each contestant trains in a process
with one thread, for the same CPU time, without pretrained weights:

- kagglekit: tiles of every image at its own resolution, light evened image by image, a U-Net that
  learns mask, cores and borders; nuclei grow from their seeds (`dsb2018_ours.py`).
- plain: smp's U-Net and a plain loop, whole images resized, threshold 0.5, connected parts
  (`dsb2018_plain.py`).
- folds: three models of the first kind, each without another third of the training images, and
  their ensemble, for `--fold-minutes` each.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dsb2018_ours as ours
import dsb2018_plain as plain
import numpy as np
import torch
from dsb2018_data import FOLDS, Image, kind, load

from kagglekit import instances, metrics
from kagglekit.rle import RLE

HELD_OUT = FOLDS - 1
Scores = dict[str, tuple[float, float]]


def score(images: Sequence[Image], found: Iterable[tuple[RLE, list[RLE]]]) -> Scores:
    """Return (Dice of all nuclei together, the competition's metric) for each image."""
    return {
        image.name: (
            metrics.dice(mask, instances.union(image.truth, mask.shape)),
            metrics.instance_precision(nuclei, image.truth),
        )
        for image, (mask, nuclei) in zip(images, found, strict=True)
    }


def run_ours(
    train: list[Image], held: list[Image], minutes: float, scratch: Path
) -> dict[str, Any]:
    """Train one model; predict without and with views."""
    started = time.process_time()
    model = ours.fit(train, minutes, scratch)
    spent = time.process_time() - started
    rows = {}
    for tta in ("none", "flips"):
        probs = ours.probabilities(model, held, scratch, tta)
        rows[f"kagglekit, views: {tta}"] = score(held, [ours.decode(p) for p in probs])
    return {"spent": spent, "rows": rows}


def run_plain(
    train: list[Image], held: list[Image], minutes: float, scratch: Path
) -> dict[str, Any]:
    """Train and predict the plain way."""
    started = time.process_time()
    model = plain.fit(train, minutes)
    spent = time.process_time() - started
    rows = {"plain": score(held, [plain.predict(model, image) for image in held])}
    return {"spent": spent, "rows": rows}


def run_folds(
    train: list[Image], held: list[Image], minutes: float, scratch: Path
) -> dict[str, Any]:
    """Train three models on two thirds each; predict with each and with all."""
    started = time.process_time()
    members = [
        ours.fit([i for n, i in enumerate(train) if n % 3 != fold], minutes, scratch, fold)
        for fold in range(3)
    ]
    spent = time.process_time() - started
    rows = {}
    for name, models in (*((f"fold {n}", [m]) for n, m in enumerate(members)), ("all", members)):
        probs = ours.probabilities(models, held, scratch, "none")
        rows[name] = score(held, [ours.decode(p) for p in probs])
    singles = [rows.pop(f"fold {n}") for n in range(3)]
    mean = {i.name: tuple(np.mean([one[i.name] for one in singles], axis=0).tolist()) for i in held}
    named = {"one of three folds, mean": mean, "ensemble of the three folds": rows["all"]}
    return {"spent": spent, "rows": named}


RUNS = {"kagglekit": run_ours, "plain": run_plain, "folds": run_folds}


def child(name: str, tar: Path, minutes: float) -> dict[str, Any]:
    """Run one contestant in this process."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        images = load(tar, Path(scratch))
        train = [image for image in images if image.fold != HELD_OUT]
        held = [image for image in images if image.fold == HELD_OUT]
        result = RUNS[name](train, held, minutes, Path(scratch))
    return result | {"kinds": {image.name: kind(image.pixels).split(",")[0] for image in held}}


def table(results: Sequence[dict[str, Any]]) -> Iterable[str]:
    """Make the lines of the tables: all held-out images, then each kind."""
    kinds = results[0]["kinds"]
    yield f"{len(kinds)} held-out images\n"
    yield "| | training, CPU minutes | Dice of all nuclei together | the competition's metric |"
    yield "|---|---|---|---|"
    rows = [(name, r["spent"], scores) for r in results for name, scores in r["rows"].items()]
    for name, spent, scores in rows:
        dice, precision = np.mean(list(scores.values()), axis=0)
        yield f"| {name} | {spent / 60:.1f} | {dice:.3f} | {precision:.3f} |"
    yield "\nBy kind of image, Dice and the competition's metric:\n"
    names = sorted(set(kinds.values()))
    heads = [f"{each} ({list(kinds.values()).count(each)})" for each in names]
    yield f"| | {' | '.join(heads)} |"
    yield "|---" * (len(names) + 1) + "|"
    for name, _, scores in rows:
        means = [np.mean([scores[i] for i in kinds if kinds[i] == each], axis=0) for each in names]
        yield f"| {name} | {' | '.join(f'{dice:.3f}, {value:.3f}' for dice, value in means)} |"


def main() -> None:
    """Run the contestants as processes, two at a time, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tar", type=Path, help="the archive of stage1_train")
    parser.add_argument("--minutes", type=float, default=40, help="of CPU, each (default: 40)")
    parser.add_argument("--fold-minutes", type=float, default=5, help="of a fold (default: 5)")
    parser.add_argument("--contestants", nargs="+", choices=RUNS, default=list(RUNS))
    parser.add_argument("--only", choices=RUNS, help="one contestant, as JSON")
    given = parser.parse_args()
    if given.only:
        print(json.dumps(child(given.only, given.tar, given.minutes)))
        return

    def start(name: str) -> dict[str, Any]:
        minutes = given.fold_minutes if name == "folds" else given.minutes
        command = [sys.executable, __file__, str(given.tar), "--only", name]
        command += ["--minutes", str(minutes)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result

    with ThreadPoolExecutor(2) as pool:
        print("\n".join(table(list(pool.map(start, given.contestants)))))


if __name__ == "__main__":
    main()
