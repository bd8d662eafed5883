"""A memory cgroup for one run: the kernel itself ends what takes more than it may.

Both versions of cgroups are known. A user who is not root can make one where the system has handed
him a part of the tree (a systemd desktop session); elsewhere `make_group` says no, and the run's
processes are watched instead.
"""

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_NUMBER = itertools.count()


@dataclass(frozen=True)
class Group:
    """A memory cgroup that exists.

    Attributes:
        folder: where it is, in the cgroup file system.
        version: 1 or 2.
    """

    folder: Path
    version: int

    def joining(self, command: list[str]) -> list[str]:
        """Return the command that moves itself into the group and then becomes `command`."""
        script = 'echo $$ > "$0" && exec "$@"'
        return ["sh", "-c", script, str(self.folder / "cgroup.procs"), *command]

    def used(self) -> int:
        """Return the bytes that its processes hold, without the files that are cached for them."""
        lines = _read_table(self.folder / "memory.stat")
        anonymous = lines["total_rss"] if self.version == 1 else lines["anon"]
        shared = lines.get("total_shmem" if self.version == 1 else "shmem", 0)
        return anonymous + shared

    def killed(self) -> bool:
        """Whether the kernel has ended a process in it for want of memory."""
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        return _read_table(self.folder / name).get("oom_kill", 0) > 0

    def remove(self) -> None:
        """Take the group away; its processes must have ended, which the kernel notes with delay."""
        for _ in range(50):
            with suppress(OSError):
                self.folder.rmdir()
                return
            time.sleep(0.02)


def make_group(
    limit: float, root: Path = _ROOT, own: Path = Path("/proc/self/cgroup")
) -> Group | None:
    """Make a memory cgroup below this process's own, or below one of those around it.

    Args:
        limit: bytes of RAM.
        root: where cgroups are mounted.
        own: the file that names this process's own.

    Returns:
        The group, or None where this user may not make one.
    """
    for parent, version in _parents(root, own):
        folder = parent / f"kagglekit-{os.getpid()}-{next(_NUMBER)}"
        try:
            folder.mkdir()
        except OSError:
            continue
        group = Group(folder, version)
        try:
            _limit(group, int(limit))
            group.used()
        except (OSError, KeyError):  # the memory controller is not ours to set here
            group.remove()
            continue
        return group
    return None


def _parents(root: Path, own: Path) -> Iterator[tuple[Path, int]]:
    """Yield the folders in which a memory group might be made, the nearest first."""
    try:
        lines = own.read_text().splitlines()
    except OSError:  # not a Linux machine
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            top, version = root / "memory", 1
        elif not controllers and (root / "cgroup.controllers").is_file():
            top, version = root, 2
        else:
            continue
        inner = top / path.lstrip("/")
        # In a container the path is that of the machine outside, where nothing is mounted.
        for parent in (inner, *inner.parents) if inner.is_dir() else (top,):
            if parent.is_relative_to(top):
                yield parent, version


def _limit(group: Group, limit: int) -> None:
    if group.version == 2:
        (group.folder / "memory.max").write_text(str(limit))
        swap, most = group.folder / "memory.swap.max", "0"
    else:
        (group.folder / "memory.limit_in_bytes").write_text(str(limit))
        swap, most = group.folder / "memory.memsw.limit_in_bytes", str(limit)
    if swap.exists():  # Kaggle's machines have no swap
        swap.write_text(most)


def _read_table(path: Path) -> dict[str, int]:
    words = (line.split() for line in path.read_text().splitlines())
    return {word[0]: int(word[1]) for word in words if len(word) == 2}
