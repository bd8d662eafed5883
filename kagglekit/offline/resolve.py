"""What a Kaggle image lacks: uv resolves the requirements against the image's stub.

The stub is both what is installed and, as constraints, what may not change. So whatever uv would
install is missing on Kaggle, and whatever it would have to replace is a conflict.
"""

import json
import re
import sys
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from packaging.utils import canonicalize_name

from kagglekit.errors import (
    ImageConflictError,
    KagglekitError,
    NoWheelError,
    RequirementsError,
    ToolError,
    UnknownPackageError,
)
from kagglekit.offline import tools
from kagglekit.offline.image import UNKNOWN_VERSION, KaggleImage

_NEWER_UV = '`pip install --upgrade "uv>=0.13"`'
_GLIBC_OF_UV = (17, 28, *range(31, 41))  # uv knows no others; a wheel for less fits too
_ONLY_SOURCE = re.compile(r"Wheels are required for `([^`]+)`")
_NO_WHEEL = (
    "no usable wheels",
    "no wheels with a matching",
    "no wheels are available",
    "Failed to build",
    "Failed to download and build",
)
_UNKNOWN = ("was not found in", "there is no version of", "there are no versions of")


class Pin(NamedTuple):
    """A version that the image lacks; `from_source` where the index has no wheel of it."""

    name: str
    version: str
    from_source: bool = False


class UnsatisfiableError(Exception):
    """uv found no way to meet the requirements; holds what it said."""


@dataclass(frozen=True)
class Change:
    """One thing uv would do: `action` is "installed" or "uninstalled"."""

    name: str
    version: str
    action: str


@dataclass(frozen=True)
class Stub:
    """A Kaggle image's stub on disk, ready for uv.

    Attributes:
        image: what it stands for.
        folder: scratch folder that holds the stub and its constraints.
    """

    image: KaggleImage
    folder: Path

    @classmethod
    def write(cls, image: KaggleImage, folder: Path, only: Container[str] | None = None) -> "Stub":
        """Write the stub of `image`, or of some of its packages, into the empty `folder`."""
        image.write_stub(folder / "site", only)
        (folder / "constraints.txt").write_text(image.constraints(), encoding="utf-8")
        return cls(image, folder)

    def dry_run(
        self, arguments: Sequence[str], env: Mapping[str, str] | None = None
    ) -> list[Change]:
        """Ask uv what installing would change on the image.

        Args:
            arguments: further arguments of `uv pip install`.
            env: environment instead of this process's.

        Raises:
            UnsatisfiableError: nothing satisfies the requirements.
            NetworkError: the index could not be reached.
            ToolError: uv failed in another way.
        """
        command = [tools.find_uv(), "pip", "install", "--python", sys.executable]
        command += ["--target", str(self.folder / "site"), *target_arguments(self.image)]
        command += ["--dry-run", "--output-format", "json", *arguments]
        done = tools.call(command, cwd=self.folder, env=env)
        if done.returncode == 1:
            raise UnsatisfiableError(done.stderr)
        if "unexpected argument '--output-format'" in done.stderr:
            raise ToolError("this uv is too old", hint=_NEWER_UV)
        if done.returncode:
            raise ToolError("uv failed", problems=tools.excerpt(done.stderr))
        try:
            changes = json.loads(done.stdout)["changes"]
            return [
                Change(canonicalize_name(c["name"]), c["version"], c["action"]) for c in changes
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise ToolError(f"uv's answer is not understood ({error!r})", hint=_NEWER_UV) from error


def target_arguments(image: KaggleImage) -> list[str]:
    """Return the arguments that make uv choose wheels for the image and not for this machine."""
    minor = int(image.glibc.split(".")[1])
    known = max((each for each in _GLIBC_OF_UV if each <= minor), default=_GLIBC_OF_UV[0])
    platform = f"x86_64-manylinux_2_{known}"
    target = ["--python-version", image.python, "--python-platform", platform]
    return ["--only-binary", ":all:", *target]


def missing(wanted: Sequence[str], stub: Stub, arguments: Sequence[str] = ()) -> list[Pin]:
    """Return what the Kaggle image lacks of the requirements and all that they need.

    Args:
        wanted: requirements as uv reads them, e.g. "rasterio>=1.4" or "mine @ file:///mine.whl".
        stub: the image.
        arguments: further arguments for uv, e.g. `["--exclude-newer", "2026-11-01"]`.

    Returns:
        One `Pin` each, in uv's order. Only what has no wheel at all comes from source.

    Raises:
        UnknownPackageError: the index has no such package or version.
        ImageConflictError: something of the image would have to be replaced.
        NoWheelError: something has no wheel that fits the image.
        RequirementsError: the requirements contradict each other.
        NetworkError, ToolError: uv could not do its work.
    """
    (stub.folder / "wanted.txt").write_text("".join(f"{line}\n" for line in wanted), "utf-8")
    request = ["-r", "wanted.txt", *arguments]
    sources: list[str] = []  # what may come from source: found one after the other
    while True:
        allowed = [word for name in sources for word in ("--no-binary", name)]
        try:
            changes = stub.dry_run([*request, *allowed, "-c", "constraints.txt"])
            break
        except UnsatisfiableError as refused:
            said = str(refused)
            lacking = set(_ONLY_SOURCE.findall(said)) - set(sources)
            if not lacking:
                raise _reason(said, stub, [*request, *allowed]) from refused
            sources += [name for name in sorted(lacking) if not _has_wheel(name, stub, arguments)]
            sources += sorted(lacking) if lacking.isdisjoint(sources) else []
    if any(change.action != "installed" for change in changes):
        raise _conflict("", stub, changes)
    from_source = set(map(canonicalize_name, sources))
    return [Pin(c.name, c.version, c.name in from_source) for c in changes]


def _has_wheel(name: str, stub: Stub, arguments: Sequence[str]) -> bool:
    """Tell whether any version has a wheel for the image; then an older one may do."""
    try:
        stub.dry_run(["--no-deps", *arguments, name])
    except UnsatisfiableError:
        return False
    return True


def _reason(explanation: str, stub: Stub, request: list[str]) -> KagglekitError:
    """Return the error for a request that uv refused with this explanation.

    The same request is made once more where the image may be changed: when that works, the image
    was the obstacle.
    """
    try:
        return _conflict(explanation, stub, stub.dry_run(request))
    except UnsatisfiableError as refused:
        unbound = str(refused)
    problems = tools.excerpt(unbound)
    if any(sign in unbound for sign in _NO_WHEEL):
        return NoWheelError(
            f"something has no wheel for {stub.image.name}"
            f" (Python {stub.image.python}, glibc {stub.image.glibc})",
            problems=problems,
            hint="choose a version that has wheels for it, or build the wheel in a Kaggle notebook"
            " with internet (`!pip wheel --no-deps NAME`) and give it with --project FILE.whl",
        )
    if any(sign in unbound for sign in _UNKNOWN):
        return UnknownPackageError(
            "the package index does not have what is required",
            problems=problems,
            hint="check the spelling and the version",
        )
    return RequirementsError("the requirements contradict each other", problems=problems)


def _conflict(explanation: str, stub: Stub, changes: Sequence[Change]) -> ImageConflictError:
    there = {change.name: change.version for change in changes if change.action != "installed"}
    replaced = [
        f"`{change.name}` {_version(there[change.name])} would become {change.version}"
        for change in changes
        if change.action == "installed" and change.name in there
    ]
    return ImageConflictError(
        f"the requirements cannot be met without replacing what {stub.image.name} has",
        problems=[*replaced, *tools.excerpt(explanation, most=4)],
        hint="ask for versions that go with the image's; what it has is never replaced",
    )


def _version(version: str) -> str:
    return "(version unknown)" if version == UNKNOWN_VERSION else version
