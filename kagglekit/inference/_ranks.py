"""Several devices: one process each, started by accelerate or torchrun.

A slide is cut into bands along the sweep, or the slides are shared out; only runs travel. The
functions here ask `torch.distributed` who they are, so they work under `accelerate launch`,
`notebook_launcher` and `torchrun`, and alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import TypeVar, Unpack

from kagglekit.inference._checkpoint import forget
from kagglekit.inference._exchange import all_of, gathered, of_first, place, together
from kagglekit.inference._job import Job, make_job
from kagglekit.inference._options import Options
from kagglekit.inference._predict import band, masks_of
from kagglekit.inference._runs import Part
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

    Args: as `predict`. Of a checkpoint folder each rank uses a folder of its own.

    Returns:
        One mask per plane on rank 0; None on the others.

    Raises:
        TypeError, ValueError, SlideError, PlanError: as `predict`. What one rank raises all do, so
            that they go on together, or end.
        ValueError: the ranks were given different slides.

    Example:
        >>> def work():  # doctest: +SKIP
        ...     state = accelerate.PartialState()
        ...     model = models.load("unet.safetensors").to(state.device)
        ...     with slides.open_slide("slide.tiff") as slide:
        ...         masks = inference.predict_banded(model, slide, tta="flips")
        ...     if masks is not None:  # on rank 0
        ...         print(masks[0].to_text())
        ...     state.wait_for_everyone()
        >>> accelerate.notebook_launcher(work, num_processes=2)  # doctest: +SKIP
    """
    rank, world = place()
    if world > 1:
        _check_same(slide, world)
    job = together(lambda: make_job(models, slide, options), world)
    folder = job.checkpoint
    own = None if folder is None else folder / f"rank-{rank}-of-{world}"
    job = replace(job, progress=job.progress and rank == 0, checkpoint=own)
    rows = bands(job, world)[rank]
    parts = together(lambda: band(job, rows)[0] if rows else [], world)
    found = [each for each in gathered(parts, world) if each]
    # Each keeps its notes until the masks are there.
    masks = together(lambda: _joined(job, found) if rank == 0 else None, world)
    forget(own)
    if folder is not None:
        with suppress(OSError):  # the others' are still there, or gone with it
            folder.rmdir()
    return masks


def share(items: Iterable[T]) -> list[T]:
    """Return this rank's share of the items: every world-size-th, so all ranks get alike many.

    Example:
        >>> share(["a", "b", "c"])  # alone: all
        ['a', 'b', 'c']
    """
    rank, world = place()
    return list(items)[rank::world]


def collect(found: Mapping[T, V]) -> dict[T, V]:
    """Bring what all ranks have found to rank 0. Every rank calls it.

    Returns:
        Everything on rank 0; nothing on the others.

    Example:
        >>> collect({"a": 1})
        {'a': 1}
    """
    merged: dict[T, V] = {}
    for part in gathered(dict(found), place()[1]):
        merged |= part
    return merged


def agree(value: T) -> T:
    """Return rank 0's value on all ranks, so that all do the same. Every rank calls it.

    Example:
        >>> agree(3)  # alone: its own
        3
    """
    return of_first(value, place()[1])


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


def _joined(job: Job, found: list[list[Part]]) -> list[RLE]:
    """Make the masks of what was found in each band, in their order."""
    first, *others = found
    for other in others:
        for part, following in zip(first, other, strict=True):
            part.extend(following, job.axis, job.slide.shape[0])
    return masks_of(job, first)


def _check_same(slide: Slide, world: int) -> None:
    """Refuse to make one mask of bands of different slides.

    So it would be if one rank could not open a slide, and went on with the next.
    """
    told = all_of(repr(slide), world)
    if len(set(told)) > 1:
        shown = "; ".join(f"rank {k}: {each}" for k, each in enumerate(told))
        raise ValueError(f"the ranks were given different slides ({shown})")
