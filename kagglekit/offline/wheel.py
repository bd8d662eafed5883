"""One wheel: what its file says about itself."""

import hashlib
import zipfile
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from kagglekit.errors import BundleError

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
        size: bytes.
        sha256: of the file, hexadecimal.
    """

    path: Path
    name: str
    version: str
    requires: tuple[Requirement, ...]
    imports: tuple[str, ...]
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
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
            metadata = next(
                member
                for member in members
                if member.endswith(".dist-info/METADATA") and member.count("/") == 1
            )
            text = archive.read(metadata).decode("utf-8")
        requires = HeaderParser().parsestr(text).get_all("Requires-Dist", [])
        return Wheel(
            path=path,
            name=canonicalize_name(name),
            version=str(version),
            requires=tuple(Requirement(line) for line in requires),
            imports=tuple(sorted(import_names(members))),
            size=path.stat().st_size,
            sha256=sha256_of(path),
        )
    except StopIteration:
        reason = "it holds no METADATA"
    except (InvalidWheelFilename, InvalidRequirement, zipfile.BadZipFile, OSError) as error:
        reason = str(error)
    raise BundleError(f"`{path.name}` is not a wheel that can be read: {reason}")


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
