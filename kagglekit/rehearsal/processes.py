"""The processes of a run, as /proc shows them: who started whom, and how much each holds."""

import os
import signal
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_PAGE = os.sysconf("SC_PAGE_SIZE")


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


def held(pid: int) -> int:
    """Return the bytes of RAM that a process holds and that could not be read from a file again.

    What it shares with processes that it forked is divided among them; 0 when it has ended.
    """
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
        words = [line.split() for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:"))]
        return sum(int(word[1]) for word in words) * 1024
    except OSError:
        pass
    try:
        _, resident, shared = (_PROC / str(pid) / "statm").read_text().split()[:3]
    except OSError:
        return 0
    return (int(resident) - int(shared)) * _PAGE


def kill(pids: list[int]) -> None:
    """Kill processes, those that are still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
