"""tests.forks: what one fork does is no other's business."""

import os
import signal

from tqdm.auto import tqdm

from tests import forks


def test_a_fork_killed_while_it_draws_a_bar_holds_up_nobody():
    tqdm(total=1, disable=True)

    def die():
        tqdm.get_lock().acquire()
        os.kill(os.getpid(), signal.SIGKILL)

    assert forks.wait([forks.fork(die)]) == [-signal.SIGKILL]
    shared, _ = tqdm.get_lock().locks  # between processes, and between threads
    assert shared.acquire(timeout=5)
    shared.release()
