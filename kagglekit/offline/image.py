"""A Kaggle image as a list of versions, and the stub that stands in for it.

The list is what `pip freeze --all` prints in a notebook, under a few header lines:

    # python: 3.12.13
    # glibc: 2.35
    # accelerator: gpu
    # capability: 7.5                  of the session's GPU; the probe writes it, like the next
    # architectures: sm_70,sm_75       that torch was compiled for
    numpy==2.0.2
    torch==2.10.0+cu128

The stub is a folder with one nearly empty `<name>-<version>.dist-info` per line. Given it as the
target of an installation, uv acts as if it were on Kaggle's machine: what it would still install
is exactly what a bundle must hold. Nothing of the stub says what torch depends on, and that is on
purpose: the index's torch is another build than the image's, with other dependencies.
"""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from types import MappingProxyType

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from kagglekit.errors import KaggleImageError
from kagglekit.offline.install import OPENCV, runs_on

DEFAULT = "kaggle-2026-06-gpu"
"""The image that Kaggle gives to a GPU notebook today."""

UNKNOWN_VERSION = "0"
"""What the stub says of a package whose version the list does not give (a git install)."""

_HEADER = re.compile(
    r"#\s*(python|glibc|accelerator|date|capability|architectures)\s*:\s*(\S+)\s*$"
)
_DIRECT = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)\s*@\s*\S+$|^-e\s.*#egg=([A-Za-z0-9._-]+)")


@dataclass(frozen=True)
class KaggleImage:
    """The packages of one Kaggle image, and what decides which wheels fit it.

    Attributes:
        name: "kaggle-2026-06-gpu", or the stem of the file the list was read from.
        python: major and minor version, e.g. "3.12".
        glibc: e.g. "2.35"; wheels for a newer manylinux do not fit.
        packages: normalised name to version, without a local part such as "+cu128".
        unversioned: normalised names that are there in a version the list does not tell.
        accelerator: "gpu", "cpu", or "" where the list does not say.
        date: when the image came out, as YYYY-MM-DD, or "".

    Example:
        >>> image = load("kaggle-2026-06-gpu")
        >>> image.python, image.packages["torch"]
        ('3.12', '2.10.0')
    """

    name: str
    python: str
    glibc: str
    packages: Mapping[str, str]
    unversioned: frozenset[str] = field(default_factory=frozenset)
    accelerator: str = ""
    date: str = ""

    def version_of(self, name: str) -> str | None:
        """Return the version that a requirement for `name` meets on the image, or None.

        Any OpenCV wheel answers for any other.

        Example:
            >>> load("kaggle-2026-06-gpu").version_of("opencv-contrib-python-headless")
            '4.13.0.92'
        """
        return self._stubbed().get(canonicalize_name(name))

    def constraints(self) -> str:
        """Return the list as a constraints file: what nothing in a bundle may change."""
        return "".join(f"{name}=={version}\n" for name, version in sorted(self._stubbed().items()))

    def write_stub(self, folder: Path, only: Container[str] | None = None) -> None:
        """Write the stub into `folder`, which is made if need be; all of it, or some names."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, version in self._stubbed().items():
            if only is not None and name not in only:
                continue
            info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
            info.mkdir(parents=True, exist_ok=True)
            metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            (info / "METADATA").write_text(metadata, encoding="utf-8")

    def _stubbed(self) -> dict[str, str]:
        """Return what the stub claims: the packages, the unversioned ones, every OpenCV."""
        claimed = dict.fromkeys(self.unversioned, UNKNOWN_VERSION) | dict(self.packages)
        present = [claimed[name] for name in OPENCV if name in claimed]
        if present:
            claimed = dict.fromkeys(OPENCV, present[0]) | claimed
        return claimed


def names() -> list[str]:
    """Return the names of the Kaggle images whose lists are shipped, sorted."""
    files = resources.files("kagglekit.offline").joinpath("images").iterdir()
    return sorted(file.name.removesuffix(".txt") for file in files if file.name.endswith(".txt"))


def load(name_or_path: str | Path) -> KaggleImage:
    """Read a Kaggle image's list: one that is shipped, by name, or a file.

    Args:
        name_or_path: one of `names()`, or a file that holds what the cell of `kagglekit probe`
            printed (or `pip freeze --all` under the lines `# python: 3.12` and `# glibc: 2.35`).

    Raises:
        KaggleImageError: there is no such list, or it cannot be read; every bad line is named.

    Example:
        >>> load("kaggle-2026-06-cpu").glibc
        '2.35'
    """
    if str(name_or_path) in names():
        name = str(name_or_path)
        file = resources.files("kagglekit.offline").joinpath("images", f"{name}.txt")
        return parse(file.read_text(encoding="utf-8"), name)
    path = Path(name_or_path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise KaggleImageError(
            f"`{name_or_path}` is neither a known Kaggle image nor a readable list of versions"
            f" ({error})",
            problems=[f"known: {name}" for name in names()],
        ) from error
    return parse(text, path.stem)


def parse(text: str, name: str) -> KaggleImage:
    r"""Read the text of a list.

    Args:
        text: what `pip freeze --all` printed, with header lines.
        name: what to call the image.

    Raises:
        KaggleImageError: a line is no pin, a package is listed twice, or the header is incomplete.

    Example:
        >>> image = parse("# python: 3.12.13\n# glibc: 2.35\nTorch==2.10.0+cu128", "mine")
        >>> image.python, dict(image.packages)
        ('3.12', {'torch': '2.10.0'})
    """
    header: dict[str, str] = {}
    packages: dict[str, str] = {}
    unversioned: set[str] = set()
    problems: list[str] = []
    for number, line in enumerate(map(str.strip, text.splitlines()), start=1):
        if found := _HEADER.match(line):
            header[found[1]] = found[2]
        if not line or line.startswith("#"):
            continue
        pin = _pin(line)
        if pin is None:
            problems.append(f"line {number}: `{line}` is not `name==version`")
        elif pin[0] in packages or pin[0] in unversioned:
            problems.append(f"line {number}: `{pin[0]}` is listed twice")
        elif pin[1]:
            packages[pin[0]] = pin[1]
        else:
            unversioned.add(pin[0])
    for key, pattern, example in (("python", r"3\.\d+", "3.12"), ("glibc", r"2\.\d+", "2.35")):
        if not re.match(pattern, header.get(key, "")):
            problems.append(f"no line `# {key}: {example}` says which {key} the image has")
    if re.match(r"2\.\d+$", header.get("glibc", "")) and int(header["glibc"][2:]) < 17:
        problems.append(f"glibc {header['glibc']} is older than 2.17, which every wheel needs")
    if not packages:
        problems.append("it lists no package")
    capability = header.get("capability", "")
    compiled = header.get("architectures", "").split(",")
    if capability and compiled != [""] and not runs_on(capability, compiled):
        problems.append(
            f"its torch has nothing compiled for its GPU (compute capability {capability}): every"
            " operation there fails; choose another accelerator, such as GPU T4 x2"
        )
    if problems:
        raise KaggleImageError(
            f"the list of Kaggle image `{name}` cannot be read",
            problems=problems,
            hint="print it with the cell that `kagglekit probe` shows, in a fresh notebook",
        )
    return KaggleImage(
        name=name,
        python=".".join(header["python"].split(".")[:2]),
        glibc=header["glibc"],
        packages=MappingProxyType(packages),
        unversioned=frozenset(unversioned),
        accelerator=header.get("accelerator", ""),
        date=header.get("date", ""),
    )


def _pin(line: str) -> tuple[str, str] | None:
    """Return the normalised name and the public version ("" where unknown), or None."""
    if direct := _DIRECT.match(line):
        return canonicalize_name(direct[1] or direct[2]), ""
    name, separator, version = line.partition("==")
    if not separator or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name.strip()):
        return None
    try:
        public = Version(version.strip("= ")).public
    except InvalidVersion:  # Debian's own packages carry versions that no resolver can compare
        return canonicalize_name(name.strip()), ""
    return canonicalize_name(name.strip()), public
