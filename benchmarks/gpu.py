"""Sliding-window inference on a CUDA GPU, beside the network's own speed there and beside MONAI.

    uv run --group bench python benchmarks/gpu.py            # prints the tables
    uv run --group bench python benchmarks/gpu.py --write    # and keeps them in results/gpu.md

The floor is the same model in half precision on as many tiles that already lie on the GPU, its
weights laid out as pixels lie and cast once; the share is the floor's time over the contestant's,
reading, blending, threshold and runs included.
Bytes moved are counted from the profiler's copies between host and device.
"""

import argparse
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import date
from functools import partial
from importlib.metadata import version
from pathlib import Path

import torch
from inference_cases import Case, build, differing, edges_of_text, right_answer
from inference_slides import slide
from torch.profiler import ProfilerActivity, profile

from kagglekit.inference import predict_mask
from kagglekit.models import Model, Recipe
from kagglekit.models import build as build_named
from kagglekit.slides import open_slide

RESULTS = Path(__file__).parent / "results" / "gpu.md"
BATCHES = (8, 20)  # kagglekit's own choice, and all windows of a strip
SHARE = 0.92


def forward(model: Model, case: Case, batch: int) -> None:
    """Run the network on tiles that lie on the GPU."""
    size = (batch, case.window, case.window, 3)
    tiles = torch.randint(0, 255, size, dtype=torch.uint8, device="cuda").permute(0, 3, 1, 2)
    with torch.no_grad(), torch.autocast("cuda", torch.float16):
        for done in range(0, case.windows, batch):
            model(tiles[: case.windows - done])


def kagglekit(model: Model, path: Path, case: Case, batch: int) -> str:
    """Predict and encode."""
    with open_slide(path) as image:
        options = {"window": case.window, "min_overlap": case.overlap, "batch_size": batch}
        return predict_mask(model, image, progress=False, **options).to_text()


def monai(model: Model, path: Path, case: Case, batch: int) -> str:
    """MONAI with windows on the GPU and the whole maps in memory, as its documentation advises."""
    from inference_peers import finish, monai_windows, read_whole

    image = torch.from_numpy(read_whole(path, case)).float()[None]
    side, overlap = (case.window, case.window), case.overlap / case.window
    with torch.no_grad(), torch.autocast("cuda", torch.float16):
        prob = monai_windows(
            image, side, batch, lambda tiles: model(tiles).float().sigmoid(), overlap=overlap,
            sw_device="cuda", device="cpu",
        )  # fmt: skip
    return finish(prob[0, 0], case)


def seconds(work: Callable[[], object], runs: int) -> float:
    """Return the median wall time of warm calls, until the GPU is idle again."""
    took = []
    for _ in range(runs + 1):
        torch.cuda.synchronize()
        started = time.perf_counter()
        work()
        torch.cuda.synchronize()
        took.append(time.perf_counter() - started)
    return statistics.median(took[1:])


def moved_mb(work: Callable[[], object]) -> tuple[float, float]:
    """Return the megabytes that one call copies to the GPU and back from it."""
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder, "trace.json")
        with profile(activities=[ProfilerActivity.CUDA]) as seen:
            work()
        seen.export_chrome_trace(str(trace))
        up = down = 0.0
        for event in json.loads(trace.read_text())["traceEvents"]:
            copied = event.get("args", {}).get("bytes", 0) / 1e6
            up += copied * event.get("name", "").startswith("Memcpy HtoD")
            down += copied * event.get("name", "").startswith("Memcpy DtoH")
    return up, down


def models(case: Case, cache: Path) -> dict[str, Model]:
    """Return a light network and one as heavy as those of competitions."""
    torch.manual_seed(0)
    fixed = Recipe("smp.Unet", {"encoder_name": "resnet34"}, window=case.window)
    return {"small U-Net": build(case, cache), "smp U-Net, resnet34, untrained": build_named(fixed)}


def main() -> None:
    """Measure and print; without a GPU say so."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="keep the tables in results/gpu.md")
    parser.add_argument("--runs", type=int, default=3)
    folder = Path(tempfile.gettempdir(), "kagglekit-benchmarks")
    parser.add_argument("--cache", type=Path, default=folder)
    chosen = parser.parse_args()
    if not torch.cuda.is_available():
        print("No CUDA GPU here: nothing measured, nothing written.")
        return
    warnings.simplefilter("ignore")
    warnings.filterwarnings("default", message=".*windows at once do not fit")  # the table is wrong
    case = Case("small", "unet")
    path, answer = slide(case.slide, chosen.cache), right_answer(case, chosen.cache)
    lines = [
        "# Sliding-window inference on a GPU: measurements\n",
        f"{date.today()}, {torch.cuda.get_device_name()}, torch {version('torch')}, "
        f"MONAI {version('monai')}. {case.shape[1]:,} × {case.shape[0]:,}, window {case.window}, "
        f"overlap {case.overlap}, half precision.\n",
        "| network | batch | who | wall s | share of forward alone | MB up | MB down | differ |",
        "|---|---:|---|---:|---:|---:|---:|---:|",
    ]
    best = 0.0
    for name, model in models(case, chosen.cache).items():
        model = model.eval().cuda().to(memory_format=torch.channels_last)
        for batch in BATCHES:
            floor = seconds(partial(forward, model, case, batch), chosen.runs)
            lines.append(f"| {name} | {batch} | forward alone | {floor:.2f} | 1 | | | |")
            for who in (kagglekit, monai):
                work = partial(who, model, path, case, batch)
                took, (up, down) = seconds(work, chosen.runs), moved_mb(work)
                share = floor / took
                differ = ""
                if name == "small U-Net":  # the other one's right answer is not kept
                    differ = f"{differing(answer, edges_of_text(work()), case.shape)[0]:,}"
                lines.append(
                    f"| {name} | {batch} | {who.__name__} | {took:.2f} | {share:.2f} |"
                    f" {up:,.0f} | {down:,.0f} | {differ} |"
                )
                if who is kagglekit and name != "small U-Net":
                    best = max(best, share)
    met = "yes" if best >= SHARE else "**no**"
    lines.append(f"\nBar: share of the forward alone, resnet34, ≥ {SHARE}: {best:.2f}, {met}.")
    print("\n".join(lines))
    if chosen.write:
        RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
