"""Wheels into a folder: from the index by pip, held to hashes that uv looked up; or from a project.

uv cannot save wheels and pip cannot resolve for another machine, so each does what it is good at.
The hashes tie the two together: pip takes the very files that uv resolved, or nothing. (A local
folder of wheels has no hashes to look up; what comes from there is taken as it is.)
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from kagglekit.errors import BundleError, NoWheelError, RequirementsError, ToolError
from kagglekit.offline import tools
from kagglekit.offline.image import KaggleImage
from kagglekit.offline.resolve import target_arguments

_LEGACY_TAGS = ("manylinux2014", "manylinux2010", "manylinux1", "linux")


def project_wheel(project: Path, folder: Path) -> Path:
    """Build a project to a wheel with `uv build`.

    Args:
        project: folder with a `pyproject.toml`.
        folder: where the wheel goes; made if need be.

    Returns:
        The wheel.

    Raises:
        RequirementsError: `project` is not a project, or cannot be built.
        NoWheelError: the wheel only fits machines like this one.
    """
    if not (project / "pyproject.toml").is_file():
        raise RequirementsError(f"`{project}` is not a project: it has no pyproject.toml")
    folder.mkdir(parents=True, exist_ok=True)
    command = [tools.find_uv(), "build", "--wheel", "--python", sys.executable]
    done = tools.call([*command, "--out-dir", str(folder), str(project.resolve())], cwd=folder)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise RequirementsError(
            f"the project `{project}` could not be built", problems=tools.excerpt(done.stderr)
        )
    if not wheels[0].name.endswith("-none-any.whl"):
        raise NoWheelError(
            f"the project's wheel `{wheels[0].name}` holds compiled code of this machine",
            hint="build it in Kaggle's image, and give that wheel through UV_FIND_LINKS",
        )
    return wheels[0]


def download(
    pins: Sequence[tuple[str, str]],
    image: KaggleImage,
    folder: Path,
    scratch: Path,
    arguments: Sequence[str] = (),
) -> None:
    """Download exactly these versions, for the Kaggle image and not for this machine.

    Args:
        pins: names and versions.
        image: what the wheels must fit.
        folder: where the wheels go.
        scratch: an existing folder for the lock file on the way.
        arguments: further arguments for uv, the same as for the resolution.

    Raises:
        NetworkError: the index could not be reached.
        ToolError: uv or pip failed.
        BundleError: pip was offered other files than uv.
    """
    if not pins:
        return
    lines = "".join(f"{name}=={version}\n" for name, version in pins)
    (scratch / "pins.txt").write_text(lines, encoding="utf-8")
    command = [tools.find_uv(), "pip", "compile", "--quiet", "--python", sys.executable]
    command += ["--no-deps", "--generate-hashes", "--no-header", "--no-annotate"]
    command += [*target_arguments(image), *arguments, "-o", "hashes.txt", "pins.txt"]
    locked = tools.call(command, cwd=scratch)
    if locked.returncode:
        raise ToolError("uv could not look up hashes", problems=tools.excerpt(locked.stderr))
    entries = re.split(r"\n(?=\S)", (scratch / "hashes.txt").read_text(encoding="utf-8").strip())
    hashed = [entry for entry in entries if "--hash=" in entry]
    for entries_alike in (hashed, [entry for entry in entries if entry not in hashed]):
        if entries_alike:
            _pip_download(entries_alike, image, folder, scratch)


def _pip_download(entries: list[str], image: KaggleImage, folder: Path, scratch: Path) -> None:
    """Run pip; it checks hashes as soon as one entry has them, and then wants them of all."""
    (scratch / "download.txt").write_text("\n".join(entries) + "\n", encoding="utf-8")
    command = [*tools.find_pip(), "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    command += ["-r", "download.txt", "-d", str(folder.resolve()), *pip_target_arguments(image)]
    fetched = tools.call(command, cwd=scratch)
    if "DO NOT MATCH THE HASHES" in fetched.stderr:
        raise BundleError(
            "pip was offered other files than uv: the two are set to different package indexes",
            problems=tools.excerpt(fetched.stderr),
            hint="give both the same index (UV_INDEX_URL and PIP_INDEX_URL)",
        )
    if fetched.returncode:
        raise ToolError("pip could not download", problems=tools.excerpt(fetched.stderr))


def pip_target_arguments(image: KaggleImage) -> list[str]:
    """Return the arguments that make pip choose wheels for the image.

    pip takes `manylinux_2_35_x86_64` literally, so every older tag is listed too.

    Example:
        >>> from kagglekit.offline import image
        >>> pip_target_arguments(image.load("kaggle-2026-06-gpu"))[4:8]
        ['--platform', 'manylinux_2_35_x86_64', '--platform', 'manylinux_2_34_x86_64']
    """
    newest = int(image.glibc.split(".")[1])
    tags = [f"manylinux_2_{minor}" for minor in range(newest, 4, -1)] + list(_LEGACY_TAGS)
    arguments = ["--implementation", "cp", "--python-version", image.python]
    for tag in tags:
        arguments += ["--platform", f"{tag}_x86_64"]
    return arguments
