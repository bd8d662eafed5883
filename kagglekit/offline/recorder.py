"""A program of its own: call the user's model factory, with a network or without.

    python -m kagglekit.offline.recorder FILE.py:FUNCTION            (or MODULE:FUNCTION)
    python -m kagglekit.offline.recorder FILE.py:FUNCTION offline

What it downloads goes where the environment variables say. The factory and all that it imports run
here and not in the build, which neither has nor needs torch.
"""

import importlib
import runpy
import sys
from pathlib import Path
from typing import Any

from kagglekit.offline.runtime import guard


def refuse_network(event: str, arguments: tuple[Any, ...]) -> None:
    """Audit hook: let nothing leave this machine, whatever it is."""
    if event in ("socket.getaddrinfo", "socket.connect"):
        raise OSError(f"no network in this run: {event} {arguments[1:2] or arguments}")


def call(factory: str) -> None:
    """Call `FILE.py:FUNCTION` or `MODULE:FUNCTION`."""
    place, _, name = factory.rpartition(":")
    if place.endswith(".py"):
        sys.path.insert(0, str(Path(place).resolve().parent))
        found = runpy.run_path(place, run_name="kagglekit_weights")[name]
    else:
        found = getattr(importlib.import_module(place), name)
    try:
        found()
    except SystemExit as error:
        raise RuntimeError(f"the factory ended the program: sys.exit({error.code})") from error


if __name__ == "__main__":
    if "offline" in sys.argv[2:]:
        sys.addaudithook(refuse_network)
        with guard():
            call(sys.argv[1])
    else:
        call(sys.argv[1])
