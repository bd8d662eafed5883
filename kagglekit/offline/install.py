"""Install this folder's wheels into the Python that runs this file, with no network.

A notebook's first cell runs it:

    runpy.run_path(".../install.py", run_name="__main__")

It raises InstallError, which stops the notebook, or returns. Before it touches anything it checks
every file against the manifest beside it, the Python that runs, what the bundle counts on from
the Kaggle image, and what is already imported. It never replaces a package that is there.

Standard library only, Python 3.8 syntax: this file travels alone, to machines of any age.
"""

import hashlib
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, List, Optional, Set, Tuple

MANIFEST = "kagglekit-bundle.json"
FORMAT = 1
OPENCV = (
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
"""All of these write the same `cv2` folder, so any of them stands for any other."""

_KEYS = {
    "wheels": ("file", "name", "version", "size", "sha256", "imports", "why"),
    "targets": ("image", "python", "glibc", "lock", "install", "expects"),
}
_IMPORT_CHECK = """
import importlib, json, sys
sys.path = [folder for folder in sys.path if folder]
failed = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except BaseException as error:
        failed[name] = f"{type(error).__name__}: {error}"
print("\\n" + json.dumps(failed))
"""


class InstallError(RuntimeError):
    """The bundle cannot be installed here; the message says why and what to do."""

    def __init__(self, message: str, problems: Optional[List[str]] = None, hint: str = "") -> None:
        lines = [message] + ["  - " + problem for problem in problems or []]
        super().__init__("\n".join(lines + (["hint: " + hint] if hint else [])))


def main() -> None:
    """Check, install, prove by importing, and print a summary of five lines."""
    started = time.perf_counter()
    folder = find_bundle(Path(__file__).resolve().parent)
    manifest = read_manifest(folder)
    problems = damage(folder, manifest)
    if problems:
        raise InstallError(
            f"the bundle {folder} is damaged; nothing was installed",
            problems,
            "build it again and upload it as a new version",
        )
    target = choose_target(manifest)
    missing, drifted = drift(target["expects"])
    if missing:
        raise InstallError(
            "this Kaggle image lacks what the bundle counts on; nothing was installed",
            missing,
            "rebuild the bundle for the image that this notebook runs on: --image NAME",
        )
    wheels = {wheel["file"]: wheel for wheel in manifest["wheels"]}
    wanted = [wheels[file] for file in target["install"]]
    todo = [wheel for wheel in wanted if not is_installed(folder, wheel)]
    if todo:
        refuse_imported(todo)
        run_installer(folder, target, drifted)
        importlib.invalidate_caches()
        check_imports(todo)
    done = [f"{wheel['name']} {wheel['version']}" for wheel in todo]
    lines = summary(manifest, target, done, drifted)
    lines.append(f"time       {time.perf_counter() - started:.1f} s")
    print("\n".join(lines))  # noqa: T201  (a notebook's first cell shows this)


def find_bundle(start: Path) -> Path:
    """Return the folder with the manifest: `start`, or a folder in it (an unpacked archive)."""
    for folder in [start, *sorted(path for path in start.glob("*") if path.is_dir())]:
        if (folder / MANIFEST).is_file():
            return folder
    raise InstallError(
        f"no {MANIFEST} in {start} or in a folder of it",
        hint="attach the whole dataset that build_offline.py made",
    )


def read_manifest(folder: Path) -> Dict[str, Any]:
    """Return the manifest of the bundle in `folder`; raises InstallError where it is not one."""
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InstallError(f"the manifest of {folder} cannot be read: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InstallError(
            f"the manifest of {folder} is not of format {FORMAT}",
            hint="build the bundle with the kagglekit that this install.py came with",
        )
    try:
        whole = all(key in item for kind in _KEYS for item in content[kind] for key in _KEYS[kind])
        whole = whole and isinstance(content["files"], dict) and bool(content["targets"])
    except (KeyError, TypeError):
        whole = False
    if not whole:
        raise InstallError(f"the manifest of {folder} is incomplete")
    return content


def damage(folder: Path, manifest: Dict[str, Any]) -> List[str]:
    """Return every way in which the folder's files are not those of the manifest."""
    expected = {wheel["file"]: wheel["sha256"] for wheel in manifest["wheels"]}
    expected.update(manifest["files"])
    named = set(expected)
    for target in manifest["targets"]:
        named.update([target["lock"], *list(target["install"])])
    problems = []
    for name in sorted(named):
        path = folder / name
        if name != Path(name).name or path.resolve().parent != folder.resolve():
            problems.append(f"`{name}` lies outside the bundle")
        elif name not in expected:
            problems.append(f"`{name}` has no hash in the manifest")
        elif not path.is_file():
            problems.append(f"`{name}` is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != expected[name]:
            problems.append(f"`{name}` is not the file that was built: its sha256 differs")
    stray = {path.name for path in folder.glob("*.whl")} - named
    problems += [f"`{name}` is not part of the bundle" for name in sorted(stray)]
    return problems


def choose_target(manifest: Dict[str, Any]) -> Dict[str, Any]:
    """Return the target whose wheels fit this Python; of several, the one that drifted least."""
    fitting = [target for target in manifest["targets"] if all(map(fits, target["install"]))]
    if fitting:
        return min(fitting, key=lambda target: [len(part) for part in drift(target["expects"])])
    targets = manifest["targets"]
    running = ".".join(map(str, sys.version_info[:2]))
    raise InstallError(
        f"the bundle does not fit Python {running}, which runs here; nothing was installed",
        [f"built for {target['image']}: Python {target['python']}" for target in targets],
        "rebuild it for this notebook's image: --image NAME",
    )


def fits(file: str) -> bool:
    """Tell whether a wheel of this name is for the Python that runs; pip checks the platform."""
    pythons, abi = file[: -len(".whl")].split("-")[-3:-1]
    running = sys.version_info[1]
    for python in pythons.split("."):
        found = re.match(r"(py|cp)3(\d*)$", python)
        if not found:
            continue
        minor = int(found.group(2) or 0)
        if found.group(1) == "py" or abi == "abi3":
            if minor <= running:
                return True
        elif minor == running and abi in ("none", python):
            return True
    return False


def drift(expects: Dict[str, str]) -> Tuple[List[str], List[str]]:
    """Return what the bundle counts on and is not here, and what is here in another version."""
    missing, drifted = [], []
    for name, version in sorted(expects.items()):
        found = installed_version(name)
        if found is None and name in OPENCV:
            found = next(filter(None, map(installed_version, OPENCV)), None)
        if found is None:
            missing.append(f"`{name}` is not installed (the image had {version})")
        elif version and found.split("+")[0] != version:
            drifted.append(f"`{name}` is {found} (the image had {version})")
    return missing, drifted


def installed_version(name: str) -> Optional[str]:
    """Return the version of a distribution in this Python, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def is_installed(folder: Path, wheel: Dict[str, Any]) -> bool:
    """Tell whether this very wheel is installed; raises when something else has its place."""
    found = installed_version(wheel["name"])
    if found is None:
        return False
    if found == wheel["version"]:
        lines = (metadata.distribution(wheel["name"]).read_text("RECORD") or "").splitlines()
        if recorded(folder / wheel["file"]) <= {line.rsplit(",", 1)[0] for line in lines}:
            return True
        found += " (another build)"
    raise InstallError(
        f"`{wheel['name']}` {wheel['version']} is in the bundle, but {found} is installed;"
        " nothing was replaced",
        hint=f"if an earlier bundle put it there: `pip uninstall --yes {wheel['name']}`, or start"
        " a new session; if the image has it now: rebuild the bundle for this image",
    )


def recorded(path: Path) -> Set[str]:
    """Return "name,hash" of every file that a wheel installs under its own name."""
    with zipfile.ZipFile(str(path)) as archive:
        record = next(name for name in archive.namelist() if name.endswith(".dist-info/RECORD"))
        lines = archive.read(record).decode("utf-8").splitlines()
    entries = {line.rsplit(",", 1)[0] for line in lines if line}
    return {entry for entry in entries if "sha256=" in entry and ".data/" not in entry}


def refuse_imported(todo: List[Dict[str, Any]]) -> None:
    """Raise when a package that is about to be installed is already imported from elsewhere."""
    loaded = [
        "`{}` from {}".format(name, getattr(sys.modules[name], "__file__", "an unknown place"))
        for wheel in todo
        for name in wheel["imports"]
        if name in sys.modules
    ]
    if loaded:
        raise InstallError(
            "packages of the bundle are already imported; nothing was installed",
            loaded,
            "restart the session and run this cell before any import",
        )


def run_installer(folder: Path, target: Dict[str, Any], drifted: List[str]) -> None:
    """Install with one offline command; it takes all or nothing."""
    command = [*_installer("install"), "--no-index", "--find-links", str(folder)]
    command += ["-r", str(folder / target["lock"])]
    if any(name in OPENCV and installed_version(name) is None for name in target["expects"]):
        # Another OpenCV stands in, and no installer can be told so. The build proved the rest.
        command.append("--no-deps")
    done = _run(command)
    if done.returncode:
        raise InstallError(
            "the bundle could not be installed",
            _last_lines(done.stderr) + drifted,
            "rebuild the bundle for the image that this notebook runs on: --image NAME",
        )


def check_imports(wheels: List[Dict[str, Any]]) -> None:
    """Import what was installed, in a process of its own; remove it again if that fails."""
    names = [name for wheel in wheels for name in wheel["imports"]]
    done = _run([sys.executable, "-c", _IMPORT_CHECK, *names])
    try:
        failed = json.loads(done.stdout.splitlines()[-1])
        problems = [f"`import {name}`: {error}" for name, error in sorted(failed.items())]
    except (IndexError, ValueError):
        problems = [f"the check ended with status {done.returncode}", *_last_lines(done.stderr)]
    if not problems:
        return
    undone = _run(_installer("uninstall") + [wheel["name"] for wheel in wheels])
    if undone.returncode:
        problems += ["removing it again failed too", *_last_lines(undone.stderr)]
    raise InstallError("the bundle does not import; it was removed again", problems)


def _installer(verb: str) -> List[str]:
    """Return the command that installs or uninstalls: uv's, or pip's where there is no uv."""
    uv = shutil.which("uv")
    if uv and _run([uv, "--version"]).returncode == 0:
        command = [uv, "--offline", "--no-config", "--no-cache", "pip", verb]
        return [*command, "--python", sys.executable]
    pip = [sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check"]
    if _run([*pip, "--version"]).returncode:
        raise InstallError("neither uv nor pip is here; nothing was installed")
    return [*pip, verb, "--yes"] if verb == "uninstall" else [*pip, verb]


def _run(command: List[str]) -> "subprocess.CompletedProcess[str]":
    """Run a command without the user's settings for uv and pip: they could name other sources."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("UV_", "PIP_"))}
    env.update(PIP_CONFIG_FILE=os.devnull, NO_ALBUMENTATIONS_UPDATE="1")
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def _last_lines(stderr: str) -> List[str]:
    return [line.strip() for line in stderr.splitlines() if line.strip()][-8:]


def summary(
    manifest: Dict[str, Any], target: Dict[str, Any], done: List[str], drifted: List[str]
) -> List[str]:
    """Return what a notebook shows when all is well; `done` names what was installed just now."""
    here = len(target["install"]) - len(done)
    return [
        f"bundle     {manifest['made_by']} for {target['image']}, Python {target['python']}",
        f"installed  {', '.join(done) or 'nothing'}",
        f"unchanged  {here} of {len(target['install'])} wheels were installed already",
        f"drift      {', '.join(drifted) or 'nothing'}",
    ]


if __name__ == "__main__":
    main()
