"""What tells a file from another without reading all of it."""

import hashlib
from pathlib import Path

_SAMPLE, _PLACES = 1 << 16, 64  # so many bytes, at so many places from end to end


def fingerprint(path: Path) -> str:
    """Return a file's size, and the sha256 of samples of it: 4 MiB in 64 pieces.

    Reading gigabytes again only to see that they have not changed would take as long as the work
    on them. Its two ends would not do: uncompressed images may have the same margins.

    Args:
        path: a file.

    Raises:
        OSError: it cannot be read.

    Example:
        >>> fingerprint(Path("/dev/null"))[:14]
        '0 e3b0c44298fc'
    """
    size = path.stat().st_size
    digest = hashlib.sha256()
    with path.open("rb") as file:
        if size <= _SAMPLE * _PLACES:
            digest.update(file.read())
        else:
            for place in range(_PLACES):
                file.seek((size - _SAMPLE) * place // (_PLACES - 1))
                digest.update(file.read(_SAMPLE))
    return f"{size} {digest.hexdigest()}"
