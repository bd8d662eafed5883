"""Predictions of one slide by several processes, to be compared with those of one.

    python -m tests.rank_worker forks <slide> <folder>     all of test_inference_ranks' cases
    accelerate launch ... -m tests.rank_worker launched <slide> <folder>
    python -m tests.rank_worker notebook <slide> <folder>

Of the last two, rank 0 writes `masks.txt` and `world.txt` to the folder.
"""

import json
import os
import sys
import traceback
from pathlib import Path

import cv2
import torch
import torch.distributed as dist

from kagglekit.inference import collect, predict_banded, predict_masks, share
from kagglekit.models import Model, Recipe
from kagglekit.slides import open_slide

CASES = [  # name, ranks, models' scales, options
    ("two", 2, [1], {}),
    ("three", 3, [1], {}),
    ("scale 3", 2, [3], {}),
    ("two scales", 3, [1, 3], {}),
    ("exclusive", 2, [3], {"exclusive": True, "high_threshold": 0.7}),
    ("no overlap", 2, [1], {"min_overlap": 0}),
    ("more ranks than strips", 3, [1], {"window": 512}),
    ("more ranks than strips, coarse", 3, [3], {"window": 128}),
]


def models(scales):
    found = []
    for seed, scale in enumerate(scales):
        torch.manual_seed(seed)
        net = torch.nn.Conv2d(3, 2, 5, padding=2)
        net.weight.data *= 8
        recipe = Recipe(classes=2, scale=scale, window=64, mean=(0.5,), std=(0.1,))
        found.append(Model(net, recipe).eval())
    return found


def text(masks):
    return None if masks is None else [mask.to_text() for mask in masks]


def banded(slide, scales, options):
    options = {"min_overlap": 24, "threshold": (0.4, 0.6), "progress": False} | options
    with open_slide(slide) as opened:
        return text(predict_banded(models(scales), opened, **options))


def alone(slide, scales, options):
    options = {"min_overlap": 24, "threshold": (0.4, 0.6), "progress": False} | options
    with open_slide(slide) as opened:
        return text(predict_masks(models(scales), opened, **options))


def launched(slide, folder):
    """Work as a notebook's cell would, under a launcher."""
    import accelerate

    state = accelerate.PartialState(cpu=True)  # without a GPU it has to be told
    masks = banded(slide, [1], {})
    if state.is_main_process:
        Path(folder, "masks.txt").write_text("\n".join(masks))
        Path(folder, "world.txt").write_text(f"{state.num_processes} {dist.get_backend()}")
    state.wait_for_everyone()


def notebook(slide, folder):
    import accelerate

    accelerate.notebook_launcher(launched, (slide, folder), num_processes=2, use_port="29611")


def on_ranks(world, folder, work):
    """Run `work(rank)` in forks of this process, connected to each other; return their answers."""
    store = folder / "store"
    store.unlink(missing_ok=True)
    children = []
    for rank in range(world):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                dist.init_process_group("gloo", f"file://{store}", rank=rank, world_size=world)
                (folder / f"{rank}.json").write_text(json.dumps(work(rank)))
                dist.barrier()
                code = 0
            except BaseException:
                traceback.print_exc()
            os._exit(code)
        children.append(child)
    statuses = [os.waitpid(child, 0)[1] for child in children]
    if any(statuses):
        raise RuntimeError(f"ranks ended with {statuses}")
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(world)]


def forks(slide, folder):
    """Print, as JSON, what one process and what each rank of several found."""
    folder = Path(folder)
    told = {}
    for name, world, scales, options in CASES:
        one = alone(slide, scales, options)
        ranks = on_ranks(world, folder, lambda rank, a=scales, b=options: banded(slide, a, b))
        told[name] = {"one": one, "ranks": ranks}
    notes = {"checkpoint": folder / "notes"}
    told["checkpoint"] = {
        "one": alone(slide, [1], {}),
        "ranks": on_ranks(2, folder, lambda rank: banded(slide, [1], notes)),
    }
    items = [f"slide {k}" for k in range(5)]
    told["share"] = on_ranks(3, folder, lambda rank: share(items))
    told["collect"] = on_ranks(
        3, folder, lambda rank: collect(dict.fromkeys(share(items), f"by {rank}"))
    )
    print(json.dumps(told))


if __name__ == "__main__":
    torch.set_num_threads(1)
    cv2.setNumThreads(1)  # its threads would not be there in a fork
    globals()[sys.argv[1]](*sys.argv[2:])
