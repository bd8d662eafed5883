"""What must not leave your machine: keys and passwords, and paths that only exist there.

A private dataset can be made public with one click, and everyone who gets the notebook gets what
it reads. Looked through are the bundle's own text files and the wheels of your own projects; the
wheels of others are public already.
"""

import os
import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

_KINDS = {
    "a Kaggle key": re.compile(
        rb'["\']key["\']\s*:\s*["\'][0-9a-f]{32}["\']|\bKAGGLE_KEY\W{1,9}[0-9a-f]{32}\b|\bKGAT_[0-9a-zA-Z]{20,}'
    ),
    "a private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a Hugging Face token": re.compile(rb"\bhf_[A-Za-z0-9]{30,}"),
    "a GitHub token": re.compile(rb"\bgh[pousr]_[A-Za-z0-9]{36}|\bgithub_pat_\w{50,}"),
    "an AWS key": re.compile(rb"\bAKIA[0-9A-Z]{16}\b"),
    "a Google key": re.compile(rb"\bAIza[0-9A-Za-z_-]{35}\b"),
    "an API key": re.compile(rb"\bsk-[A-Za-z0-9_-]{32,}"),
    "a password in an address": re.compile(rb"\w://[^\s/:@'\"{}]+:[^\s/:@'\"{}]+@[\w.]"),
}
_SECRET_NAMES = re.compile(
    r"kaggle\.json|access_token|\.netrc|\.pypirc|\.env|\.git-credentials|id_(rsa|ed25519)|.*\.pem"
)
_SECRET_VARIABLES = ("KAGGLE_KEY", "KAGGLE_API_TOKEN", "HF_TOKEN", "WANDB_API_KEY")
_HOMES = re.compile(rb"(/home|/Users)/[\w.-]+/")


def problems(folder: Path, own: Iterable[Path]) -> list[str]:
    """Return where something stands that must not be uploaded; never what it is.

    Args:
        folder: the bundle.
        own: wheels of the user's own projects.
    """
    found = []
    for name, content in [*_files(folder), *(member for path in own for member in _members(path))]:
        if _SECRET_NAMES.fullmatch(name.split("/")[-1].split(": ")[-1]):
            found.append(f"`{name}` is a file that holds keys, by its name")
        if b"\0" in content:
            continue  # not a text
        found += keys(name, content)
        home = f"{Path.home()}/".encode()
        is_home = Path.home().parent != Path.home() and home in content  # `/` is no user's
        match = home if is_home else (_HOMES.search(content) or [b""])[0]
        if match:
            found.append(f"`{name}` holds a path of one machine: {match.decode()}…")
    return found


def keys(name: str, content: bytes) -> list[str]:
    """Return which kinds of keys a text holds, a line each that begins with its name."""
    found = [f"`{name}` holds {kind}" for kind, sign in _KINDS.items() if sign.search(content)]
    found += [
        f"`{name}` holds the value of your environment variable {variable}"
        for variable in _SECRET_VARIABLES
        if len(os.environ.get(variable, "")) > 7 and os.environ[variable].encode() in content
    ]
    return found


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix not in {".whl", ".zip"}:
            yield path.name, path.read_bytes()


def _members(wheel: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            yield f"{wheel.name}: {name}", archive.read(name)
