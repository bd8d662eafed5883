"""What is made of batches, in order; on a CPU several batches at a time.

torch splits every layer over all cores and waits at its end for the slowest. For the many windows
of a slide it is better to give each core windows of its own: nobody waits, and a core that decodes,
or that another program uses, holds up one window and not every layer of all of them. Decoding,
predicting and adding up share one team of threads, as large as there are cores: more threads would
only wait for each other.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeAlias

import torch

from kagglekit.inference._batches import Batch
from kagglekit.inference._team import Team

Predict: TypeAlias = Callable[[Batch], torch.Tensor | None]
Answer: TypeAlias = tuple[Batch, torch.Tensor | None, float]  # and the seconds it took


_IMPORTED_BY = os.getpid()
_EACH = 4  # batches for each core, at least, if each is to have its own
_PIXELS = 1 << 17  # of the windows of a batch: two of 256 x 256


def batch_for(windows: int, pixels: int, device: torch.device, compiled: bool) -> int:
    """Return how many windows to predict at once, if nobody says.

    On a CPU, small ones together: what a call costs whatever its size then counts for less, and no
    batch is too large for a core's cache.

    Args:
        windows: of the slide.
        pixels: of the largest window.
        device: of the models.
        compiled: for one size of batch, so the last one of a strip is filled up.
    """
    if device.type != "cpu":
        return 8
    if compiled:
        return 1
    return max(1, min(_PIXELS // pixels, windows // (_EACH * torch.get_num_threads())))


def cores_for(windows: int, batch_size: int, device: torch.device, compiled: bool) -> int:
    """Return how many batches to work on at a time: 1 leaves the cores to torch.

    That is better for a few windows, except in a fork, where torch has one core only, and needed
    where a compiled network must not be called by two threads.
    """
    cores = torch.get_num_threads()
    are_few = windows // batch_size < _EACH * cores and not _is_fork()
    return 1 if device.type != "cpu" or compiled or are_few else cores


@contextmanager
def safe_in_a_fork() -> Iterator[None]:
    """Let torch use one core, if this process is a fork of one that may have used torch.

    OpenMP's threads stay behind in the parent, and a layer split over several would wait for them
    for ever. (torch's DataLoader does the same for its workers.)
    """
    if not _is_fork():
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _is_fork() -> bool:
    return os.getpid() != _IMPORTED_BY


def waiting(cores: int) -> int:
    """Return how many batches `answers` holds besides the one it yields.

    Four for each core: while the caller adds up a strip, the cores have something to go on with.
    """
    return 0 if cores == 1 else 4 * cores


@contextmanager
def workers(cores: int, readers: int) -> Iterator[Executor]:
    """Give threads to decode and predict in: one for each core, the caller's among them.

    If `cores` is 1, the caller predicts and the threads, `readers` of them, decode only.
    """
    if cores == 1:
        with ThreadPoolExecutor(readers, "kagglekit-decode") as pool:
            yield pool
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    team = Team(cores, "kagglekit-worker")
    try:
        yield team
    finally:
        team.shutdown(cancel_futures=True)
        torch.set_num_threads(before)


def answers(
    batches: Iterable[Batch], predict: Predict, cores: int, pool: Executor
) -> Iterator[Answer]:
    """Yield each batch with what `predict` makes of it, in order, `cores` of them at a time."""
    if cores == 1:
        for batch in batches:
            yield _answer(batch, predict)
        return
    queue: deque[Future[Answer]] = deque()
    for batch in batches:
        queue.append(pool.submit(_answer, batch, predict))
        if len(queue) > waiting(cores):
            yield queue.popleft().result()
    while queue:
        yield queue.popleft().result()


def _answer(batch: Batch, predict: Predict) -> Answer:
    started = time.perf_counter()
    return batch, predict(batch), time.perf_counter() - started
