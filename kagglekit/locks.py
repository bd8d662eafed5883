"""One process at a time, and one thread of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# By path, what this process holds: the system's locks are between processes, whose threads share
# them; and one that closes the file, having looked, would end the lock of all.
_ours: dict[str, object] = {}
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_ours.clear)


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Hold a lock while the `with` block runs; yield whether nobody else holds it.

    It goes with the process, however that ends; a forked child does not have it. Where the file
    system knows no locks, everybody holds it.

    Args:
        path: a file, made for the purpose and removed at the end; its folder exists.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, held(Path(folder, "lock")) as is_ours:
        ...     is_ours
        True
    """
    name, mine = os.path.realpath(path), object()
    if _ours.setdefault(name, mine) is not mine:
        yield False
        return
    try:
        file = _locked(path)
        try:
            yield file is not None
        finally:
            if file is not None:
                path.unlink(missing_ok=True)  # while it is held, so that it is nobody else's
                os.close(file)
    finally:
        _ours.pop(name, None)


def _locked(path: Path) -> int | None:
    """Open and lock a file; None if another process has."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT)
        try:
            if fcntl is not None:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            os.close(file)
            return None
        except OSError:  # no locks here
            return file
        # Who held it may have removed it since it was opened here: then it locks nothing any more.
        if _is_at(path, file):
            return file
        os.close(file)


def _is_at(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
