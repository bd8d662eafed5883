"""What the networks answer to batches, in order; on a CPU several batches at a time.

torch splits every layer over all cores and waits at its end for the slowest. For the many windows
of a slide it is better to give each core windows of its own: nobody waits, and a core that decodes,
or that another program uses, holds up one window and not every layer of all of them.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from kagglekit.inference._batches import Batch
from kagglekit.inference._network import Network

Answer = tuple[Batch, torch.Tensor | None, float]  # probabilities, and the seconds they took


def cores_for(windows: int, batch_size: int, device: torch.device, compiled: bool) -> int:
    """Return how many batches to work on at a time: 1 leaves the cores to torch.

    That is better for a few windows, and needed where a compiled network must not be called by two
    threads.
    """
    cores = torch.get_num_threads()
    if device.type != "cpu" or compiled or windows // batch_size < 4 * cores:
        return 1
    return cores


def answers(batches: Iterable[Batch], networks: Sequence[Network], cores: int) -> Iterator[Answer]:
    """Yield each batch with what its track's network says, None if it has no windows, in order."""
    if cores == 1:
        for batch in batches:
            yield _answer(batch, networks)
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(cores, "kagglekit-network", torch.set_num_threads, (1,))
    waiting: deque[Future[Answer]] = deque()
    try:
        for batch in batches:
            waiting.append(pool.submit(_answer, batch, networks))
            if len(waiting) > cores:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)


def _answer(batch: Batch, networks: Sequence[Network]) -> Answer:
    if batch.images is None:
        return batch, None, 0.0
    started = time.perf_counter()
    prob = networks[batch.track].prob(batch.images)
    return batch, prob, time.perf_counter() - started
