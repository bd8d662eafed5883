"""A file takes another's place when it is whole, so a kill at any moment leaves one of the two."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file beside `path` for writing; at the end it is on the disk and in its place.

    What a kill leaves beside is written over by the next call; what an error leaves is removed, for
    it may be that the disk is full.

    Args:
        path: the file, which is there or not. `.<name>.part` beside it is used on the way.

    Yields:
        The file beside, in binary form.

    Raises:
        OSError: it cannot be written.

    Example:
        >>> with replacing(Path("notes.json")) as file:  # doctest: +SKIP
        ...     file.write(b"{}")
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    beside.replace(path)
