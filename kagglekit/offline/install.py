"""Install this folder's wheels into the Python that runs this file, with no network.

A notebook's first cell runs it:

    runpy.run_path(".../install.py", run_name="__main__")

It raises InstallError, which stops the notebook, or returns. Before it touches anything it checks
every file against the manifest beside it, the Python and the GPU that run, what the bundle counts
on from the Kaggle image, and what is already imported. It never replaces a package that is there.

Standard library only, Python 3.8 syntax: this file travels alone, to machines of any age.
"""

import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from importlib import metadata
from pathlib import Path
from typing import Any, Dict, List, Optional, Set, Tuple

MANIFEST = "kagglekit-bundle.json"
FORMAT = 1
OPENCV = tuple("opencv-" + kind for kind in ("python-headless", "python", "contrib-python",
                                              "contrib-python-headless"))  # fmt: skip
"""All of these write the same `cv2` folder, so any of them stands for any other."""

_REBUILD = "rebuild it for this notebook's image: --image NAME (`kagglekit images` lists them)"
_KEYS = {
    "wheels": ("file", "name", "version", "size", "sha256", "imports", "licence", "why"),
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


class InstallError(Exception):
    """The bundle cannot be installed here; the message says why and what to do."""

    def __init__(self, message: str, problems: Optional[List[str]] = None, hint: str = "") -> None:
        lines = [message] + ["  - " + problem for problem in problems or []]
        super().__init__("\n".join(lines + (["hint: " + hint] if hint else [])))


def main() -> None:
    """Check, install, prove by importing, and print a summary of five lines."""
    with tempfile.TemporaryDirectory() as scratch:
        install(find_bundle(Path(__file__).resolve().parent, Path(scratch)))


def install(folder: Path) -> None:
    """Install the bundle in `folder`; raises InstallError and leaves nothing behind, or returns."""
    started = time.perf_counter()
    manifest = read_manifest(folder)
    problems = damage(folder, manifest)
    if problems:
        raise InstallError(
            f"the bundle {folder} is damaged; nothing was installed",
            problems,
            "build it again and upload it as a new version",
        )
    target = choose_target(manifest)
    refuse_gpu()
    missing, drifted = drift(target["expects"])
    if missing:
        raise InstallError(
            "this Kaggle image lacks what the bundle counts on; nothing was installed",
            missing,
            _REBUILD,
        )
    wheels = {wheel["file"]: wheel for wheel in manifest["wheels"]}
    wanted = [wheels[file] for file in target["install"]]
    todo = [wheel for wheel in wanted if not is_installed(folder, wheel)]
    importing, installer = 0.0, "none"
    if todo:
        refuse_imported(todo)
        installer = run_installer(folder, target, drifted)
        importlib.invalidate_caches()
        importing = check_imports(todo)
    new = ", ".join(f"{wheel['name']} {wheel['version']}" for wheel in todo) or "nothing"
    print(  # noqa: T201  (a notebook's first cell shows this)
        f"bundle     {manifest['made_by']} for {target['image']}, Python {target['python']}\n"
        f"installed  {new}\n"
        f"unchanged  {len(wanted) - len(todo)} of {len(wanted)} wheels were installed already\n"
        f"drift      {'harmless: ' if drifted else ''}{', '.join(drifted) or 'nothing'}\n"
        f"time       {time.perf_counter() - started:.1f} s, {importing:.1f} s of it for imports,"
        f" by {installer}"
    )


def find_bundle(start: Path, scratch: Path) -> Path:
    """Return the folder of the bundle: `start`, one in it, or `scratch` where a zip goes."""
    for folder in [start, *sorted(path for path in start.glob("*") if path.is_dir())]:
        archives = sorted(folder.glob("*.zip"))
        if archives and not list(folder.glob("*.whl")):
            for path in folder.glob("*"):
                if path.is_file() and path not in archives:
                    shutil.copy(str(path), str(scratch))
            for archive in archives:
                unpack(archive, scratch)
            folder = scratch
        if (folder / MANIFEST).is_file():
            return folder
    raise InstallError(
        f"no {MANIFEST} in {start} or in a folder of it",
        hint="attach the whole dataset that build_offline.py made",
    )


def unpack(path: Path, folder: Path) -> None:
    """Unpack the files of a zip side by side into `folder`; refuse what tries anything else."""
    try:
        with zipfile.ZipFile(str(path)) as archive:
            problems = member_problems(archive.infolist())
            if problems:
                raise InstallError(f"{path} is not safe to unpack", problems[:8])
            for member in archive.infolist():
                if not member.is_dir():
                    name = member.filename.split("/")[-1]
                    with archive.open(member) as source, (folder / name).open("wb") as target:
                        shutil.copyfileobj(source, target)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
        raise InstallError(f"{path} cannot be unpacked: {error}") from error


def member_problems(members: List[zipfile.ZipInfo]) -> List[str]:
    """Return what makes a zip file's members unsafe to unpack: places, kinds, names, sizes."""
    problems, seen = [], set()  # type: Tuple[List[str], Set[str]]
    for member in members[:100000]:
        name, kind = member.filename, stat.S_IFMT(member.external_attr >> 16)
        if name.startswith("/") or "\\" in name or ".." in name.split("/") or ":" in name:
            problems.append(f"`{name}` leads out of its folder")
        if kind and kind not in (stat.S_IFREG, stat.S_IFDIR):
            problems.append(f"`{name}` is a link or a device, not a file")
        if name.lower() in seen:
            problems.append(f"`{name}` is there twice (upper and lower case do not count)")
        if member.file_size > 2**20 + 200 * member.compress_size:
            problems.append(f"`{name}` unpacks to more than 200 times its size")
        seen.add(name.lower())
    return problems + (["it has more than 100,000 members"] if len(members) > 100000 else [])


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
    weights, home = manifest.get("weights", {}), folder.resolve()
    expected.update({**manifest["files"], **weights})
    named = set(expected).union(*([t["lock"], *t["install"]] for t in manifest["targets"]))
    problems = []
    for name in sorted(named):
        path, parts = folder / name, name.split("/")
        deep = len(parts) > 1 and name not in weights
        if deep or not {"", ".", ".."}.isdisjoint(parts) or path.resolve() != home / name:
            problems.append(f"`{name}` lies outside the bundle")
        elif name not in expected:
            problems.append(f"`{name}` has no hash in the manifest")
        elif not path.is_file():
            problems.append(f"`{name}` is missing")
        elif sha256_of(path) != expected[name]:
            problems.append(f"`{name}` is not the file that was built: its sha256 differs")
    stray = {path.name for path in folder.glob("*.whl")} - named
    problems += [f"`{name}` is not part of the bundle" for name in sorted(stray)]
    return problems


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(2**20), b""):
            digest.update(block)
    return digest.hexdigest()


def choose_target(manifest: Dict[str, Any]) -> Dict[str, Any]:
    """Return the target whose wheels fit this Python; of several, the one that drifted least."""
    fitting = [target for target in manifest["targets"] if all(map(fits, target["install"]))]
    if fitting:
        return min(fitting, key=lambda target: [len(part) for part in drift(target["expects"])])
    line = "built for {image}: Python {python}, glibc {glibc}".format
    running = "Python {}.{}, glibc {}".format(*sys.version_info[:2], platform.libc_ver()[1])
    raise InstallError(
        f"the bundle does not fit this kernel, which runs {running}; nothing was installed",
        [line(**target) for target in manifest["targets"]],
        _REBUILD,
    )


def fits(file: str) -> bool:
    """Tell whether a wheel of this name is for the Python and the glibc that run."""
    pythons, abi, platforms = file[: -len(".whl")].split("-")[-3:]
    running = sys.version_info[1]
    glibc = [int(part) for part in re.findall(r"\d+", platform.libc_ver()[1])]
    wanted = [list(map(int, tag)) for tag in re.findall(r"manylinux_(\d+)_(\d+)_", platforms)]
    if glibc and wanted and glibc < min(wanted):
        return False
    for python in pythons.split("."):
        found = re.match(r"(py|cp)3(\d*)$", python)
        minor = int(found.group(2) or 0) if found else running + 1
        upwards = python.startswith("py") or abi == "abi3"
        if (minor == running and abi in ("none", "abi3", python)) or (upwards and minor < running):
            return True
    return False


def runs_on(capability: str, architectures: List[str]) -> bool:
    """Tell whether a torch compiled for `architectures` runs on a GPU of this capability."""
    # sm_75 runs on 7.5 and later minors of 7; compute_75 is compiled on loading, for any newer GPU.
    major, minor = map(int, capability.split("."))
    for architecture in architectures:
        found = re.match(r"(sm|compute)_(\d+)(\d)[a-z]?$", architecture)
        if found:
            kind, built = found.group(1), (int(found.group(2)), int(found.group(3)))
            if built <= (major, minor) and (kind == "compute" or built[0] == major):
                return True
    return False


def refuse_gpu() -> None:
    """Raise where the image's torch has no code for the session's GPU: its first use would fail."""
    if shutil.which("nvidia-smi") is None or installed_version("torch") is None:
        return
    asked = _run(["nvidia-smi", "--query-gpu=compute_cap,name", "--format=csv,noheader"])
    built = _run([sys.executable, "-c", "import torch; print(*torch.cuda.get_arch_list())"])
    architectures = built.stdout.split()
    for line in asked.stdout.splitlines() if architectures else []:
        capability, _, name = line.partition(", ")
        if re.match(r"\d+\.\d+$", capability) and not runs_on(capability, architectures):
            raise InstallError(
                f"torch has no code for this session's {name} (compute capability {capability});"
                " nothing was installed",
                ["torch was compiled for " + " ".join(architectures)],
                "choose the accelerator GPU T4 x2 in the notebook's settings",
            )


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
    names = [name for wheel in todo for name in wheel["imports"] if name in sys.modules]
    places = [getattr(sys.modules[name], "__file__", "an unknown place") for name in names]
    loaded = [f"`{name}` from {place}" for name, place in zip(names, places)]
    if loaded:
        raise InstallError(
            "packages of the bundle are already imported; nothing was installed",
            loaded,
            "restart the session and run this cell before any import",
        )


def run_installer(folder: Path, target: Dict[str, Any], drifted: List[str]) -> str:
    """Install with one offline command, which takes all or nothing; return whose it was."""
    options = ["--no-index", "--find-links", str(folder), "-r", str(folder / target["lock"])]
    if any(name in OPENCV and installed_version(name) is None for name in target["expects"]):
        # Another OpenCV stands in, and no installer can be told so. The build proved the rest.
        options.append("--no-deps")
    said = []  # type: List[str]
    for name, command in installers("install"):
        done = _run([*command, *options])
        if not done.returncode:
            return f"{name} ({said[0]} …)" if said else name
        said += [f"{name}: {line}" for line in _last_lines(done.stderr) or ["no message"]]
    said = said or ["neither uv nor pip is here"]
    raise InstallError("the bundle could not be installed", said + drifted, _REBUILD)


def check_imports(wheels: List[Dict[str, Any]]) -> float:
    """Import what was installed, in a process of its own; remove it if that fails; seconds."""
    started = time.perf_counter()
    done = _run([sys.executable, "-c", _IMPORT_CHECK, *(n for w in wheels for n in w["imports"])])
    try:
        failed = json.loads(done.stdout.splitlines()[-1])
        problems = [f"`import {name}`: {error}" for name, error in sorted(failed.items())]
    except (IndexError, ValueError):
        problems = [f"the check ended with status {done.returncode}", *_last_lines(done.stderr)]
    if not problems:
        return time.perf_counter() - started
    removing = [[*c, *(wheel["name"] for wheel in wheels)] for _, c in installers("uninstall")]
    removed = any(_run(command).returncode == 0 for command in removing)
    outcome = "; it was removed again" if removed else ", and it could not be removed again"
    raise InstallError("the bundle does not import" + outcome, problems)


def installers(verb: str) -> List[Tuple[str, List[str]]]:
    """Return the names and commands of what can install or uninstall here, best first.

    pip even where there is uv: that may be too old, and does not see what a venv borrows.
    """
    uv, pip = shutil.which("uv"), importlib.util.find_spec("pip")
    uv_options = ["--offline", "--no-config", "--no-cache", "pip", verb, "--python", sys.executable]
    pip_options = ["-m", "pip", "--isolated", "--disable-pip-version-check", verb]
    pip_options += ["--yes"] if verb == "uninstall" else []
    found = [("uv", [uv, *uv_options])] if uv else []
    return found + ([("pip", [sys.executable, *pip_options])] if pip else [])


def _run(command: List[str]) -> "subprocess.CompletedProcess[str]":
    """Run a command without the user's settings for uv and pip: they could name other sources."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("UV_", "PIP_"))}
    env.update(PIP_CONFIG_FILE=os.devnull, NO_ALBUMENTATIONS_UPDATE="1")
    try:
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    except OSError as error:  # there, but not a program of this machine
        return subprocess.CompletedProcess(command, 127, "", str(error))


def _last_lines(stderr: str) -> List[str]:
    return [line.strip() for line in stderr.splitlines() if line.strip()][-8:]


if __name__ == "__main__":
    main()
