"""The processes that a process has started, itself or through others.

Used on both sides of the sandbox: by who watches a run, and by the runner in it, beside which this
file lies.
"""

import ctypes
import os
import signal
import sys
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of prctl(2)


def descendants(pid: int) -> list[int]:
    """Return the ids of all processes that a process has started, and that they have started."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for entry in os.scandir(_PROC) if _PROC.is_dir() else ():
        if entry.name.isdigit():
            with suppress(OSError):  # it has just ended
                stat = Path(entry.path, "stat").read_text()
                # The name in parentheses may hold anything; the state and the parent come after.
                children[int(stat.rpartition(")")[2].split()[1])].append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        todo += (more := children[todo.pop()])
        found += more
    return found


def kill(pids: list[int]) -> None:
    """Kill processes, those that are still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def adopt() -> None:
    """Become the parent of each descendant whose own parent ends: none gets out of sight."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def end() -> None:
    """Kill what this process has started and what is left of it, as Kaggle does at a run's end."""
    for _ in range(10):  # one that was just starting another
        pids = descendants(os.getpid())
        kill(pids)
        for pid in pids:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
        if not pids:
            break
