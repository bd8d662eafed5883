"""A folder takes another's place in one step, so a kill at any moment leaves the old or the new.

`rename` cannot replace a folder that holds files. Linux can exchange two folders instead
(renameat2 with RENAME_EXCHANGE): each name is there, whole, at every moment. Where the system or
the file system cannot, the old folder steps aside under a known name first; between the two
renames only that name is there, and `recover` puts it back.
"""

import ctypes
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_CANNOT = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM}


def put(new: Path, out: Path) -> None:
    """Make the folder `new` be the folder `out`; what was there before is deleted.

    Args:
        new: a finished folder on the file system of `out`.
        out: where it goes; a folder or nothing.
    """
    if not out.exists():
        new.rename(out)
        return
    if not exchange(new, out):
        aside = _aside(out)
        shutil.rmtree(aside, ignore_errors=True)
        out.rename(aside)
        new.rename(out)
        new = aside
    shutil.rmtree(new)


def exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; return False where that cannot be done, and do nothing."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return False
    names = os.fsencode(one), os.fsencode(other)
    if not libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE):
        return True
    number = ctypes.get_errno()
    if number in _CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(other))


def recover(out: Path) -> None:
    """Put back the old folder that a kill left aside, and delete one that is no longer needed."""
    aside = _aside(out)
    if aside.is_dir() and not out.exists():
        aside.rename(out)
    shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def workplace(out: Path) -> Iterator[Path]:
    """Give a folder to work in beside `out`, gone afterwards; those of killed runs go first.

    Each is locked while its run lives, so the folder of a run beside this one is left alone.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    recover(out)
    with passing(out.parent, f".{out.name}-work-") as folder:
        yield folder


@contextmanager
def passing(parent: Path, prefix: str) -> Iterator[Path]:
    """Give a new folder, gone afterwards; those that killed runs left go first.

    Args:
        parent: where it lies.
        prefix: what its name begins with, as the names of all such folders and of no others.
    """
    for old in parent.glob(f"{prefix}*"):
        with suppress(OSError), _locked(old):  # refused: its run is alive
            shutil.rmtree(old)
    folder, held = _new(parent, prefix)
    try:
        with held:
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _new(parent: Path, prefix: str) -> tuple[Path, ExitStack]:
    """Make a folder and hold it; where the file system knows no locks, nobody else clears it."""
    while True:
        folder = Path(tempfile.mkdtemp(dir=parent, prefix=prefix)).resolve()
        held = ExitStack()
        try:
            held.enter_context(_locked(folder))
        except (BlockingIOError, FileNotFoundError):
            continue  # a run that begins now took it for a killed one's, before it was held
        except OSError:  # no locks here
            return folder, held
        if folder.exists():
            return folder, held
        held.close()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _aside(out: Path) -> Path:
    return out.with_name(f".{out.name}-before")
