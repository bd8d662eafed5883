"""Watch a run from outside: its memory curve, its disk, its time, and stop it at a limit.

Where a memory cgroup holds the run, the kernel ends it at the limit of RAM; elsewhere its processes
are counted together four times a second, and ended when they hold more. A run that is stopped
loses its processes but not its runner, which then still writes down in which cell it was.
"""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from kagglekit.rehearsal import processes
from kagglekit.rehearsal.cgroup import Group
from kagglekit.rehearsal.limits import MB, Exceeded, Limits, Usage

_INTERVAL = 0.25  # seconds between two looks
_SELDOM = 8  # looks between two at disk and GPU
_POINTS = 2000  # of a memory curve, before every second one is dropped
_PATIENCE = 10.0  # seconds that the runner has for its last words

Tick = Callable[[float, float], None]


class Meter(threading.Thread):
    """Watches the process `pid` and all that it starts, until `stop`.

    Args:
        pid: the runner.
        limits: what it may take.
        working: the folder that is limited in size.
        group: the memory cgroup that holds it, if there is one.
        tick: called at each look with the seconds so far and the MB of RAM held.
    """

    def __init__(
        self, pid: int, limits: Limits, working: Path, group: Group | None, tick: Tick
    ) -> None:
        super().__init__(daemon=True)
        self._pid, self._limits, self._working = pid, limits, working
        self._group, self._tick = group, tick
        self._ended = threading.Event()
        self._began = time.monotonic()
        self._curve: list[tuple[float, float]] = []
        self._every, self._looks = 1, 0
        self._disk = self._gpu = 0.0
        self._exceeded: Exceeded = ""

    def run(self) -> None:
        """Look again and again; called by `start`."""
        while not self._ended.wait(_INTERVAL):
            self._look()

    def stop(self) -> Usage:
        """End the watch; return what the run took."""
        self._ended.set()
        self.join()
        seconds = time.monotonic() - self._began
        self._disk = max(self._disk, _size(self._working))
        if self._group and self._group.killed():
            self._exceeded = "memory"
        elif not self._exceeded and self._disk > self._limits.disk:
            self._exceeded = "disk"
        enforced = "a memory cgroup" if self._group else "watching its processes"
        return Usage(
            seconds, tuple(self._curve), self._disk / MB, self._gpu, self._exceeded, enforced
        )

    def _look(self) -> None:
        seconds = time.monotonic() - self._began
        family = processes.descendants(self._pid)
        memory = self._group.used() if self._group else sum(map(processes.held, family))
        if self._looks % self._every == 0:
            self._curve.append((round(seconds, 2), round(memory / MB, 1)))
        if len(self._curve) > _POINTS:
            self._curve, self._every = self._curve[::2], 2 * self._every
        if self._looks % _SELDOM == 0:
            self._disk = max(self._disk, _size(self._working))
            self._gpu = max(self._gpu, gpu_memory())
        self._looks += 1
        self._tick(seconds, memory / MB)
        if seconds > self._limits.seconds:
            self._end("time", family)
        elif memory > self._limits.memory:
            self._end("memory", family)
        elif self._disk > self._limits.disk:
            self._end("disk", family)

    def _end(self, limit: Exceeded, family: list[int]) -> None:
        """Kill what the runner has started; and the runner itself, if it does not end then."""
        self._exceeded = self._exceeded or limit
        for pid in family[:1]:  # the notebook's kernel notes the line it is at: inside/watch
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGUSR2)
            time.sleep(_INTERVAL)
        processes.kill(family)
        if not self._ended.wait(_PATIENCE):
            processes.kill([*processes.descendants(self._pid), self._pid])
            self._ended.wait()


def gpu_memory() -> float:
    """Return the MB that are taken of all GPUs' memory; 0 where there is no GPU."""
    if shutil.which("nvidia-smi") is None:
        return 0.0
    query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    done = subprocess.run(query, capture_output=True, text=True)
    taken = [line.strip() for line in done.stdout.splitlines()]
    return float(sum(int(mib) for mib in taken if mib.isdecimal())) * 2**20 / MB


def _size(folder: Path) -> float:
    """Return the bytes of disk that a folder takes; holes in its files take none."""
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):  # it has just been deleted
                total += Path(place, name).lstat().st_blocks * 512
    return float(total)
