"""What one run of a notebook may take, and what it took."""

import math
from dataclasses import dataclass
from typing import Literal

from kagglekit.competitions.profile import Profile

MB, GB = 1e6, 1e9
DISK_GB = 20.0
"""What /kaggle/working holds."""

Exceeded = Literal["", "time", "memory", "disk"]


@dataclass(frozen=True)
class Limits:
    """What a run may take before it is stopped, as Kaggle would stop it.

    Attributes:
        seconds: wall time.
        memory: bytes of RAM, of all its processes together.
        disk: bytes in /kaggle/working.
    """

    seconds: float = math.inf
    memory: float = math.inf
    disk: float = math.inf


NO_LIMITS = Limits()


@dataclass(frozen=True)
class Usage:
    """What a run took.

    Attributes:
        seconds: wall time, from start to end.
        memory: the memory curve: (seconds since the start, MB of RAM of all processes together).
        disk_mb: the most that lay in /kaggle/working, in MB.
        gpu_mb: the most that was taken of the GPUs' memory, in MB; 0 without a GPU.
        exceeded: the limit at which it was stopped, "" when it ended by itself.
        enforced: how memory was limited: "a memory cgroup" or "watching its processes".
    """

    seconds: float
    memory: tuple[tuple[float, float], ...] = ()
    disk_mb: float = 0.0
    gpu_mb: float = 0.0
    exceeded: Exceeded = ""
    enforced: str = ""

    @property
    def peak_mb(self) -> float:
        """The highest point of the memory curve, in MB; 0 for a run too short to have one."""
        return max((mb for _, mb in self.memory), default=0.0)


def limits_of(
    comp: Profile,
    hours: float | None = None,
    ram_gb: float | None = None,
    disk_gb: float | None = None,
) -> Limits:
    """Return the limits of a competition's rerun.

    Args:
        comp: the competition, whose profile has hours and RAM.
        hours: wall time instead of the profile's.
        ram_gb: RAM in GB (1e9 bytes) instead of the profile's.
        disk_gb: what /kaggle/working holds, in GB, instead of 20.

    Example:
        >>> from kagglekit import competitions
        >>> limits_of(competitions.load("hubmap-kidney-segmentation"), hours=1.5)
        Limits(seconds=5400.0, memory=30000000000.0, disk=20000000000.0)
    """
    hours = comp.limits.hours if hours is None else hours
    ram_gb = comp.limits.ram_gb if ram_gb is None else ram_gb
    disk_gb = DISK_GB if disk_gb is None else disk_gb
    return Limits(3600.0 * hours, GB * ram_gb, GB * disk_gb)
