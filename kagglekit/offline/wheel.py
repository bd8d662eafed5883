"""One wheel: what its file says about itself, and whether it is all true.

pip and uv install a wheel whose files were exchanged and whose zip checksums are right; neither
compares the files with the wheel's own RECORD. So it is done here, once, when the bundle is built.
"""

import base64
import csv
import hashlib
import re
import zipfile
import zlib
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from kagglekit.errors import BundleError
from kagglekit.offline import install
from kagglekit.offline.install import sha256_of

_METADATA = re.compile(r"[^/]+\.dist-info/METADATA")
# What zipfile raises of cut, odd, encrypted or wrongly named members.
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError)
_SOUND_HASHES = ("sha256", "sha384", "sha512")
# Folders that careless wheels put beside their package; importing them proves nothing.
_NOT_THE_PACKAGE = frozenset({"benchmarks", "docs", "examples", "test", "tests"})


@dataclass(frozen=True)
class Wheel:
    """A wheel file.

    Attributes:
        path: the file.
        name: normalised, e.g. "segmentation-models-pytorch".
        version: e.g. "0.6.0".
        requires: everything it says it needs, with markers.
        imports: top-level names that it makes importable, sorted.
        licence: what it says of its licence, in one line; "" where it says nothing.
        size: bytes.
        sha256: of the file, hexadecimal.
    """

    path: Path
    name: str
    version: str
    requires: tuple[Requirement, ...]
    imports: tuple[str, ...]
    licence: str
    size: int
    sha256: str

    @property
    def pin(self) -> str:
        """The line of a lock file: this very file and no other."""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"


def read(path: Path) -> Wheel:
    """Read a wheel.

    Raises:
        BundleError: the file is not a wheel, or its metadata cannot be read.
    """
    try:
        name, version, _, _ = parse_wheel_filename(path.name)
        wrong = faults(path)  # first: what follows trusts its members' sizes
        if wrong:
            raise BundleError(f"the wheel `{path.name}` is not sound", problems=wrong[:8])
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
            text = archive.read(f"{_dist_info(archive)}/METADATA").decode("utf-8")
        says = HeaderParser().parsestr(text)
        requires = says.get_all("Requires-Dist", [])
        return Wheel(
            path=path,
            name=canonicalize_name(name),
            version=str(version),
            requires=tuple(Requirement(line) for line in requires),
            imports=tuple(sorted(import_names(members))),
            licence=licence_of(says),
            size=path.stat().st_size,
            sha256=sha256_of(path),
        )
    except StopIteration:
        reason = "it holds no METADATA"
    except (
        InvalidWheelFilename,
        InvalidRequirement,
        InvalidVersion,
        OSError,
        *_UNREADABLE,
    ) as error:
        reason = str(error)
    raise BundleError(f"`{path.name}` is not a wheel that can be read: {reason}")


def faults(path: Path) -> list[str]:
    """Return what is wrong with a wheel that can be read: its members, its RECORD, its name."""
    with zipfile.ZipFile(path) as archive:
        found = install.member_problems(archive.infolist())
        if found:
            return found
        try:
            return _record_faults(archive) + _name_faults(archive, path)
        except _UNREADABLE as error:
            return [f"it is damaged: {error}"]


def _record_faults(archive: zipfile.ZipFile) -> list[str]:
    info = _dist_info(archive)
    files = {member.filename for member in archive.infolist() if not member.is_dir()}
    if f"{info}/RECORD" not in files:
        return ["it has no RECORD of its files"]
    text = archive.read(f"{info}/RECORD").decode("utf-8", "replace")
    recorded = {row[0]: row[1] for row in csv.reader(text.splitlines()) if len(row) > 1}
    found = [f"`{name}` is in RECORD but not in the wheel" for name in sorted({*recorded} - files)]
    for name in sorted(files - {f"{info}/RECORD{end}" for end in ("", ".jws", ".p7s")}):
        algorithm, _, digest = recorded.get(name, "").partition("=")
        if algorithm not in _SOUND_HASHES:
            found.append(f"`{name}` has no sound hash in RECORD")
        elif _digest(archive.read(name), algorithm) != digest.rstrip("="):
            found.append(f"`{name}` is not the file of RECORD")
    return found


def _name_faults(archive: zipfile.ZipFile, path: Path) -> list[str]:
    name, version, _, _ = parse_wheel_filename(path.name)
    text = archive.read(f"{_dist_info(archive)}/METADATA").decode("utf-8", "replace")
    says = HeaderParser().parsestr(text)
    inside = (canonicalize_name(str(says["Name"])), str(says["Version"]))
    if inside[0] == name and Version(inside[1]) == version:
        return []
    return [f"by its name it is {name} {version}, but inside it says {inside[0]} {inside[1]}"]


def _dist_info(archive: zipfile.ZipFile) -> str:
    return next(name for name in archive.namelist() if _METADATA.fullmatch(name)).split("/")[0]


def _digest(content: bytes, algorithm: str) -> str:
    return base64.urlsafe_b64encode(hashlib.new(algorithm, content).digest()).decode().rstrip("=")


def licence_of(says: Message) -> str:
    r"""Return the licence that a wheel's metadata names: its expression, classifiers, or text.

    Example:
        >>> text = "License: Permission is hereby granted\nClassifier: License :: OSI Approved :: X"
        >>> licence_of(HeaderParser().parsestr(text))
        'X'
    """
    classifiers = [line.split(" :: ") for line in says.get_all("Classifier", [])]
    named = [parts[-1] for parts in classifiers if parts[0] == "License" and len(parts) > 1]
    text = says.get("License-Expression") or "; ".join(named) or says.get("License") or ""
    return text.strip().splitlines()[0][:100] if text.strip() else ""


def import_names(members: list[str]) -> set[str]:
    """Return the top-level names that a wheel with these members makes importable.

    Example:
        >>> members = ["cv2/__init__.py", "six.py", "fast.cpython-312-x86_64-linux-gnu.so"]
        >>> sorted(import_names([*members, "six-1.17.dist-info/METADATA", "tests/__init__.py"]))
        ['cv2', 'fast', 'six']
    """
    found = set()
    for member in map(PurePosixPath, members):
        top = member.parts[0]
        if member.suffix not in {".py", ".so"} or top.endswith((".dist-info", ".data")):
            continue
        found.add(top.split(".")[0])
    return {name for name in found if name.isidentifier()} - _NOT_THE_PACKAGE
