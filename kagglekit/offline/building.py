"""Wheels made here: from a project of the user's, or from a package that exists only as source.

Both are built in isolation, at a fixed date so that the same source gives the same bytes, and
both must come out pure: what is compiled here fits this machine, and Kaggle's only by luck.
"""

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from kagglekit.errors import NoWheelError, RequirementsError
from kagglekit.offline import tools

_WAY_OUT = (
    "build it in a Kaggle notebook with internet (`!pip wheel --no-deps NAME`), download the wheel,"
    " and give it with --project FILE.whl"
)
_EPOCH = {"SOURCE_DATE_EPOCH": "1577836800"}  # 2020-01-01; wheels know no date before 1980


def project_wheel(project: Path, folder: Path) -> Path:
    """Build a project to a wheel with `uv build`; a wheel file is returned as it is.

    Args:
        project: folder with a `pyproject.toml`, or a finished wheel.
        folder: where the wheel goes; made if need be.

    Returns:
        The wheel.

    Raises:
        RequirementsError: `project` is not a project, or cannot be built.
        NoWheelError: the wheel only fits machines like this one.
    """
    if project.suffix == ".whl" and project.is_file():
        return project
    if not (project / "pyproject.toml").is_file():
        raise RequirementsError(f"`{project}` is not a project: it has no pyproject.toml")
    folder.mkdir(parents=True, exist_ok=True)
    command = [tools.find_uv(), "build", "--wheel", "--python", sys.executable]
    command += ["--out-dir", str(folder), str(project.resolve())]
    done = tools.call(command, cwd=folder, env=_EPOCH | os.environ | _beside(folder))
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise RequirementsError(
            f"the project `{project}` could not be built", problems=tools.excerpt(done.stderr)
        )
    _refuse_compiled(wheels[0], "project's wheel")
    return wheels[0]


def _beside(folder: Path) -> dict[str, str]:
    """Return settings that keep setuptools out of the project: its `build/` keeps deleted files."""
    aside = folder.resolve() / "setuptools"
    aside.mkdir()
    settings = f"[build]\nbuild_base = {aside}/build\n[egg_info]\negg_base = {aside}\n"
    path = aside / "aside.cfg"
    path.write_text(settings.replace("%", "%%"), encoding="utf-8")
    return {"DIST_EXTRA_CONFIG": str(path)}


def source_wheel(name: str, version: str, folder: Path, arguments: Sequence[str] = ()) -> Path:
    """Build a package of the index that has no wheel, held to the hashes that uv looked up.

    Args:
        name: the distribution.
        version: which one.
        folder: where the wheel goes; made if need be.
        arguments: further arguments for uv, the same as for the resolution.

    Raises:
        NoWheelError: it cannot be built, or what comes out only fits machines like this one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "source.in").write_text(f"{name}=={version}\n", encoding="utf-8")
    lock = [tools.find_uv(), "pip", "compile", "--quiet", "--python", sys.executable, "--no-deps"]
    lock += ["--generate-hashes", "--no-header", "--no-annotate", "--no-binary", name]
    locked = tools.call([*lock, *arguments, "-o", "source.txt", "source.in"], cwd=folder)
    command = [*tools.find_pip(), "wheel", "--quiet", "--no-deps", "--no-binary", name]
    command += ["-r", "source.txt", "-w", str(folder)]
    done = (
        tools.call(command, cwd=folder, env=_EPOCH | os.environ)
        if not locked.returncode
        else locked
    )
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise NoWheelError(
            f"`{name}` {version} exists only as source and could not be built here",
            problems=tools.excerpt(done.stderr),
            hint=f"choose a version that has wheels, or {_WAY_OUT}".replace("NAME", name),
        )
    _refuse_compiled(wheels[0], f"wheel of `{name}`, which exists only as source,")
    return wheels[0]


def _refuse_compiled(wheel: Path, what: str) -> None:
    if not re.search(r"-none-any\.whl$", wheel.name):
        raise NoWheelError(
            f"the {what} holds compiled code of this machine (`{wheel.name}`)",
            hint=_WAY_OUT.replace("NAME", wheel.name.split("-")[0]),
        )
