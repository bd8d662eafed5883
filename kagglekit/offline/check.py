"""Prove, without a network, that a bundle installs on a Kaggle image."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from packaging.utils import canonicalize_name

from kagglekit.errors import BundleCheckError, BundleError
from kagglekit.offline import outgoing, tools, wheel
from kagglekit.offline.image import KaggleImage
from kagglekit.offline.manifest import Manifest, Target
from kagglekit.offline.resolve import Change, Stub, UnsatisfiableError
from kagglekit.offline.wheel import Wheel


def check_bundle(folder: Path, image: KaggleImage, known: Iterable[Wheel] = ()) -> Manifest:
    """Check every file of a bundle, and that it installs on `image` with nothing but itself.

    Args:
        folder: the dataset folder.
        image: a Kaggle image that the bundle was built for.
        known: wheels that were read and found sound a moment ago; those of the same name and hash
            are not read again.

    Returns:
        The bundle's manifest.

    Raises:
        BundleCheckError: the bundle would fail on Kaggle; every reason found is named.
        ToolError: uv is missing or failed.
    """
    manifest = Manifest.read(folder)
    target = manifest.target(image.name)
    problems = outgoing.problems(folder, manifest)
    if not problems:
        wheels, problems = _read(folder, manifest, known)
        problems += _lock_problems(folder, manifest, target)
        problems = problems or closure_problems(folder, wheels, target, image)
    if problems:
        raise BundleCheckError(
            f"the bundle `{folder}` cannot be installed on {image.name}",
            problems=problems,
            hint="build it again",
        )
    return manifest


def _lock_problems(folder: Path, manifest: Manifest, target: Target) -> list[str]:
    wheels = {each.file: each for each in manifest.wheels}
    expected = [
        f"{wheels[file].name}=={wheels[file].version} --hash=sha256:{wheels[file].sha256}"
        for file in target.install
    ]
    if (folder / target.lock).read_text(encoding="utf-8").splitlines() == expected:
        return []
    return [f"`{target.lock}` does not list the wheels of the manifest"]


def _read(
    folder: Path, manifest: Manifest, known: Iterable[Wheel]
) -> tuple[list[Wheel], list[str]]:
    wheels, problems = [], []
    ready = {(each.path.name, each.sha256): each for each in known}
    for each in manifest.wheels:
        try:
            found = ready.get((each.file, each.sha256))
            wheels.append(found or wheel.read(folder / each.file))
        except BundleError as error:
            problems += [f"`{each.file}`: {fault}" for fault in error.problems or [str(error)]]
    return wheels, problems


def closure_problems(
    folder: Path, wheels: Sequence[Wheel], target: Target, image: KaggleImage
) -> list[str]:
    """Let uv install from the folder alone onto the image's stub, as Kaggle will."""
    folder = folder.resolve()
    request = ["--offline", "--no-config", "--no-index", "--find-links", str(folder)]
    met = {each.name for each in wheels}  # uv looks at these, and at nothing else of the image
    met |= {canonicalize_name(line.name) for each in wheels for line in each.requires}
    with tools.scratch() as scratch:
        stub = Stub.write(image, Path(scratch) / "stub", met)
        env = tools.without_settings(os.environ)
        try:
            changes = stub.dry_run([*request, "-r", str(folder / target.lock)], env=env)
        except UnsatisfiableError as refused:
            return tools.excerpt(str(refused))
    bundled = {
        Change(each.name, each.version, "installed")
        for each in wheels
        if each.path.name in target.install
    }
    return [
        f"installing it would leave `{change.name}` {change.version} {change.action}"
        for change in changes
        if change not in bundled
    ]
