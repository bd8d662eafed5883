"""Predictions of one slide by several processes, to be compared with those of one.

    python -m tests.rank_worker cases <slide> <folder>     all of test_inference_ranks' cases
    accelerate launch ... -m tests.rank_worker launched <slide> <folder>
    python -m tests.rank_worker notebook <slide> <folder>

Of the last two, rank 0 writes `masks.txt` and `world.txt` to the folder.
"""

import json
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import cv2
import torch
import torch.distributed as dist

from kagglekit.errors import SlideError
from kagglekit.inference import _ranks, collect, predict_banded, predict_masks, share
from kagglekit.models import Model, Recipe
from kagglekit.slides import open_slide
from tests.array_slide import TILED, smooth_picture, write_image
from tests.forks import answers, free_port

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
    dist.destroy_process_group()  # else gloo's threads may outlive what they use, and abort


def notebook(slide, folder):
    import accelerate

    accelerate.notebook_launcher(launched, (slide, folder), num_processes=2, use_port=free_port())


def failures(slide, folder):
    """Return what each rank says where something fails on one of them."""
    damaged = folder / "damaged.tiff"
    write_image(damaged, smooth_picture((3_000, 210)), compress="deflate", **TILED)
    stored = bytearray(damaged.read_bytes())
    stored[-3_500:] = bytes(3_500)  # what lies there belongs to the last rank's band
    damaged.write_bytes(stored)

    def one_after_the_other(rank):
        found = []
        for path in (slide, damaged, slide):
            try:
                found.append(banded(path, [1], {}))
            except SlideError as error:
                found.append([str(error), *getattr(error, "__notes__", [])])
        return found

    def refused(paths, **options):
        try:
            return banded(*paths, [1], options)
        except ValueError as error:
            return str(error)

    def unwell(rank):
        """Rank 0 fails when all is predicted; the next call has only to put it together."""
        calls, notes, joined = [], {"checkpoint": folder / "unwell"}, _ranks.masks_of

        def dies(*_):
            raise UntoldError("no memory left", lambda: None)

        _ranks.masks_of = dies
        with open_slide(slide) as opened, suppress_all(calls):
            predict_banded(models([1]), opened, progress=False, **notes)
        _ranks.masks_of = joined
        network = models([1])
        network[0].net.register_forward_hook(lambda *_: calls.append("predicted"))
        with open_slide(slide) as opened:
            masks = predict_banded(network, opened, progress=False, **notes)
        return [*calls, masks is not None]

    def late(rank):
        time.sleep(4 * rank)
        return banded(slide, [1], {})

    told = {
        "damaged": answers(2, folder, one_after_the_other),
        "different slides": answers(2, folder, lambda rank: refused([(slide, damaged)[rank]])),
        "a wrong option": answers(2, folder, lambda rank: refused([slide], batch_size=rank)),
        "unwell": answers(2, folder, unwell),
        "late": answers(2, folder, late, patience=2),
    }
    return told | {"left": (folder / "unwell").exists()}


class UntoldError(Exception):
    """An error that cannot be sent to another process."""


@contextmanager
def suppress_all(told):
    try:
        yield
    except Exception as error:
        told.append(f"{type(error).__name__}: {error.args[0]}")


def cases(slide, folder):
    """Print, as JSON, what one process and what each rank of several found."""
    folder = Path(folder)
    told = {}
    for name, world, scales, options in CASES:
        one = alone(slide, scales, options)
        ranks = answers(world, folder, lambda rank, a=scales, b=options: banded(slide, a, b))
        told[name] = {"one": one, "ranks": ranks}
    notes = {"checkpoint": folder / "notes"}
    told["checkpoint"] = {
        "one": alone(slide, [1], {}),
        "ranks": answers(2, folder, lambda rank: banded(slide, [1], notes)),
    }
    told |= failures(slide, folder)
    items = [f"slide {k}" for k in range(5)]
    told["share"] = answers(3, folder, lambda rank: share(items))
    told["collect"] = answers(
        3, folder, lambda rank: collect(dict.fromkeys(share(items), f"by {rank}"))
    )
    print(json.dumps(told))


if __name__ == "__main__":
    torch.set_num_threads(1)
    cv2.setNumThreads(1)  # its threads would not be there in a fork
    globals()[sys.argv[1]](*sys.argv[2:])
