"""The `kaggle` command, driven: it uploads bundles and pushes notebooks, with the user's own key.

It ends with status 0 after some failures and prints the reason, so what it says is read too. Of
what it says, nothing is passed on that is a key.
"""

import importlib.util
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from kagglekit.errors import UploadError
from kagglekit.offline import tools

_FAILED = ("creation error:", "push error:", "are not valid ", "could not be added")
_MINUTES = 10


def shown(command: Sequence[str]) -> str:
    """Return a command as a user would type it.

    Example:
        >>> shown(["kaggle", "datasets", "version", "-m", "new bundle"])
        "kaggle datasets version -m 'new bundle'"
    """
    return shlex.join(command)


def call(command: Sequence[str]) -> str:
    """Run a `kaggle` command and return what it said.

    Raises:
        UploadError: it is not installed, it failed, or it said that it failed.
    """
    if importlib.util.find_spec("kaggle") is None:
        raise UploadError("the `kaggle` command is missing", hint="pip install kaggle six")
    program = [sys.executable, "-c", "from kaggle.cli import main; main()"]
    done = tools.call([*program, *command[1:]], cwd=Path.cwd())
    lines = f"{done.stdout}\n{done.stderr}".replace("\r", "\n").splitlines()
    said = redacted("\n".join(line for line in lines if "%|" not in line))  # no progress bars
    if done.returncode or any(sign in said for sign in _FAILED):
        raise UploadError(f"`{shown(command)}` failed", problems=tools.excerpt(said))
    return said


def redacted(text: str) -> str:
    """Return a text with every key of the user's blotted out."""
    for key in _keys():
        text = text.replace(key, "…")
    return text


def _keys() -> list[str]:
    folder = Path(os.environ.get("KAGGLE_CONFIG_DIR", Path.home() / ".kaggle"))
    found = [os.environ.get(name, "") for name in ("KAGGLE_KEY", "KAGGLE_API_TOKEN")]
    for path in (folder / "kaggle.json", folder / "access_token"):
        if path.is_file():
            content = path.read_text(encoding="utf-8")
            found += re.findall(r'"key"\s*:\s*"([^"]+)"', content) or [content.strip()]
    return [key for key in found if len(key) > 7]


def status(dataset: str) -> str | None:
    """Return a dataset's status, such as "ready", or None where there is no such dataset.

    Raises:
        UploadError: the question itself was refused, for want of a key for example.
    """
    try:
        said = call(["kaggle", "datasets", "status", dataset])
        # A word alone on its line, the last one: before it may come a warning of the command's age.
        words = [line.strip() for line in said.splitlines() if re.fullmatch(r"\s*\w+\s*", line)]
        return words[-1] if words else ""
    except UploadError as error:
        said = " ".join(error.problems)
        if "404" in said or ("403" in said and "Authentication" not in said):
            return None  # Kaggle forbids to look at what is not there
        raise


def wait(dataset: str, say: Callable[[str], None], pause: float = 5.0) -> None:
    """Wait until a dataset is ready: before that nothing can attach it, and a new version fails.

    Raises:
        UploadError: Kaggle could not process it, or is not done after ten minutes.
    """
    started = time.monotonic()
    while (now := status(dataset)) != "ready":
        if now in ("failed", "deleted"):
            raise UploadError(f"Kaggle could not process `{dataset}`: its status is {now}")
        if time.monotonic() - started > 60 * _MINUTES:
            raise UploadError(
                f"`{dataset}` is not ready after {_MINUTES} minutes: its status is {now}",
                hint=f"look again with `kaggle datasets status {dataset}`",
            )
        say(f"{dataset}: {now or 'not there yet'}, waiting")
        time.sleep(pause)
