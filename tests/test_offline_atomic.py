import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kagglekit.offline import atomic, bundle, check
from tests.wheels_factory import TINY_LIST, make_wheel, tiny_image, use_index


def folder(path: Path, text: str) -> Path:
    path.mkdir(parents=True)
    (path / "file").write_text(text)
    return path


@pytest.mark.parametrize("can_exchange", [True, False])
@pytest.mark.parametrize("there", [True, False])
def test_the_new_folder_takes_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_exchange: bool, there: bool
) -> None:
    if not can_exchange:
        monkeypatch.setattr(atomic, "exchange", lambda one, other: False)
    out = tmp_path / "out"
    if there:
        folder(out, "old")
    atomic.put(folder(tmp_path / "work" / "new", "new"), out)
    assert (out / "file").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "work"]
    assert not list((tmp_path / "work").iterdir())


def test_two_folders_change_places(tmp_path: Path) -> None:
    one, other = folder(tmp_path / "one", "1"), folder(tmp_path / "other", "2")
    assert atomic.exchange(one, other), "this file system should be able to"
    assert ((one / "file").read_text(), (other / "file").read_text()) == ("2", "1")


def test_what_is_not_there_cannot_change_places(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught:
        atomic.exchange(tmp_path / "gone", folder(tmp_path / "other", "2"))
    assert caught.value.errno == errno.ENOENT


def test_a_kill_between_the_two_renames_loses_nothing(tmp_path: Path) -> None:
    folder(tmp_path / ".out-before", "old")
    with atomic.workplace(tmp_path / "out"):
        assert (tmp_path / "out" / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_a_killed_run_left_is_cleared_and_a_living_ones_is_not(tmp_path: Path) -> None:
    dead = folder(tmp_path / ".out-work-dead", "")
    living = folder(tmp_path / ".out-work-living", "")
    handle = os.open(living, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with atomic.workplace(tmp_path / "out") as work:
        assert sorted(tmp_path.iterdir()) == sorted([living, work])
    os.close(handle)
    assert not dead.exists()
    assert [path.name for path in tmp_path.iterdir()] == [living.name]


def test_runs_that_begin_at_once_leave_each_other_alone(tmp_path: Path) -> None:
    def work(number: int) -> bool:
        with atomic.passing(tmp_path, "run-") as mine:
            (mine / "file").write_text(str(number))
            time.sleep(0.001)
            return (mine / "file").read_text() == str(number)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(400)))
    assert not list(tmp_path.iterdir())


def test_where_no_locks_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with atomic.passing(tmp_path, "run-") as one, atomic.passing(tmp_path, "run-") as other:
        assert one.is_dir()
        assert other.is_dir()
    assert not list(tmp_path.iterdir())


BUILD = """
import sys
from pathlib import Path
from kagglekit.offline import bundle, image
out, version = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
for _ in range(1000):
    bundle.build([f"asked=={version}"], image.load(sys.argv[3]), out)
"""


@pytest.mark.slow
def test_kill_at_ten_moments_leaves_the_old_or_the_new_bundle_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = use_index(monkeypatch, tmp_path / "index")
    for version in ("1.0", "2.0"):
        make_wheel(index, "asked", version, requires=["helper"])
    make_wheel(index, "helper")
    out, listed = tmp_path / "made" / "my-bundle", tmp_path / "tiny.txt"
    listed.write_text(TINY_LIST)
    started = time.monotonic()
    bundle.build(["asked==1.0"], tiny_image(), out)
    takes = time.monotonic() - started
    for moment in range(10):
        command = [sys.executable, "-c", BUILD, str(out), f"{moment % 2 + 1}.0", str(listed)]
        # A group of its own: a uv or pip that outlives its parent would race with the next build.
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(takes * (0.35 + 0.14 * moment))
            os.killpg(process.pid, signal.SIGKILL)
        made = check.check_bundle(out, tiny_image())
        assert {wheel.name for wheel in made.wheels} == {"asked", "helper"}
    bundle.build(["asked==1.0"], tiny_image(), out)
    assert [path.name for path in out.parent.iterdir()] == ["my-bundle"]
