"""Another process has a lock, or has ended: asked from outside."""

import os
import signal
from pathlib import Path

import pytest

from kagglekit import locks
from kagglekit.locks import held
from tests.holding import holding


@pytest.fixture
def other(tmp_path):
    """A process that holds `tmp_path / "lock"`."""
    with holding(tmp_path / "lock") as process:
        yield process


def test_what_another_process_holds_cannot_be_had_until_it_is_killed(tmp_path, other):
    with held(tmp_path / "lock") as is_ours:
        assert not is_ours
    assert (tmp_path / "lock").exists()
    other.send_signal(signal.SIGKILL)
    other.wait()
    with held(tmp_path / "lock") as is_ours:
        assert is_ours
    assert not (tmp_path / "lock").exists()


def test_what_this_process_holds_it_cannot_have_again(tmp_path):
    """Another thread of it, say; and by whatever name."""
    (tmp_path / "same").symlink_to(tmp_path)
    for name in ("lock", "same/lock"):
        with held(tmp_path / "lock") as is_ours:
            with held(tmp_path / name) as is_ours_too:
                assert is_ours
                assert not is_ours_too
            with pytest.raises(AssertionError), holding(tmp_path / "lock"):
                pass  # looking has not given it up
    assert not (tmp_path / "lock").exists()


def test_a_fork_does_not_keep_it(tmp_path):
    """As a worker that reads tiles might, whose parent was killed."""
    with held(tmp_path / "lock"):
        child = os.fork()
        if child == 0:
            signal.pause()
    try:
        with holding(tmp_path / "lock"):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_fork_can_have_it_when_its_parent_has_let_go(tmp_path):
    reading, writing = os.pipe()
    with held(tmp_path / "lock"):
        child = os.fork()
        if child == 0:
            os.read(reading, 1)
            with held(tmp_path / "lock") as is_ours:
                os._exit(0 if is_ours else 1)
    os.write(writing, b".")
    _, status = os.waitpid(child, 0)
    assert status == 0


def test_a_file_that_was_removed_after_it_was_opened_is_not_the_lock(tmp_path, monkeypatch):
    path, opened = tmp_path / "lock", []

    def opens(*arguments, really=os.open):
        file = really(*arguments)
        if not opened:
            path.unlink()  # by who held it
        opened.append(file)
        return file

    monkeypatch.setattr(os, "open", opens)
    with held(path) as is_ours:
        assert is_ours
        assert path.exists()
    assert len(opened) == 2


def test_where_there_are_no_locks_everybody_has_it(tmp_path, monkeypatch):
    def fails(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(locks.fcntl, "lockf", fails)
    with held(tmp_path / "lock") as is_ours:
        assert is_ours


def test_a_folder_that_may_not_be_written_is_said(tmp_path):
    with pytest.raises(OSError, match="lock"), held(tmp_path / "no" / "lock"):
        raise AssertionError
    assert list(Path(tmp_path).iterdir()) == []
