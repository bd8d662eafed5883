"""Prove, without a network, that a bundle installs on a Kaggle image."""

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

from kagglekit.errors import BundleCheckError
from kagglekit.offline import dataset, install, tools, wheel
from kagglekit.offline.image import KaggleImage
from kagglekit.offline.manifest import Manifest, Target
from kagglekit.offline.resolve import Change, Stub, UnsatisfiableError


def check_bundle(folder: Path, image: KaggleImage) -> Manifest:
    """Check every file of a bundle, and that it installs on `image` with nothing but itself.

    Args:
        folder: the dataset folder.
        image: a Kaggle image that the bundle was built for.

    Returns:
        The bundle's manifest.

    Raises:
        BundleCheckError: the bundle would fail on Kaggle; every reason found is named.
        ToolError: uv is missing or failed.
    """
    manifest = Manifest.read(folder)
    target = manifest.target(image.name)
    problems = [
        *install.damage(folder, asdict(manifest)),
        *dataset.file_name_problems(path.name for path in sorted(folder.iterdir())),
        *_metadata_problems(folder / dataset.FILE),
    ]
    if not problems:
        problems = [
            f"`{each.file}`: {fault}"
            for each in manifest.wheels
            for fault in wheel.faults(folder / each.file)
        ]
    if not problems:  # uv is asked about the files as they are: they must be the right ones
        problems = _lock_problems(folder, manifest, target) or _closure_problems(
            folder, manifest, target, image
        )
    if problems:
        raise BundleCheckError(
            f"the bundle `{folder}` cannot be installed on {image.name}",
            problems=problems,
            hint="build it again",
        )
    return manifest


def _metadata_problems(file: Path) -> list[str]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return [f"`{file.name}` cannot be read: {error}"]
    if not isinstance(content, dict):
        return [f"`{file.name}` is not a JSON object"]
    return dataset.metadata_problems(content)


def _lock_problems(folder: Path, manifest: Manifest, target: Target) -> list[str]:
    wheels = {each.file: each for each in manifest.wheels}
    expected = [
        f"{wheels[file].name}=={wheels[file].version} --hash=sha256:{wheels[file].sha256}"
        for file in target.install
    ]
    if (folder / target.lock).read_text(encoding="utf-8").splitlines() == expected:
        return []
    return [f"`{target.lock}` does not list the wheels of the manifest"]


def _closure_problems(
    folder: Path, manifest: Manifest, target: Target, image: KaggleImage
) -> list[str]:
    """Let uv install from the folder alone onto the image's stub, as Kaggle will."""
    folder = folder.resolve()
    request = ["--offline", "--no-config", "--no-index", "--find-links", str(folder)]
    with tempfile.TemporaryDirectory() as scratch:
        stub = Stub.write(image, Path(scratch) / "stub")
        env = tools.without_settings(os.environ)
        try:
            changes = stub.dry_run([*request, "-r", str(folder / target.lock)], env=env)
        except UnsatisfiableError as refused:
            return tools.excerpt(str(refused))
    bundled = {
        Change(each.name, each.version, "installed")
        for each in manifest.wheels
        if each.file in target.install
    }
    return [
        f"installing it would leave `{change.name}` {change.version} {change.action}"
        for change in changes
        if change not in bundled
    ]
