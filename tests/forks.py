"""Processes as forks of one that has imported everything: ranks connected by gloo, and kills."""

import json
import os
import signal
import socket
import time
import traceback
from datetime import timedelta

import torch.distributed as dist


def fork(work, told=None):
    """Run `work()` in a fork; return its id. Why it failed is printed, or written to a file."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            if told is None:
                traceback.print_exc()
            else:
                told.write_text(traceback.format_exc())
        os._exit(code)
    return child


def start(world, folder, work, patience=120):
    """Run `work(rank)` in forks connected to each other; return their ids.

    They wait `patience` seconds for each other. Why a rank failed is in `<rank>.txt` of the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    store = folder / "store"
    store.unlink(missing_ok=True)

    def connected(rank):
        size, number = str(world), str(rank)
        os.environ |= {"RANK": number, "LOCAL_RANK": number}
        os.environ |= {"WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
        limit = timedelta(seconds=patience)
        dist.init_process_group(
            "gloo", f"file://{store}", rank=rank, world_size=world, timeout=limit
        )
        work(rank)
        dist.barrier()

    return [fork(lambda k=k: connected(k), folder / f"{k}.txt") for k in range(world)]


def answers(world, folder, work, **patience):
    """Run `work(rank)` in forks connected to each other; return what they return."""

    def answer(rank):
        (folder / f"{rank}.json").write_text(json.dumps(work(rank)))

    ended = wait(start(world, folder, answer, **patience))
    if any(ended):
        told = [path.read_text() for path in sorted(folder.glob("?.txt"))]
        raise RuntimeError(f"ranks ended with {ended}:\n" + "\n".join(told))
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(world)]


def wait(children):
    """Return how forks ended: 0, 1 for an exception, or the negative of a signal."""
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def wait_as_launchers_do(children):
    """The same, but when one has failed the others are killed."""
    while not all(map(_ended, children)):
        if any(info.si_status for info in map(_ended, children) if info):
            kill(children)
        time.sleep(0.001)
    return wait(children)


def free_port():
    """Return a port that nothing listens on, as launchers want it."""
    with socket.socket() as found:
        found.bind(("", 0))
        return str(found.getsockname()[1])


def kill(children):
    for child in children:
        os.kill(child, signal.SIGKILL)  # one that has ended waits to be asked how


def kill_in(seconds, path, children):
    """Kill forks that long after a file was written anew; return how they ended."""
    before = _written(path)
    while _written(path) == before and not any(map(_ended, children)):
        time.sleep(0.001)
    time.sleep(seconds)
    kill(children)
    return wait(children)


def _written(path):
    return path.stat().st_mtime_ns if path.exists() else None


def _ended(child):
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
