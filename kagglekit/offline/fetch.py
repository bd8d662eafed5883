"""Wheels into a folder: from the index by pip, held to hashes that uv looked up.

uv cannot save wheels and pip cannot resolve for another machine, so each does what it is good at.
The hashes tie the two together: pip takes the very files that uv resolved, or nothing. (A local
folder of wheels has no hashes to look up; what comes from there is taken as it is.)
"""

import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from kagglekit.errors import BundleError, ToolError
from kagglekit.offline import tools
from kagglekit.offline.image import KaggleImage
from kagglekit.offline.install import sha256_of
from kagglekit.offline.resolve import target_arguments

_LEGACY_TAGS = ("manylinux2014", "manylinux2010", "manylinux1", "linux")


def download(
    pins: Sequence[tuple[str, str]],
    image: KaggleImage,
    folder: Path,
    scratch: Path,
    arguments: Sequence[str] = (),
    earlier: Sequence[Path] = (),
) -> None:
    """Download exactly these versions, for the Kaggle image and not for this machine.

    Args:
        pins: names and versions.
        image: what the wheels must fit.
        folder: where the wheels go.
        scratch: an existing folder for the lock file on the way.
        arguments: further arguments for uv, the same as for the resolution.
        earlier: wheels of an earlier bundle for the same image; those that uv's hashes name are
            copied and not fetched again.

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
    entries = [entry for entry in entries if not _copied(entry, earlier, folder)]
    hashed = [entry for entry in entries if "--hash=" in entry]
    for entries_alike in (hashed, [entry for entry in entries if entry not in hashed]):
        if entries_alike:
            _pip_download(entries_alike, image, folder, scratch)


def _copied(entry: str, earlier: Sequence[Path], folder: Path) -> bool:
    """Copy the wheel of a lock entry if one of the earlier ones has a hash that it names."""
    hashes = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", entry))
    for path in earlier:
        if path.is_file() and sha256_of(path) in hashes:
            shutil.copyfile(path, folder / path.name)
            return True
    return False


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
