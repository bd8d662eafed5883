"""The network watch: note every connection a sandboxed Python tries, and the notebook's line.

Python imports a module of this name at start-up when its folder is on PYTHONPATH, so child
processes (`!pip install ...`) are watched too. Attempts go to the file `$KAGGLEKIT_WATCH`, one JSON
object a line: host, port, and where in the notebook. On systems without namespaces
`$KAGGLEKIT_REFUSE_NETWORK` makes the attempt fail as it would on Kaggle.

Who stops the notebook at a limit sends SIGUSR2 first, and Python writes the lines that it is at to
the file `$KAGGLEKIT_STACKS`.
"""

import faulthandler
import json
import linecache
import os
import signal
import sys
import threading

_LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")
_SCRIPT = os.environ.get("KAGGLEKIT_SCRIPT")


def _watch(event, arguments):
    if event == "socket.getaddrinfo":
        host, port = arguments[0], arguments[1]
    elif event == "socket.gethostbyname":
        host, port = arguments[0], ""
    elif event in ("socket.connect", "socket.sendto", "socket.sendmsg") and isinstance(
        arguments[1], tuple
    ):
        host, port = arguments[1][0], arguments[1][1]
    else:
        return
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if not host or host.startswith(_LOOPBACK):
        return
    found = {"host": str(host), "port": str(port or ""), "where": _notebook_line() or _command()}
    with open(os.environ["KAGGLEKIT_WATCH"], "a") as log:
        log.write(json.dumps(found) + "\n")
    if "KAGGLEKIT_REFUSE_NETWORK" in os.environ:
        _refuse(event)


def _refuse(event):
    import socket

    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    raise OSError(101, "Network is unreachable")


def _notebook_line():
    """Return the innermost line of notebook code: of this thread, or that the main one waits in."""
    main = sys._current_frames().get(threading.main_thread().ident)
    for frame in (sys._getframe(2), main):
        while frame is not None:
            name = frame.f_code.co_filename
            if "ipykernel_" in name or name.startswith("<ipython-input") or name == _SCRIPT:
                return linecache.getline(name, frame.f_lineno).strip()
            frame = frame.f_back
    return ""


def _command():
    """Return the command line of a child process, as one would type it."""
    program, arguments = sys.argv[0], sys.argv[1:4]
    if os.path.basename(program) == "__main__.py":  # python -m pip: the folder has the name
        program = os.path.dirname(program)
    return " ".join(["python -c" if program == "-c" else os.path.basename(program), *arguments])


if "KAGGLEKIT_WATCH" in os.environ:
    sys.addaudithook(_watch)
if "KAGGLEKIT_STACKS" in os.environ:
    _stacks = open(os.environ["KAGGLEKIT_STACKS"], "a")  # noqa: SIM115 - as long as Python runs
    faulthandler.register(signal.SIGUSR2, _stacks)
