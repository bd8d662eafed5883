"""Commands without a network, as root and as nobody, where the system allows that."""

import shutil
import subprocess

import pytest


def offline(command: list[str]) -> list[str]:
    """Put a command into a network namespace with nothing in it, where that can be done."""
    return ["unshare", "-rn", *command] if _can("-rn") else command


def nobody(command: list[str]) -> list[str]:
    """The same, as user 65534 without any capability; skip the test where that cannot be done."""
    options = ["--user", "--map-user=65534", "--map-group=65534", "--net"]
    if not _can(*options):
        pytest.skip("this system's `unshare` cannot make another user")
    return ["unshare", *options, *command]


def _can(*options: str) -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", *options, "true"], capture_output=True).returncode == 0
