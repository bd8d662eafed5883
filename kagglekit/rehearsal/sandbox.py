"""Run a command as a Kaggle session would: no network, inputs read-only at /kaggle/input.

Where the system allows user namespaces (most Linux machines; no root needed), the command gets its
own root directory with the machine's system folders, `/kaggle` and a `/tmp` of its own, and its
own, empty network. Where it does not, `KAGGLEKIT_INPUT` points at the inputs instead, and the
network is refused inside Python only; `isolation` says which it is, and the report repeats it.
"""

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import kagglekit
from kagglekit.rehearsal import processes
from kagglekit.rehearsal.cgroup import make_group
from kagglekit.rehearsal.limits import NO_LIMITS, Limits, Usage
from kagglekit.rehearsal.meter import Meter, Tick
from kagglekit.rehearsal.replica import Replica, cache_root

_ENTER = Path(__file__).parent / "inside" / "enter.py"
_WATCH = Path(__file__).parent / "inside" / "watch"
_HOME = "/root"  # on Kaggle; code copies weights to .cache/torch in it
# In a session's scratch folder.
_WATCHED, _LOOKED_UP, _TMP = "network.jsonl", "names.jsonl", "tmp"
_CHANGES, _COPY = "changes", "venv"


@dataclass(frozen=True)
class Session:
    """What a sandboxed command sees.

    Attributes:
        inputs: path below /kaggle/input to the folder shown there, read-only.
        working: the folder shown as /kaggle/working; the command starts in it.
        scratch: a folder for the session's home directory and the network watch's log.
        python: the virtual environment whose programs come first on PATH.
        settings: further environment variables.
        keeps_python: whether what a command changes in `python` goes to `scratch`, not there.
    """

    inputs: Mapping[str, Path]
    working: Path
    scratch: Path
    python: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    keeps_python: bool = False


@dataclass(frozen=True)
class Completed:
    """How a sandboxed command ended.

    Attributes:
        status: exit status.
        usage: what it took of time, memory and disk, and whether it was stopped for that.
        attempts: connections that were tried: host, port, and where, the notebook's line or the
            command; without port where a program only looked the host up.
    """

    status: int
    usage: Usage
    attempts: tuple[dict[str, str], ...]


@cache
def isolation() -> str:
    """Return "" where commands are fully isolated, otherwise why they are not."""
    if shutil.which("unshare") is None:
        return "this system has no `unshare`"
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        return _refused(Session({"x": scratch}, scratch, scratch, Path(sys.prefix)))


def of_replica(
    replica: Replica,
    inputs: Mapping[str, Path],
    working: Path,
    scratch: Path,
    settings: Mapping[str, str] | None = None,
) -> Session:
    """Return a session whose commands may change a replica, and never reach the replica's files.

    Others use these, too: later rehearsals, and through hard links uv's cache. Where the system has
    no overlays, or none on the disk of `scratch`, the session gets a copy of hard links in it, and
    only a command that writes into a file, instead of replacing it, writes into the replica's.
    """
    session = Session(inputs, working, scratch, replica.folder, settings or {}, keeps_python=True)
    if isolation() == "" and _refused(session) == "":
        return session
    copy = replica.clone(scratch / _COPY)
    return replace(session, python=copy.folder, keeps_python=False)


def forget(session: Session) -> None:
    """Remove what a session's commands have changed in their environment, or its copy."""
    for name in (_CHANGES, _COPY):
        remove(session.scratch / name)


def remove(folder: Path) -> None:
    """Remove a folder with all that is in it, also what nobody may look into.

    The system leaves a folder without any permission in each overlay's.
    """
    for path, names, _ in os.walk(folder):
        for name in names:
            inner = Path(path, name)
            if not inner.is_symlink():
                inner.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _refused(session: Session) -> str:
    """Return "" if a sandbox can be made for a session, or why not."""
    scratch = session.scratch.resolve()
    command = [*_unshare(), json.dumps(_spec(session, scratch)), "true"]
    done = subprocess.run(command, capture_output=True, text=True)
    forget(session)
    return "" if done.returncode == 0 else f"namespaces are not allowed: {done.stderr.strip()}"


def run(
    command: Sequence[str],
    session: Session,
    on_line: Callable[[str], None] = lambda line: None,
    limits: Limits = NO_LIMITS,
    tick: Tick = lambda seconds, mb: None,
) -> Completed:
    """Run a command in a session and wait for it.

    Args:
        command: program and arguments.
        session: what it sees.
        on_line: called with each line the command prints, without its line end.
        limits: what it may take; at a limit, what the command has started is killed.
        tick: called now and then with the seconds so far and the MB of RAM held.

    Returns:
        How it ended. A failing command is not an error here.
    """
    scratch = session.scratch.resolve()  # the command starts in another folder
    home = scratch / "home"
    home.mkdir(parents=True, exist_ok=True)
    for old in (_WATCHED, _LOOKED_UP, "stacks.txt"):
        (scratch / old).unlink(missing_ok=True)
    environment = _environment(session, home, scratch / _WATCHED)
    if isolation() == "":
        command = [*_unshare(), json.dumps(_spec(session, scratch)), *command]
        environment["HOME"] = _HOME
    else:
        environment |= _stand_ins(session)
    group = make_group(limits.memory) if math.isfinite(limits.memory) else None
    if group:
        command = group.joining(list(command))
    try:
        with subprocess.Popen(
            command, cwd=session.working, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        ) as process:  # fmt: skip
            meter = Meter(process.pid, limits, session.working, group, tick)
            meter.start()
            try:
                for line in process.stdout or ():
                    on_line(line.rstrip("\n"))
                process.wait()
            finally:
                left = processes.descendants(process.pid)
                usage = meter.stop()
                processes.kill([*left, *([process.pid] if process.poll() is None else [])])
    finally:
        shutil.rmtree(scratch / _TMP, ignore_errors=True)
        if group:
            group.remove()
    return Completed(process.returncode, usage, _read_attempts(scratch))


def _spec(session: Session, scratch: Path) -> dict[str, object]:
    """Return what `inside/enter.py` is told: the root folder, and what is shown where in it."""
    root, tmp = scratch / "root", scratch / _TMP
    for folder in (root, tmp, scratch / "home"):
        folder.mkdir(parents=True, exist_ok=True)
    # On the disk: what lies in memory would count as the command's.
    mounts = [[path, str(tmp), "write"] for path in ("/tmp", "/var/tmp")]
    mounts.append([_HOME, str(scratch / "home"), "write"])
    mounts += [[str(path), str(path), how] for path, how in _shown(session, scratch)]
    mounts += [
        [f"/kaggle/input/{name}", str(path.resolve()), "read"]
        for name, path in session.inputs.items()
    ]
    # An upload follows links, so what they lead to is there on Kaggle.
    mounts += _links(session.inputs.values())
    mounts.append(["/kaggle/working", str(session.working.resolve()), "write"])
    return {
        "root": str(root),
        "mounts": mounts,
        "changes": str(scratch / _CHANGES),
        "names": str(scratch / _LOOKED_UP),
        "cwd": "/kaggle/working",
    }


def _shown(session: Session, scratch: Path) -> list[tuple[Path, str]]:
    """Return the folders that a command needs of this machine, and how each is shown."""
    pythons = (session.python.absolute() / "bin" / "python", Path(sys.executable))
    needed = [prefix for python in pythons for prefix in _prefixes(python)]
    # Programs of a replica's copy begin with the path of the replica's own Python.
    needed += [Path(kagglekit.__file__).parent, cache_root()]
    # Of /bin/python that would be the whole machine; its system folders are there anyway.
    shown = {path: "read" for path in needed if path.is_dir() and path != Path("/")}
    shown |= {session.working.resolve(): "write", scratch: "write"}
    shown[session.python.absolute()] = "change" if session.keeps_python else "write"
    return sorted(shown.items())  # what lies in another comes after it


def _links(folders: Iterable[Path]) -> list[list[str]]:
    """Return what absolute links in folders lead to, as mounts where they look for it."""
    paths = (path for folder in folders for path in folder.rglob("*"))
    links = [path for path in paths if path.is_symlink() and path.exists()]
    targets = {link.readlink(): link.resolve() for link in links if link.readlink().is_absolute()}
    # What lies in another comes after it.
    return [[str(path), str(target), "read"] for path, target in sorted(targets.items())]


def _prefixes(python: Path) -> list[Path]:
    """Return the environments that an interpreter's links lead through, to the one it is of."""
    found = [python.parent.parent]
    while python.is_symlink():
        python = python.parent / python.readlink()
        found.append(python.parent.parent)
    return [*found, python.resolve().parent.parent]


def _unshare() -> list[str]:
    return ["unshare", "--user", "--map-root-user", "--mount", "--net", sys.executable, str(_ENTER)]


def _environment(session: Session, home: Path, log: Path) -> dict[str, str]:
    """Build the session's environment from nothing: what is set at home must not help there."""
    kept = ("LANG", "LC_ALL", "TERM", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment |= {
        "PATH": f"{session.python / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "KAGGLE_KERNEL_RUN_TYPE": "Batch",
        # Threads that spin while they wait make a network ten times slower as soon as anything else
        # runs on the machine, and at home something always does.
        "OMP_WAIT_POLICY": "passive",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # else every kernel start warns about its debugger
        "PYTHONPATH": str(_WATCH),
        "KAGGLEKIT_WATCH": str(log),
        "KAGGLEKIT_STACKS": str(home.with_name("stacks.txt")),
        "MPLBACKEND": "agg",
    }
    return {**environment, **session.settings}


def _stand_ins(session: Session) -> dict[str, str]:
    """Show the inputs through links in a folder, for systems without namespaces."""
    root = session.scratch.resolve() / "input"
    shutil.rmtree(root, ignore_errors=True)
    for name, path in session.inputs.items():
        link = root / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path.resolve(), target_is_directory=True)
    return {
        "KAGGLEKIT_INPUT": str(root),
        "KAGGLEKIT_WORKING": str(session.working.resolve()),
        "KAGGLEKIT_REFUSE_NETWORK": "1",
    }


def _read_attempts(scratch: Path) -> tuple[dict[str, str], ...]:
    """Return what Python tried, and then the names that other programs looked up."""
    watched, looked_up = (_read_lines(scratch / name) for name in (_WATCHED, _LOOKED_UP))
    told = {attempt["host"] for attempt in watched}  # Python's end at the name server too
    return (*watched, *(attempt for attempt in looked_up if attempt["host"] not in told))


def _read_lines(log: Path) -> list[dict[str, str]]:
    lines = log.read_text().splitlines() if log.is_file() else []
    return [json.loads(line) for line in dict.fromkeys(lines)]  # a retry is not a second finding
