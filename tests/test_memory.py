import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from kagglekit.memory import (
    available_bytes,
    give_back_freed_memory,
    peak_bytes,
    take_peak,
)

MEMINFO = """MemTotal:       16384000 kB
MemFree:          204800 kB
MemAvailable:    8192000 kB
HugePages_Total:       0
"""
FREE = 8192000 * 1024


def write(files):
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def machine(tmp_path):
    """Return what `available_bytes` says of a made-up machine."""
    proc, cgroups = tmp_path / "proc", tmp_path / "cgroup"

    def ask(groups, files, meminfo=MEMINFO):
        write({proc / "meminfo": meminfo, proc / "self" / "cgroup": groups})
        write({cgroups / name: text for name, text in files.items()})
        return available_bytes(proc, cgroups)

    return ask


def v2(folder, most, used, cache=0):
    stat = f"anon 5\nfile {cache + 7}\ninactive_file {cache}\nactive_file 7\n"
    names = {"memory.max": f"{most}\n", "memory.current": f"{used}\n", "memory.stat": stat}
    return {folder + name: text for name, text in names.items()}


def v1(folder, most, used, cache=0):
    stat = f"cache 9\ninactive_file 3\ntotal_inactive_file {cache}\n"
    names = {
        "memory.limit_in_bytes": f"{most}\n",
        "memory.usage_in_bytes": f"{used}\n",
        "memory.stat": stat,
    }
    return {f"memory/{folder}{name}": text for name, text in names.items()}


V1 = "5:cpu,cpuacct:/a\n4:memory:/docker/abc\n"


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {}, FREE),
        ("0::/job\n", v2("job/", 4_000_000, 1_500_000), 2_500_000),
        ("0::/job\n", v2("job/", 4_000_000, 3_900_000, cache=800_000), 900_000),
        ("0::/job\n", v2("job/", "max", 3_900_000), FREE),
        ("0::/job\n", v2("job/", 2**50, 0), FREE),  # the machine has less
        ("0::/job\n", v2("job/", 4_000_000, 5_000_000), 0),
        ("0::/\n", v2("", 4_000_000, 1_000_000), 3_000_000),  # a container sees its group as root
        ("0::/up/job\n", v2("up/job/", "max", 0) | v2("up/", 700, 300), 400),
        ("0::/up/job\n", v2("up/job/", 500, 300) | v2("up/", 700, 300), 200),
        (V1, v1("docker/abc/", 4_000_000, 1_500_000, cache=1000), 2_501_000),
        (V1, v1("docker/abc/", 9223372036854771712, 1_500_000), FREE),
        (V1, v1("", 4_000_000, 1_500_000), 2_500_000),  # in a container the name is the machine's
        (V1 + "0::/\n", v1("docker/abc/", 600, 0) | v2("", 500, 0), 500),
        ("3:cpuset:/job\n", v1("job/", 600, 0) | v2("job/", 500, 0), FREE),
    ],
)
def test_the_smallest_of_machine_and_groups_counts(machine, groups, files, expected):
    assert machine(groups, files) == expected


def test_nothing_outside_the_tree_of_groups_is_read(machine, tmp_path):
    write({tmp_path / name: text for name, text in v2("", 500, 0).items()})
    assert machine("0::/job\n", {}) == FREE


def test_unknown_where_the_system_does_not_tell(tmp_path, machine):
    assert available_bytes(tmp_path / "none", tmp_path) is None
    assert peak_bytes(tmp_path / "none") is None
    assert machine("0::/\n", {}, meminfo="MemTotal: 5 kB\n") is None


def test_peak(tmp_path):
    write({tmp_path / "self" / "status": "Name:\tpython\nVmHWM:\t    1234 kB\nVmRSS:\t 5 kB\n"})
    assert peak_bytes(tmp_path) == 1234 * 1024


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="not Linux")
def test_this_machine():
    code = (
        "from kagglekit.memory import *;"
        "before = peak_bytes(); held = bytearray(b'x') * (300 << 20);"
        "print(before, peak_bytes(), available_bytes())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, peak, free = map(int, done.stdout.split())
    assert 295 << 20 < peak - before < 310 << 20
    assert 100 << 20 < free < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


_FAULTS = """
import resource
import numpy as np
from kagglekit.memory import keep_freed_memory

keep_freed_memory()

def layers():
    for _ in range(50):
        held = [np.ones(3 << 20, np.uint8) for _ in range(4)]  # more than glibc keeps by itself
        del held

layers()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
layers()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep it anyway")
def test_memory_that_was_freed_is_not_fetched_anew():
    faults = int(subprocess.check_output([sys.executable, "-c", _FAULTS], text=True))
    assert faults < 1000  # pages: those of a block once over; without it, of 200 blocks


_GIVEN_BACK = """
import numpy as np
from pathlib import Path
from kagglekit.memory import give_back_freed_memory, keep_freed_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

keep_freed_memory()
held = [np.ones(3 << 20, np.uint8) for _ in range(10)]
last = np.ones(3 << 20, np.uint8)  # what lies behind it, and is freed, would go by itself
del held
before = resident()
give_back_freed_memory()
print(before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep nothing")
def test_what_was_kept_is_given_back():
    given = int(subprocess.check_output([sys.executable, "-c", _GIVEN_BACK], text=True))
    assert given > 25 << 20


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_where_nothing_is_kept_nothing_has_to_be_given_back(monkeypatch, platform):
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())  # as musl: without malloc_trim
    give_back_freed_memory()


def test_peak_of_memory_since_the_last_call(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "status").write_text(
        "Name:\tpython\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n"
    )
    (tmp_path / "self" / "clear_refs").touch()
    assert take_peak(tmp_path) == 2 << 20
    assert (tmp_path / "self" / "clear_refs").read_text() == "5"
    (tmp_path / "self" / "clear_refs").unlink()
    (tmp_path / "self" / "clear_refs").mkdir()  # may not be written
    assert take_peak(tmp_path) == 1 << 20
    assert take_peak(tmp_path / "elsewhere") is None
    assert take_peak() > 1 << 20
