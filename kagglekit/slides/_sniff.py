"""What a file is, by its first bytes: GDAL never guesses.

GDAL knows more than a hundred formats, and some of them read other files: a VRT named `.tiff` shows
whatever picture it points to. A named pipe would hang every reader there is.
"""

import stat
from pathlib import Path

from kagglekit import handles
from kagglekit.errors import SlideError

_KINDS = {
    b"II*\0": "GTiff",
    b"MM\0*": "GTiff",
    b"II+\0": "GTiff",  # BigTIFF
    b"MM\0+": "GTiff",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"\x93NUMPY": "npy",
}
_STRANGERS = {
    b"<!DOCTYPE HTML": "an HTML page (a failed download?)",
    b"<HTML": "an HTML page (a failed download?)",
    b"<VRTDATASET": "a GDAL VRT, which points to other files",
    b"<?XML": "an XML text",
    b"VERSION HTTPS://GIT-LFS": "a git-lfs pointer: the image itself was never fetched",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"%PDF": "a PDF",
    b"BM": "a BMP image",
    b"RIFF": "a WebP image or another RIFF file",
    b"\0\0\0\x0cJP": "a JPEG 2000 image",
    b"\xff\x4f\xff\x51": "a JPEG 2000 image",
    b"\x89HDF": "an HDF5 file",
    b"DICM": "a DICOM file",
}
_FETCH = "fetch the file again from where it came from"
_CONVERT = "convert it to TIFF or PNG"


def sniff(path: Path) -> str:
    """Name what will read a file: a GDAL driver's short name, or "npy".

    Args:
        path: the file.

    Raises:
        SlideError: not a regular file, not readable, empty, or of no kind that is read here.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise SlideError(f"{path}: it is a folder, not an image", hint="name one file in it")
        if not stat.S_ISREG(mode):
            raise SlideError(
                f"{path}: not a regular file (a pipe, socket or device)",
                hint="write it to a file first",
            )
        with path.open("rb") as file:
            start = file.read(32)
    except SlideError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        why = getattr(error, "strerror", None) or error
        hint = handles.remedy(str(why), lambda: "check the path")
        raise SlideError(f"{path}: cannot open: {why}", hint=hint) from error
    if not start:
        raise SlideError(f"{path}: the file is empty", hint=_FETCH)
    for magic, kind in _KINDS.items():
        if start.startswith(magic):
            return kind
    return _refuse(path, start)


def _refuse(path: Path, start: bytes) -> str:
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").upper()
    for magic, what in _STRANGERS.items():
        if start.startswith(magic) or text.startswith(magic):
            picture = what.endswith("image")
            raise SlideError(
                f"{path}: not a TIFF, PNG, JPEG, GIF or .npy: it is {what}",
                hint=_CONVERT if picture else _FETCH,
            )
    raise SlideError(
        f"{path}: not a TIFF, PNG, JPEG, GIF or .npy: its first bytes are {start[:8]!r}",
        hint=_FETCH,
    )
