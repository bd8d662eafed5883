"""How much memory there is, and how much was used."""

from pathlib import Path

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
            left = _left(
                cgroups / inside.strip("/"), "memory.max", "memory.current", "inactive_file"
            )
        elif "memory" in kinds.split(","):
            folder = cgroups / "memory" / inside.strip("/")
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            left = _left(folder, *names)
        else:
            continue
        free = free if left is None else min(free, left)
    return free


def peak_bytes(proc: Path = Path("/proc")) -> int | None:
    """Return the most bytes of memory this process has held so far; None if it is not told."""
    try:
        return _fields(proc / "self" / "status")["VmHWM"] << 10
    except (OSError, KeyError):
        return None


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
