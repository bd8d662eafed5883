"""First program inside the sandbox's namespaces: build its root directory, then become the command.

Started as `unshare --user --map-root-user --mount --net python enter.py SPEC COMMAND...`. SPEC is
JSON: `root` (an empty folder to build in), `mounts` ([path inside, folder or file outside, how]
each: "read", "write", or "change", for which what is changed goes to the folder `changes` and the
folder outside stays as it is), `names` (where to note the names that are looked up) and `cwd`. The
new root shows the machine's system folders and what is in `mounts`, and nothing else: no home, no
other data, no `/tmp`. Nothing outside the namespaces changes, and all of it is gone when the
command ends.
"""

import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

_SYSTEM = ("bin", "dev", "etc", "gnu", "nix", "opt", "proc", "run", "sbin", "sys", "usr", "var")


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def build_root(root: Path, mounts: list[list[str]], changes: Path) -> None:
    """Assemble the new root directory."""
    _mount("-t", "tmpfs", "tmpfs", str(root))
    for entry in Path("/").iterdir():
        inside = root / entry.name
        if entry.name not in _SYSTEM and not entry.name.startswith("lib"):
            continue
        if entry.is_symlink():
            inside.symlink_to(entry.readlink())
        else:
            inside.mkdir()
            _mount("--rbind", str(entry), str(inside))
    inputs = root / "kaggle" / "input"
    inputs.mkdir(parents=True)
    _mount("-t", "tmpfs", "tmpfs", str(inputs))
    for path, folder, how in mounts:
        inside = root / path.lstrip("/")
        if Path(folder).is_dir():
            inside.mkdir(parents=True, exist_ok=True)
        elif not inside.exists():  # a file, in no folder that was shown before
            inside.parent.mkdir(parents=True, exist_ok=True)
            inside.touch()
        if how == "change":
            _overlay(folder, inside, changes)
            continue
        _mount("--bind", folder, str(inside))
        if how == "read":
            _mount("-o", "remount,bind,ro", str(inside))
    # "bind": else the folder's owner is among the options, whom these namespaces may not know.
    _mount("-o", "remount,bind,ro", str(inputs))


def _overlay(folder: str, inside: Path, changes: Path) -> None:
    """Show a folder that may be changed, and is not: what is written goes to `changes`."""
    for name in ("lower", "upper", "work"):
        (changes / name).mkdir(parents=True, exist_ok=True)
    _mount("--bind", folder, str(changes / "lower"))
    # By short names from there: a path with a comma or a colon would be taken apart.
    options = "lowerdir=lower,upperdir=upper,workdir=work,userxattr"
    command = ["mount", "-t", "overlay", "overlay", "-o", options, str(inside)]
    subprocess.run(command, check=True, cwd=changes)


def end_with_parent() -> None:
    """Have the system kill this process, and what it becomes, when its parent is killed."""
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG of prctl(2)
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def raise_loopback() -> None:
    """Switch 127.0.0.1 on: a notebook and its kernel talk to each other over it."""
    get_flags, set_flags, up = 0x8913, 0x8914, 0x1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", b"lo", 0)
        _, flags = struct.unpack("16sH14x", fcntl.ioctl(control, get_flags, request))
        fcntl.ioctl(control, set_flags, struct.pack("16sH14x", b"lo", flags | up))


def main() -> None:
    """Build the root, enter it, let nobody find an address, become the command."""
    import resolver  # lies beside this file, and is found when that runs as a program

    spec = json.loads(sys.argv[1])
    root, names = Path(spec["root"]), Path(spec["names"])
    end_with_parent()
    raise_loopback()
    build_root(root, spec["mounts"], Path(spec["changes"]))
    os.chroot(root)
    settings = names.with_name("resolv.conf")
    resolver.start(names, settings)
    if Path("/etc/resolv.conf").exists():  # without one, 127.0.0.1 is asked anyway
        _mount("--bind", str(settings), "/etc/resolv.conf")
    os.chdir(spec["cwd"])
    os.execvp(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()
