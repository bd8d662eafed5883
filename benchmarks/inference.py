"""How much memory and time `predict_mask` needs on a slide of 12,000 x 9,000 pixels.

    uv run python benchmarks/inference.py            # prints the table
    uv run python benchmarks/inference.py --write    # and keeps it in benchmarks/results/

The slide is a tiled LZW TIFF of smooth noise, 324 MB of pixels. Memory is the peak resident set of
the process minus what it had with the model loaded and warmed up; the floor is the same network on
the same windows with nothing around it.
"""

import argparse
import platform
import tempfile
import time
import warnings
from datetime import date
from pathlib import Path

import cv2
import numpy as np
import rasterio
import torch
from rasterio.windows import Window

from kagglekit.inference import predict_mask
from kagglekit.models import Recipe, build
from kagglekit.slides import open_slide
from kagglekit.tiling import plan_axis

SHAPE = (9_000, 12_000)
WINDOW, OVERLAP = 512, 64
RESULT = Path(__file__).parent / "results" / "inference.md"


def write_slide(path: Path) -> None:
    """Write the slide a strip at a time, so that making it does not count as memory."""
    rng = np.random.default_rng(0)
    height, width = SHAPE
    options = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "lzw"}
    warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=3, dtype="uint8", **options
    ) as file:
        for y0 in range(0, height, 512):
            rows = min(512, height - y0)
            coarse = rng.integers(0, 255, (rows // 32 + 2, width // 32 + 2, 3), np.uint8)
            strip = cv2.resize(coarse, (width, rows), interpolation=cv2.INTER_CUBIC)
            file.write(strip.transpose(2, 0, 1), window=Window(0, y0, width, rows))


def memory_mb(field: str) -> float:
    """Return VmRSS (now) or VmHWM (peak) of this process in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise ValueError(f"no {field} in /proc/self/status")


def network_alone(model: torch.nn.Module) -> float:
    """Return the seconds of the network on as many windows as the slide has."""
    count = len(plan_axis(SHAPE[0], WINDOW, OVERLAP).starts)
    count *= len(plan_axis(SHAPE[1], WINDOW, OVERLAP).starts)
    # Channels last in memory, as a slide's pixels are: convolutions are faster so.
    tile = torch.randint(0, 255, (1, WINDOW, WINDOW, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    with torch.inference_mode():
        model(tile)
        started = time.perf_counter()
        for _ in range(count):
            model(tile)
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    recipe = Recipe("unet", {"width": 8, "depth": 2}, window=WINDOW)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "slide.tiff")
        write_slide(path)
        model = build(recipe).eval()
        alone = network_alone(model)
        with open_slide(path) as slide, torch.inference_mode():
            sample = torch.from_numpy(slide.read(0, 512, 0, 512)).permute(2, 0, 1)[None]
            middle = float(model(sample).sigmoid().median())  # so that an untrained net finds much
        idle = memory_mb("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        started = time.perf_counter()
        with open_slide(path) as slide:
            mask = predict_mask(model, slide, min_overlap=OVERLAP, threshold=middle)
        seconds = time.perf_counter() - started
        peak = memory_mb("VmHWM") - idle
        alone = min(alone, network_alone(model))  # before and after: a shared machine is not steady
    lines = [
        "# Sliding-window inference, 12,000 x 9,000 RGB, window 512, overlap 64",
        "",
        f"{date.today()}, {platform.processor() or platform.machine()}, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, U-Net of width 8, depth 2",
        "",
        "| what | seconds | peak MB above the loaded model |",
        "|---|---|---|",
        f"| network alone | {alone:.1f} | |",
        f"| predict_mask ({len(mask)} runs) | {seconds:.1f} | {peak:.0f} |",
        "",
        f"predict_mask takes {seconds / alone:.2f} times as long as its network.",
        "",
    ]
    print("\n".join(lines))
    if write:
        RESULT.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
