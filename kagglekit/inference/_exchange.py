"""What several processes tell each other: who they are, what they found, what went wrong."""

import copy
import os
import pickle
from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from typing import Any, TypeVar

import torch.distributed as dist

T = TypeVar("T")

# How long a rank waits for one that has more to do: a session. NCCL's own ten minutes are soon over
# where slides are shared out, and that a rank is gone shows at once, by the broken connection.
_LONGEST_WAIT = timedelta(hours=12)


def place() -> tuple[int, int]:
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


def together(work: Callable[[], T], world: int) -> T:
    """Do something on each rank; if one fails all raise its error.

    A rank that went on alone would answer the next question with what belongs to another.

    Args:
        work: what to do, the same or different on each.
        world: how many ranks there are.

    Returns:
        What `work` returned here.
    """
    if world == 1:
        return work()
    done: list[T] = []
    problem: Exception | None = None
    try:
        done.append(work())
    except Exception as error:
        problem = error
    for rank, told in enumerate(all_of(_portable(problem), world)):
        if told is None:
            continue
        if problem is not None and rank == dist.get_rank():
            raise problem
        told.add_note(f"This happened on rank {rank}.")
        raise told
    return done[0]


def _portable(error: Exception | None) -> Exception | None:
    """Return an error that can travel: itself, or one of the same text."""
    try:
        pickle.dumps(error)
        copy.copy(error)  # made anew of what it was made of, as where it arrives
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def all_of(mine: T, world: int) -> list[T]:
    """Return what all ranks hand in, in their order, on each of them."""
    if world == 1:
        return [mine]
    found: list[Any] = [None] * world
    dist.all_gather_object(found, mine, group=_patient(dist.group.WORLD))
    return found


def gathered(mine: T, world: int) -> list[T]:
    """Return what all ranks hand in, in their order; on other ranks than 0 nothing."""
    if world == 1:
        return [mine]
    first = dist.get_rank() == 0
    found: list[Any] = [None] * world if first else []
    dist.gather_object(mine, found if first else None, group=_patient(dist.group.WORLD))
    return found


def of_first(mine: T, world: int) -> T:
    """Return what rank 0 hands in, on each rank."""
    values = [mine]
    if world > 1:
        dist.broadcast_object_list(values, group=_patient(dist.group.WORLD))
    return values[0]


@lru_cache(maxsize=1)
def _patient(everyone: Any) -> Any:
    """Return the group of `everyone` that waits long, and has no part of a GPU's memory."""
    return dist.new_group(backend="gloo", timeout=_LONGEST_WAIT)
