"""What a run may take, and how it is stopped: by a cgroup and by watching, notebooks and scripts."""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from kagglekit import competitions
from kagglekit.rehearsal import cgroup, meter, processes, sandbox
from kagglekit.rehearsal.limits import GB, Limits, Usage, limits_of
from kagglekit.rehearsal.sandbox import Session
from kagglekit.rehearsal.trial import Trial, run_trial

KIDNEY = competitions.load("hubmap-kidney-segmentation")
Run = Callable[..., Trial]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run code cells, or a script, under limits."""
    (tmp_path / "working").mkdir()
    session = Session({}, tmp_path / "working", tmp_path / "scratch", Path(sys.prefix))

    def carry_out(*cells: str, suffix: str = ".ipynb", **limits: float) -> Trial:
        path = tmp_path / f"n{suffix}"
        if suffix == ".ipynb":
            nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells]), path)
        else:
            path.write_text("\n".join(cells))
        return run_trial(path, session, Limits(**limits))

    return carry_out


def test_the_limits_of_a_competition() -> None:
    assert limits_of(KIDNEY) == Limits(9 * 3600, 30 * GB, 20 * GB)
    assert limits_of(KIDNEY, 0.5, 2, 1) == Limits(1800, 2 * GB, 1 * GB)


@pytest.mark.parametrize("suffix", [".ipynb", ".py"])
def test_the_time_runs_out_and_the_line_is_named(run: Run, suffix: str) -> None:
    trial = run(
        "import time", "def wait():\n    time.sleep(99)\nwait()  # here", suffix=suffix, seconds=3
    )
    outcome = trial.outcome
    assert (outcome["ok"], outcome["exceeded"]) == (False, "time")
    assert outcome["message"] == "it had not ended after 3 s, which is the limit"
    assert (outcome["cell"], outcome["line"]) == (2 if suffix == ".ipynb" else 1, "wait()  # here")
    assert 3 < trial.usage.seconds < 60


@pytest.mark.parametrize("grouped", [True, False])
def test_the_memory_runs_out(run: Run, grouped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not grouped:
        monkeypatch.setattr(sandbox, "make_group", lambda limit: None)
    elif (group := cgroup.make_group(1e9)) is None:
        pytest.skip("this user may not make a memory cgroup")
    else:
        group.remove()
    hog = (
        "import time\nfor n in range(99):\n    kept = b'1' * (n * 20_000_000)\n    time.sleep(.02)"
    )
    trial = run("print('before')", hog, memory=4e8)
    assert trial.outcome["exceeded"] == trial.usage.exceeded == "memory"
    assert trial.outcome["message"] == "it was stopped when it wanted more than 0.4 GB of RAM"
    assert trial.outcome["cell"] == 2
    assert trial.usage.enforced == ("a memory cgroup" if grouped else "watching its processes")
    assert [cell for cell, _, _ in trial.outcome["timeline"]] == [1, 2]


def test_memory_that_a_child_takes_counts(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "make_group", lambda limit: None)
    child = "import time; kept = b'1' * 500_000_000; time.sleep(60)"
    trial = run(
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])", memory=4e8
    )
    assert trial.outcome["exceeded"] == "memory"
    assert trial.usage.peak_mb > 400


def running(word: str) -> list[str]:
    """Return the command lines of running programs that contain a word."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(place.read_bytes().replace(b"\0", b" ").decode())
    return [line for line in found if word in line]


@pytest.mark.parametrize("suffix", [".ipynb", ".py"])
@pytest.mark.parametrize("way", ["", ">/dev/null 2>&1"])
def test_what_a_run_leaves_behind_ends_with_it(run: Run, suffix: str, way: str) -> None:
    """Even if it holds the run's output open: on Kaggle the whole machine ends."""
    seconds = f"300.{time.time_ns()}"  # its own, to be told from what another test left
    program = f'import os\nos.system("setsid sleep {seconds} {way} &")\nprint("done")'
    trial = run(program, suffix=suffix, seconds=60)
    assert trial.outcome["ok"]
    assert trial.usage.seconds < 50
    assert running(f"sleep {seconds}") == []


def test_memory_counts_that_is_held_by_what_nobody_waits_for(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "make_group", lambda limit: None)
    takes = "x = bytearray(700_000_000); import time; time.sleep(60)"
    program = f"""import os, sys, time
os.system(f"setsid {{sys.executable}} -c '{takes}' >/dev/null 2>&1 &")
time.sleep(30)"""
    trial = run(program, memory=400e6)
    assert trial.outcome["exceeded"] == "memory"
    assert running("bytearray(700_000_000)") == []


def test_what_lies_in_a_file_s_pages_is_not_counted(run: Run) -> None:
    code = (
        "import mmap\n"
        "with open('big', 'wb') as file:\n"
        "    file.write(bytes(300_000_000))\n"
        "with open('big', 'rb') as file:\n"
        "    pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)\n"
        "    print(sum(pages[place] for place in range(0, 300_000_000, 4096)))\n"
    )
    trial = run(code, suffix=".py", memory=2e8)
    assert trial.outcome["ok"], trial
    assert trial.usage.exceeded == ""


def test_the_disk_runs_out(run: Run) -> None:
    code = "import time\nwith open('a.bin', 'wb') as file:\n    file.write(bytes(30_000_000))\ntime.sleep(60)"
    trial = run(code, suffix=".py", disk=1e7)
    assert trial.outcome["exceeded"] == "disk"
    assert trial.outcome["message"] == (
        "it was stopped with 0.03 GB in /kaggle/working, which holds 0.01 GB"
    )
    assert trial.usage.disk_mb > 29


def test_too_much_on_the_disk_at_the_very_end_is_noticed_too(run: Run) -> None:
    trial = run("open('a.bin', 'wb').write(bytes(30_000_000))", suffix=".py", disk=1e7)
    assert trial.outcome["exceeded"] == "disk"


def test_a_run_within_its_limits(run: Run) -> None:
    trial = run(
        "kept = b'1' * 150_000_000", "import time; time.sleep(1)", seconds=90, memory=2e9, disk=1e8
    )
    assert trial.outcome["ok"]
    assert "exceeded" not in trial.outcome
    assert trial.usage.exceeded == ""
    assert 150 < trial.usage.peak_mb < 400
    times = [seconds for seconds, _ in trial.usage.memory]
    assert times == sorted(times)
    [first, second] = trial.outcome["timeline"]
    assert first[0] == 1
    assert second[2] - second[1] >= 1
    assert second[2] <= trial.usage.seconds


def test_how_far_a_silent_run_is_can_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kagglekit.rehearsal import trial

    monkeypatch.setattr(trial, "_SILENCE", 0.3)
    path, lines = tmp_path / "n.ipynb", []
    cells = [new_code_cell("1"), new_code_cell("import time; time.sleep(1.5)")]
    nbformat.write(new_notebook(cells=cells), path)
    session = Session({}, tmp_path, tmp_path / "scratch", Path(sys.prefix))
    run_trial(path, session, say=lines.append)
    assert any("s, cell 2 of 2, " in line and line.endswith(" MB") for line in lines)


class TestProcesses:
    def test_a_family(self) -> None:
        import os
        import subprocess

        with subprocess.Popen(["sh", "-c", "sleep 60 & sleep 60"]) as child:
            # Not this process's: an earlier test may have left it another child.
            deadline = time.monotonic() + 10
            while len(family := processes.descendants(child.pid)) < 2:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert len(family) == 2
            assert {child.pid, *family} <= set(processes.descendants(os.getpid()))
            assert processes.held(child.pid) > 0
            processes.kill([*processes.descendants(child.pid), child.pid])
        assert processes.descendants(child.pid) == []
        assert processes.held(child.pid) == 0
        processes.kill([child.pid])  # already gone


class TestGroups:
    """The two layouts of cgroups, as folders of files."""

    @pytest.fixture
    def root(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        mkdir = Path.mkdir

        def make(path: Path, *arguments: object) -> None:
            """Make a folder with what the kernel puts into one."""
            mkdir(path)
            if path.name.startswith("kagglekit"):
                for name in kernel:
                    (path / name).write_text(kernel[name])

        kernel: dict[str, str] = {}
        self.kernel = kernel
        monkeypatch.setattr(Path, "mkdir", make)
        return tmp_path

    def test_version_1(self, root: Path) -> None:
        (root / "memory").mkdir()
        (root / "memory" / "mine").mkdir()
        (root / "own").write_text("4:cpu,cpuacct:/else\n3:memory:/mine\n1:name=systemd:/\n")
        self.kernel |= {
            "memory.limit_in_bytes": "", "memory.memsw.limit_in_bytes": "",
            "memory.stat": "cache 900\nrss 1\ntotal_rss 40\ntotal_shmem 2\n",
            "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
        }  # fmt: skip
        group = cgroup.make_group(5e8, root, root / "own")
        assert group is not None
        assert (group.folder.parent, group.version) == (root / "memory" / "mine", 1)
        assert (group.folder / "memory.limit_in_bytes").read_text() == "500000000"
        assert (group.folder / "memory.memsw.limit_in_bytes").read_text() == "500000000"
        assert group.used() == 42
        assert group.killed()

    def test_version_2_where_only_an_outer_group_is_ours(self, root: Path) -> None:
        (root / "user").mkdir()
        (root / "user" / "app").mkdir()
        (root / "user" / "app").rmdir()
        (root / "user" / "app").write_text("not a folder: nothing can be made in it")
        (root / "cgroup.controllers").write_text("cpu memory\n")
        (root / "own").write_text("0::/user\n")
        self.kernel |= {
            "memory.max": "max", "memory.swap.max": "max",
            "memory.stat": "anon 30\nfile 900\nshmem 3\n", "memory.events": "oom 0\noom_kill 0\n",
        }  # fmt: skip
        group = cgroup.make_group(5e8, root, root / "own")
        assert group is not None
        assert (group.folder.parent, group.version) == (root / "user", 2)
        assert (group.folder / "memory.max").read_text() == "500000000"
        assert (group.folder / "memory.swap.max").read_text() == "0"
        assert group.used() == 33
        assert not group.killed()

    def test_none_where_the_controller_is_missing_or_there_are_no_groups(self, root: Path) -> None:
        (root / "cgroup.controllers").write_text("cpu\n")
        (root / "own").write_text("0::/\n")
        assert cgroup.make_group(5e8, root, root / "own") is None
        assert cgroup.make_group(5e8, root, root / "missing") is None


def test_a_long_curve_is_thinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "_POINTS", 8)
    monkeypatch.setattr(meter, "_INTERVAL", 0.001)
    watch = meter.Meter(1, Limits(), tmp_path, None, lambda seconds, mb: None)
    monkeypatch.setattr(processes, "descendants", lambda pid: [])
    watch.start()
    time.sleep(0.5)
    curve = watch.stop().memory
    assert 2 < len(curve) <= 9
    assert curve[-1][0] > 0.2


def test_the_gpus_memory_is_asked_of_their_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert meter.gpu_memory() == 0
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 1000\necho 24\n")
    program.chmod(0o755)
    assert meter.gpu_memory() == 1024 * 2**20 / 1e6
    program.write_text("#!/bin/sh\necho 'No devices were found'\nexit 6\n")
    assert meter.gpu_memory() == 0


def test_the_peak_of_a_run_too_short_to_be_measured() -> None:
    assert Usage(0.1).peak_mb == 0
    assert Usage(9, ((1, 5.0), (2, 7.0), (3, 6.0))).peak_mb == 7
