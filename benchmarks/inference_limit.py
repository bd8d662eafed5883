"""The largest slide at full resolution in a process that may have 2 GB and no more."""

import os
from pathlib import Path

from inference_cases import Case, right_answer

CASE = Case("tiled", "identity")
LIMIT = 2 << 30
V1, V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


def run(cache: Path, once, say) -> dict:
    """Run kagglekit under the limit and say how it went.

    Args:
        cache: where the slides are.
        once: `inference.once`.
        say: takes a line of the report.

    Returns:
        What was measured, "how" the memory was limited, and whether that was "enforced".
    """
    say(f"\n## {CASE}, whole process limited to 2 GB\n")
    answer = right_answer(CASE, cache)
    group, how = make_group()
    try:
        prefix = (lambda: (group / "cgroup.procs").write_text(str(os.getpid()))) if group else None
        took = once(CASE, "kagglekit", cache, answer, prefix)
        if group:
            peak = next(
                group / name
                for name in ("memory.max_usage_in_bytes", "memory.peak", "memory.current")
                if (group / name).exists()
            )
            highest = int(peak.read_text()) / 2**20
    finally:
        if group:
            group.rmdir()
    if "failed" in took:
        say(f"kagglekit did not finish: {took['failed']}. Memory: {how}.")
    else:
        held = f"; the group's highest, page cache included, {highest:,.0f} MB" if group else ""
        say(
            f"kagglekit: {took['wall']:.1f} s, {took['cpu']:.1f} CPU s, whole process at most "
            f"{took['whole']:,.0f} MB{held}; {took['differ']:,} px differ. Memory: {how}."
        )
    return took | {"how": how, "enforced": group is not None}


def make_group() -> tuple[Path | None, str]:
    """Make a memory cgroup, version 1 or 2; return it and how, or None and why not."""
    name = f"kagglekit-benchmark-{os.getpid()}"
    for root, file, version in ((V1, "memory.limit_in_bytes", 1), (V2, "memory.max", 2)):
        group = root / name
        if version == 1 and not (root / file).exists():
            continue
        try:
            group.mkdir()
            (group / file).write_text(str(LIMIT))
            swap = group / ("memory.memsw.limit_in_bytes" if version == 1 else "memory.swap.max")
            if swap.exists():
                swap.write_text(str(LIMIT) if version == 1 else "0")
        except OSError as error:
            if group.is_dir():
                group.rmdir()
            return None, f"not limited, only measured: no cgroup of version {version}: {error}"
        return group, f"cgroup version {version}, {file} = {LIMIT:,}"
    return None, "not limited, only measured: there is no memory cgroup"
