"""One contestant or floor of benchmarks/inference.py, once, measured in a process of its own.

    python benchmarks/inference_child.py '{"who": ..., "case": {...}, "cache": ..., "text": ...}'

Prints one line of JSON. Everything is loaded and has done one small slide before the clock starts,
so imports and compilation count for nobody. "peak" is the highest resident set during the job minus
the resident set before it; "read" is how many bytes the process read meanwhile. libtiff reads a
stored block anew each time it decodes it, so "read" over the file's size tells how often the blocks
were decoded.
"""

import ctypes
import gc
import json
import resource
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import rasterio
import torch
from inference_cases import Case, build
from inference_peers import PEERS
from inference_slides import slide
from rasterio.windows import Window

from kagglekit.models import Model

THREADS = 2


def network_alone(model: Model, path: Path, case: Case, channels_last: bool) -> None:
    """Send as many tiles through the network as the slide has windows; eight tiles, in turn."""
    side = case.window
    with rasterio.open(path) as file:
        names = file.subdatasets
    with rasterio.open(names[0] if names else path) as file:
        steps = np.linspace(0, 1, 8)
        places = [(int(at * (file.width - side)), int(at * (file.height - side))) for at in steps]
        tiles = [file.read(window=Window(x, y, side, side)) for x, y in places]
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model.to(memory_format=layout)
    ready = [
        torch.from_numpy(np.broadcast_to(tile, (3, side, side)).copy())[None].to(
            memory_format=layout
        )
        for tile in tiles
    ]
    with torch.inference_mode():
        for i in range(case.windows):
            model(ready[i % len(ready)])


def decoding_alone(model: Model, path: Path, case: Case) -> None:
    """Decode every stored block once, on two threads with a handle each, and forget the pixels."""
    del model, case
    own = threading.local()

    def decode(name: str, place: Window) -> None:
        if getattr(own, "name", None) != name:
            own.name, own.file = name, rasterio.open(name, sharing=False)
            own.pixels = np.empty((own.file.count, place.height, place.width), np.uint8)
        if own.pixels.shape[1:] != (place.height, place.width):
            own.pixels = np.empty((own.file.count, place.height, place.width), np.uint8)
        own.file.read(window=place, out=own.pixels)

    with rasterio.Env(GDAL_CACHEMAX=64 << 20), ThreadPoolExecutor(2) as pool:
        with rasterio.open(path) as file:
            names = file.subdatasets or [str(path)]
        for name in names:
            list(pool.map(partial(decode, name), block_windows(name)))


def block_windows(name: str) -> list[Window]:
    """Return windows of whole stored blocks that cover an image; thin strips are put together."""
    with rasterio.open(name) as file:
        high, wide = file.block_shapes[0]
        high *= -(-64 // high)
        return [
            Window(x, y, min(wide, file.width - x), min(high, file.height - y))
            for y in range(0, file.height, high)
            for x in range(0, file.width, wide)
        ]


FLOORS = {
    "network alone": partial(network_alone, channels_last=False),
    "network alone, channels last": partial(network_alone, channels_last=True),
    "network alone, 1 thread": partial(network_alone, channels_last=False),
    "network alone, channels last, 1 thread": partial(network_alone, channels_last=True),
    "decoding alone": decoding_alone,
}


def of_proc(file: str, key: str) -> int:
    """Return a number of /proc/self: kB of `status`, bytes of `io`."""
    for line in Path("/proc/self", file).read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1])
    raise SystemExit(f"no {key} in /proc/self/{file}")


def cpu_seconds() -> float:
    """Return the CPU time of all threads and of ended children so far."""
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in spent)


def main() -> None:
    """Do the job and print what it took."""
    job = json.loads(sys.argv[1])
    cache, case = Path(job["cache"]), Case(**job["case"])
    warnings.simplefilter("ignore")
    torch.set_num_threads(1 if job["who"].endswith("1 thread") else THREADS)
    work = FLOORS[job["who"]] if job["who"] in FLOORS else PEERS[job["who"]].run
    model, path = build(case, cache), slide(case.slide, cache)
    work(model, slide("warm-up", cache), replace(case, slide="warm-up"))
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # nothing that the warm-up freed is used again
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before, read, cpu = of_proc("status", "VmRSS"), of_proc("io", "rchar"), cpu_seconds()
    started = time.perf_counter()
    text = work(model, path, case)
    wall = time.perf_counter() - started
    took = {
        "wall": wall,
        "cpu": cpu_seconds() - cpu,
        "peak": (of_proc("status", "VmHWM") - before) / 1024,
        "whole": of_proc("status", "VmHWM") / 1024,
        "read": of_proc("io", "rchar") - read,
    }
    if text is not None:
        Path(job["text"]).write_text(text)
    print(json.dumps(took))


if __name__ == "__main__":
    main()
