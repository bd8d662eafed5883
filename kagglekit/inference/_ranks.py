"""Several devices: one process each, started by accelerate or torchrun.

A slide is cut into bands along the sweep, or the slides are shared out; only runs travel. The
functions here ask `torch.distributed` who they are, so they work under `accelerate launch`,
`notebook_launcher` and `torchrun`, and alone.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar, Unpack

import torch.distributed as dist

from kagglekit.inference._job import Job, make_job
from kagglekit.inference._options import Options
from kagglekit.inference._predict import band, masks_of
from kagglekit.models import Model
from kagglekit.rle import RLE
from kagglekit.slides import Slide

T = TypeVar("T")
V = TypeVar("V")


def predict_banded(
    models: Model | Sequence[Model], slide: Slide, **options: Unpack[Options]
) -> list[RLE] | None:
    """Predict one slide on all ranks together, each a band of it; equal to one rank, to the pixel.

    Every rank calls it, with the same models on its own device and the same slide and options.
    Neighbours both predict the strip between their bands, so each rank predicts about one strip
    more than its share.

    Args, raises: as `predict`. Of a checkpoint folder each rank uses a folder of its own.

    Returns:
        One mask per plane on rank 0; None on the others.

    Example:
        >>> def work():  # doctest: +SKIP
        ...     state = accelerate.PartialState()
        ...     model = models.load("unet.safetensors").to(state.device)
        ...     with slides.open_slide("slide.tiff") as slide:
        ...         masks = inference.predict_banded(model, slide, tta="flips")
        ...     if masks is not None:  # on rank 0
        ...         print(masks[0].to_text())
        >>> accelerate.notebook_launcher(work, num_processes=2)  # doctest: +SKIP
    """
    rank, world = _place()
    job = make_job(models, slide, options)
    job = replace(job, progress=job.progress and rank == 0)
    folder = options.get("checkpoint")
    if folder is not None:
        folder = Path(folder) / f"rank-{rank}-of-{world}"
    rows = bands(job, world)[rank]
    parts = band(job, rows, folder)[0] if rows else []
    if world == 1:
        return masks_of(job, parts)
    gathered = _gathered(parts, rank, world)
    if rank:
        return None
    first, *others = [found for found in gathered if found]
    for found in others:
        for part, following in zip(first, found, strict=True):
            part.extend(following, job.axis, slide.shape[0])
    return masks_of(job, first)


def share(items: Iterable[T]) -> list[T]:
    """Return this rank's share of the items: every world-size-th, so all ranks get alike many.

    Example:
        >>> share(["a", "b", "c"])  # alone: all
        ['a', 'b', 'c']
    """
    rank, world = _place()
    return list(items)[rank::world]


def collect(found: Mapping[T, V]) -> dict[T, V]:
    """Bring what all ranks have found to rank 0. Every rank calls it.

    Returns:
        Everything on rank 0; nothing on the others.

    Example:
        >>> collect({"a": 1})
        {'a': 1}
    """
    rank, world = _place()
    if world == 1:
        return dict(found)
    merged: dict[T, V] = {}
    for part in _gathered(dict(found), rank, world):
        merged |= part
    return merged


def agree(value: T) -> T:
    """Return rank 0's value on all ranks, so that all do the same. Every rank calls it.

    Example:
        >>> agree(3)  # alone: its own
        3
    """
    if _place()[1] == 1:
        return value
    values = [value]
    dist.broadcast_object_list(values)
    return values[0]


def bands(job: Job, world: int) -> list[range]:
    """Cut the rows (or columns) of a job's map into bands that are equally much work.

    A band begins where a strip of the finest scale begins. If there are fewer strips than ranks,
    some get nothing.
    """
    finest = min(job.members, key=lambda member: member.scale)
    starts = finest.grid.axes[job.axis].starts
    # All but the first rank predict the strip before theirs, too.
    each = (len(starts) + world - 1) / world
    edges = [0]
    for rank in range(1, world):
        strip = round(rank * (each - 1)) + 1
        edges.append(starts[strip] if strip < len(starts) else job.small[job.axis])
    edges.append(job.small[job.axis])
    return [range(first, stop) for first, stop in pairwise(edges)]


def _gathered(mine: T, rank: int, world: int) -> list[T]:
    """Return what all ranks hand in, in their order; on other ranks than 0 nothing."""
    found: list[Any] = [None] * world if rank == 0 else []
    dist.gather_object(mine, found if rank == 0 else None)
    return found


def _place() -> tuple[int, int]:
    """Return this process's rank and how many there are.

    Raises:
        RuntimeError: there are several, and they do not know each other yet.
    """
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise RuntimeError(
            "this is one of several processes, and they are not connected: "
            "create accelerate.PartialState() first"
        )
    return 0, 1
