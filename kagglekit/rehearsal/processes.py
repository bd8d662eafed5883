"""The processes of a run, as /proc shows them: who started whom, and how much each holds."""

import os
from pathlib import Path

from kagglekit.rehearsal.inside.family import descendants, kill

__all__ = ["descendants", "held", "kill"]

_PROC = Path("/proc")
_PAGE = os.sysconf("SC_PAGE_SIZE")


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
