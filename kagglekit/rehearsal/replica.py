"""A Kaggle image rebuilt at home: a virtual environment with the image's exact versions.

The whole image is some 900 packages; the replica holds those that the notebook can reach: what the
bundle, the notebook's imports and a Jupyter kernel need, each at the version the image has. It is
built once, and kept in the user's cache; what a rehearsal changes in it is gone in the next.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from kagglekit.errors import NetworkError, RehearsalError
from kagglekit.offline import tools
from kagglekit.offline.image import KaggleImage

# What Kaggle runs a notebook with, whatever the notebook imports.
_FORMAT = "4"  # of the cache: 4 is relocatable and compiled, and has uv
_KERNEL = ("ipykernel", "nbclient", "nbformat", "pip")
_OF_TORCH = ("cuda-", "nvidia-")
# Replicas that stay in the cache: up to 8 GB each where hard links into uv's cache cannot be made.
_KEPT = 4


@dataclass(frozen=True)
class Replica:
    """A replica on disk.

    Attributes:
        folder: the virtual environment.
        packages: what it holds, name to version.
        python: its Python, e.g. "3.12.1".
        warnings: what it leaves unproved, a sentence each; empty when it matches the image.
    """

    folder: Path
    packages: dict[str, str]
    python: str
    warnings: tuple[str, ...]

    @property
    def executable(self) -> Path:
        """The replica's Python."""
        return self.folder / "bin" / "python"

    def clone(self, folder: Path) -> "Replica":
        """Copy the replica by hard links: what is replaced in one stays as it is in the other."""
        try:
            shutil.copytree(self.folder, folder, symlinks=True, copy_function=_link_or_copy)
        except shutil.Error as error:  # it lists every file that it could not copy
            failed = error.args[0]
            raise RehearsalError(
                f"the replica cannot be copied to `{folder}`",
                problems=[f"{len(failed)} files, the first: {failed[0][2]}"],
            ) from error
        return Replica(folder, self.packages, self.python, self.warnings)


def cache_root() -> Path:
    """Return where replicas are kept: `$KAGGLEKIT_CACHE`, or `kagglekit` in the user's cache."""
    if "KAGGLEKIT_CACHE" in os.environ:
        return Path(os.environ["KAGGLEKIT_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kagglekit"


def drift(image: KaggleImage, replica: Replica) -> list[tuple[str, str, str]]:
    """Return in what a replica differs from the image: name, the image's version, the replica's.

    Example:
        >>> image = KaggleImage("old", "3.11", "2.35", {"numpy": "1.26.4", "six": "1.16.0"})
        >>> drift(image, Replica(Path("."), {"numpy": "2.0.2", "six": "1.16.0"}, "3.12.1", ()))
        [('Python', '3.11', '3.12.1'), ('numpy', '1.26.4', '2.0.2')]
    """
    own = [] if f"{replica.python}.".startswith(f"{image.python}.") else [("Python", image.python)]
    there = {"Python": replica.python, **replica.packages}
    known = {name: image.packages.get(name, "") for name in sorted(replica.packages)}
    own += [(name, version) for name, version in known.items() if version != there[name]]
    return [(name, version, there[name]) for name, version in own]


def reachable(image: KaggleImage) -> tuple[KaggleImage, tuple[str, ...]]:
    """Return the image as far as this machine's Pythons can carry it, and what that leaves open.

    Without the image's Python it is the image's list on this machine's Python: some of its
    versions do not exist for that one, and `make_replica` takes the nearest.
    """
    _, warnings = find_python(image.python)
    if warnings:
        host = f"{sys.version_info.major}.{sys.version_info.minor}"
        image = replace(image, python=host)
    return image, warnings


def make_replica(
    image: KaggleImage, roots: Iterable[str], bundled: Iterable[str] = (), *, exact: bool = True
) -> Replica:
    """Build the replica of an image, or find it in the cache, which keeps the four used last.

    Args:
        image: the Kaggle image.
        roots: requirements whose needs it must hold, e.g. "segmentation-models-pytorch".
        bundled: names of distributions that the offline bundle brings. They are left out here:
            `install.py` has to put them in.
        exact: take the image's versions and no others; otherwise prefer them.

    Returns:
        The cached `Replica`; `clone` it before installing anything.

    Raises:
        RehearsalError: uv could not find or install a version; with uv's own words.
        NetworkError: the package index could not be reached.
        ToolError: uv is missing.
    """
    python, warnings = find_python(image.python)
    wanted = sorted({*roots, *_KERNEL})
    pins = _exact_pins(image, wanted) if exact else _nearest_pins(image, wanted)
    left_out = {canonicalize_name(name) for name in bundled}
    pins = [pin for pin in pins if canonicalize_name(pin.split("==")[0]) not in left_out]
    packages = dict(pin.split("==") for pin in pins)
    key = hashlib.sha256("\n".join([_FORMAT, image.name, str(python), *pins]).encode()).hexdigest()[
        :12
    ]
    folder = cache_root() / "replicas" / f"{image.name}-{key}"
    complete = folder / ".complete"
    if not complete.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Relocatable: else a clone's `pip` would begin with the path of this environment's Python.
        _uv("venv", "--quiet", "--relocatable", "--python", python, str(folder))
        with tempfile.TemporaryDirectory() as scratch:
            listed = Path(scratch, "pins.txt")
            listed.write_text("\n".join(pins))
            # Compiled, as on Kaggle: else each rehearsal would compile torch anew.
            _uv(
                *("pip", "install", "--quiet", "--no-deps", "--compile-bytecode"),
                *("--python", str(folder), "-r", str(listed)),
            )
        _strike_contradictions(folder, packages)
        _put_uv(folder / "bin" / "uv")
        complete.write_text(_version(folder / "bin" / "python"))
        _forget_the_oldest(folder.parent)
    complete.touch()  # the time of its last use
    return Replica(folder, packages, complete.read_text(), warnings)


def find_python(version: str) -> tuple[str, tuple[str, ...]]:
    """Find the image's Python: on PATH, among pyenv's versions, or through uv.

    Args:
        version: e.g. "3.12".

    Returns:
        What to give uv as `--python`, and a warning if it is not that version.
    """
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [str(path) for path in sorted(pyenv.glob(f"versions/{version}.*/bin/python"))]
    for candidate in (shutil.which(f"python{version}"), *found):
        if candidate and _answers(candidate, version):
            return candidate, ()
    if _uv_installs_python(version):
        return version, ()
    host = f"{sys.version_info.major}.{sys.version_info.minor}"
    return sys.executable, (
        f"the image has Python {version}, this machine only {host}: whether the bundle's wheels "
        f"match Python {version} and whether the notebook's syntax runs there was not proved. "
        f"Install Python {version} (pyenv, or `uv python install {version}`) for a full rehearsal",
    )


def _exact_pins(image: KaggleImage, roots: Sequence[str]) -> list[str]:
    """Resolve the roots with every version taken from the image, whatever packages ask for.

    Overrides and not constraints: the image's own versions contradict each other here and there
    (its torch was built against libraries that it does not declare), and still it has them.
    """
    with tempfile.TemporaryDirectory() as scratch:
        wanted, override = Path(scratch, "wanted.in"), Path(scratch, "image.txt")
        wanted.write_text("\n".join(roots))
        override.write_text(_known_versions(image))
        out = _uv(
            "pip", "compile", "--quiet", "--no-header", "--no-annotate",
            "--python-version", image.python, "--override", str(override), str(wanted),
        )  # fmt: skip
    return _pinned(out)


def _nearest_pins(image: KaggleImage, roots: Sequence[str]) -> list[str]:
    """Resolve the roots for this Python, with the image's versions wherever they exist for it."""
    with tempfile.TemporaryDirectory() as scratch:
        wanted, preferred = Path(scratch, "wanted.in"), Path(scratch, "pins.txt")
        wanted.write_text("\n".join(roots))
        preferred.write_text(_known_versions(image))  # what uv finds in its output file it prefers
        _uv(
            "pip", "compile", "--quiet", "--no-header", "--no-annotate",
            "--python-version", image.python, "--output-file", str(preferred), str(wanted),
        )  # fmt: skip
        return _pinned(preferred.read_text())


def _pinned(compiled: str) -> list[str]:
    return [line.split(";")[0].strip() for line in compiled.splitlines() if "==" in line]


def _known_versions(image: KaggleImage) -> str:
    """Return the image's list without versions it does not tell, and without CUDA's libraries.

    The index's torch may be built for another CUDA than the image's, and loads its own libraries.
    """
    lines = image.constraints().splitlines()
    lines = [line for line in lines if not line.startswith(_OF_TORCH)]
    return "\n".join(line for line in lines if line.split("==")[0] not in image.unversioned)


def _strike_contradictions(folder: Path, packages: dict[str, str]) -> None:
    """Take out of the packages' metadata what the image's own builds cannot ask for.

    A CPU image's torch is another build than the index's, which wants CUDA libraries in versions
    that the image does not have; pip would refuse to install anything that needs torch.
    """
    for metadata in folder.glob("lib/python*/site-packages/*.dist-info/METADATA"):
        lines = metadata.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not _contradicts(line, packages)]
        if kept != lines:
            metadata.unlink()  # it is a hard link into uv's cache: write another file
            metadata.write_text("".join(kept), encoding="utf-8")


def _contradicts(line: str, packages: dict[str, str]) -> bool:
    if not line.startswith("Requires-Dist:"):
        return False
    try:
        wanted = Requirement(line.removeprefix("Requires-Dist:").strip())
    except InvalidRequirement:  # of the kind that old packages have and pip passes over
        return False
    version = packages.get(canonicalize_name(wanted.name))
    return version is not None and not wanted.specifier.contains(version, prereleases=True)


def _put_uv(program: Path) -> None:
    """Give the replica this machine's uv: Kaggle's image has the program, its list does not."""
    if not program.exists():  # else the image's list names the package too
        _link_or_copy(str(Path(tools.find_uv()).resolve()), str(program))


def _forget_the_oldest(replicas: Path) -> None:
    by_use = sorted(replicas.glob("*/.complete"), key=lambda mark: mark.stat().st_mtime)
    for mark in by_use[:-_KEPT]:
        shutil.rmtree(mark.parent, ignore_errors=True)


def _uv(*arguments: str) -> str:
    with tempfile.TemporaryDirectory() as nowhere:  # where no project's settings apply
        done = tools.call([tools.find_uv(), *arguments], cwd=Path(nowhere))
    if done.returncode:
        raise RehearsalError(
            f"`uv {' '.join(arguments[:2])}` failed while building the replica",
            problems=tools.excerpt(done.stderr),
        )
    return done.stdout


def _uv_installs_python(version: str) -> bool:
    try:
        _uv("python", "install", "--quiet", version)
    except (RehearsalError, NetworkError):  # either way the machine stays without that Python
        return False
    return True


def _answers(python: str, version: str) -> bool:
    """Whether a program is that Python: pyenv has stand-ins on PATH for inactive versions."""
    try:
        done = subprocess.run([python, "--version"], capture_output=True, text=True)
    except OSError:  # not a program of this machine
        return False
    return done.returncode == 0 and done.stdout.startswith(f"Python {version}.")


def _version(python: Path) -> str:
    code = "import platform; print(platform.python_version())"
    return subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)
