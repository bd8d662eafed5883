"""How much memory there is, how much was used, and what the C library keeps of it."""

import ctypes
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np

_KEPT = (32 << 20) - (64 << 10)  # bytes: just under the largest block that glibc learns from
_UNLIMITED = 1 << 60  # cgroups of version 1 write such a number when nothing is set


def available_bytes(
    proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """Return the bytes this process can still take: of the machine, and of its control groups.

    None where the system does not tell (it is not Linux).
    """
    try:
        free = _fields(proc / "meminfo")["MemAvailable"] << 10
        groups = (proc / "self" / "cgroup").read_text().splitlines()
    except (OSError, KeyError):
        return None
    for line in groups:
        _, kinds, inside = line.split(":", 2)
        if kinds == "":
            root, names = cgroups, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in kinds.split(","):
            root = cgroups / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        # Each group above limits, too; and a container may see itself as the root, by whatever
        # name the machine knows it.
        own = root / inside.strip("/")
        for folder in (own, *own.parents):
            left = _left(folder, *names)
            free = free if left is None else min(free, left)
            if folder == root:
                break
    return free


def peak_bytes(proc: Path = Path("/proc")) -> int | None:
    """Return the most bytes this process has held, since the last `take_peak` if there was one.

    None where the system does not tell.
    """
    try:
        return _fields(proc / "self" / "status")["VmHWM"] << 10
    except (OSError, KeyError):
        return None


def take_peak(proc: Path = Path("/proc")) -> int | None:
    """Return the most bytes this process has held since the last call, and start anew.

    Where the system does not let it start anew, what it holds now; None where it does not tell.
    """
    found = peak_bytes(proc)
    with suppress(OSError):
        (proc / "self" / "clear_refs").write_text("5")
        return found
    with suppress(OSError, KeyError):
        return _fields(proc / "self" / "status")["VmRSS"] << 10
    return None


def keep_freed_memory() -> None:
    """Have the C library keep a few freed megabytes for what is asked for next.

    A network asks for the same few megabytes again and again. At first glibc returns each block of
    more than 128 KiB to the system when it is freed, and every page of the next one has to be
    fetched and zeroed: a third of the time of a small U-Net. It learns from a large block that is
    freed to keep blocks up to that size, and up to twice as many bytes in all (M_MMAP_THRESHOLD in
    mallopt(3)); so one is freed here, untouched. Other C libraries are indifferent.
    """
    np.empty(_KEPT, np.uint8)


def give_back_freed_memory() -> None:
    """Have the C library return what it kept to the system: what comes next needs other sizes.

    Runs and text grow by many megabytes, which would come on top of it (malloc_trim(3)).
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:  # glibc
        trim(0)


def _left(folder: Path, limit: str, usage: str, cache: str) -> int | None:
    """Return what a control group leaves: file pages it holds would be given up."""
    try:
        most = (folder / limit).read_text().strip()
        if most == "max" or int(most) > _UNLIMITED:
            return None
        used = int((folder / usage).read_text())
        cached = _fields(folder / "memory.stat").get(cache, 0)
    except (OSError, ValueError):
        return None
    return max(0, int(most) - used + cached)


def _fields(path: Path) -> dict[str, int]:
    """Read lines of a name and a number, as /proc and control groups write them."""
    pairs = (line.replace(":", " ").split()[:2] for line in path.read_text().splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
