"""Two ranks on two cores against one rank on one: the small U-Net on 12,000 x 9,000 pixels.

    uv run --group bench python benchmarks/ranks.py            # prints the table
    uv run --group bench python benchmarks/ranks.py --write    # and keeps it in benchmarks/results/

Each rank has one core and one thread; seconds count from when all ranks are ready, their model
loaded and warm, until rank 0 has the mask. The masks must be equal.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

RESULT = Path(__file__).parent / "results" / "ranks.md"


def child(cache: Path, text: Path) -> None:
    """Predict as one of the ranks; rank 0 writes the mask's text and prints the seconds."""
    rank = int(os.environ["RANK"])
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[rank]})
    import torch
    import torch.distributed as dist
    from inference_cases import Case, build
    from inference_slides import slide

    from kagglekit.inference import predict_banded
    from kagglekit.slides import open_slide

    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    case = Case("small", "unet")
    model = build(case, cache)
    with torch.inference_mode():
        model(torch.zeros(1, 3, case.window, case.window, dtype=torch.uint8))
    with open_slide(slide(case.slide, cache)) as image:
        dist.barrier()
        started = time.perf_counter()
        masks = predict_banded(model, image, min_overlap=case.overlap, progress=False)
        if masks is not None:
            print(time.perf_counter() - started, flush=True)
            text.write_text(masks[0].to_text())
    dist.barrier()


def seconds(ranks: int, cache: Path, text: Path) -> float:
    """Run with so many ranks."""
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29655", "WORLD_SIZE": str(ranks)}
    command = [sys.executable, __file__, "--child", str(text), "--cache", str(cache)]
    processes = [
        subprocess.Popen(
            command,
            env=os.environ | shared | {"RANK": str(rank), "LOCAL_WORLD_SIZE": str(ranks)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(ranks)
    ]
    outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise SystemExit("a rank failed")
    return float(outputs[0])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir(), "kagglekit-bench")
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        child(chosen.cache, chosen.child)
        return
    found: dict[int, list[float]] = {1: [], 2: []}
    texts = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(chosen.runs):
            for ranks, all_seconds in found.items():
                text = Path(folder, str(ranks))
                all_seconds.append(seconds(ranks, chosen.cache, text))
                texts[ranks] = text.read_text()
    one, two = (sorted(found[ranks])[len(found[ranks]) // 2] for ranks in (1, 2))
    same = "equal" if texts[1] == texts[2] else "**different**"
    lines = [
        "# Two ranks on two cores against one on one",
        "",
        f"{date.today()}, {os.cpu_count()} cores, median of {chosen.runs} runs, small U-Net, "
        "12,000 × 9,000, window 512, overlap 64.",
        "",
        "| ranks | seconds |",
        "|---|---|",
        f"| 1 | {one:.1f} |",
        f"| 2 | {two:.1f} |",
        "",
        f"Two ranks are {one / two:.2f} times as fast; the masks are {same}.",
        "",
    ]
    print("\n".join(lines))
    if chosen.write:
        RESULT.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
