"""The network watch: note every connection a sandboxed Python tries, and the notebook line.

Python imports a module of this name at start-up when its folder is on PYTHONPATH, so child
processes (`!pip install ...`) are watched too. Attempts go to the file `$KAGGLEKIT_WATCH`, one JSON
object a line: host, port, and where in the notebook. On systems without namespaces
`$KAGGLEKIT_REFUSE_NETWORK` makes the attempt fail as it would on Kaggle.
"""

import json
import linecache
import os
import sys

_LOOPBACK = ("127.", "::1", "localhost", "0.0.0.0")


def _watch(event, arguments):
    if event == "socket.getaddrinfo":
        host, port = arguments[0], arguments[1]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host, port = arguments[1][0], arguments[1][1]
    else:
        return
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if not host or host.startswith(_LOOPBACK):
        return
    found = {"host": str(host), "port": str(port or ""), "where": _notebook_line()}
    with open(os.environ["KAGGLEKIT_WATCH"], "a") as log:
        log.write(json.dumps(found) + "\n")
    if "KAGGLEKIT_REFUSE_NETWORK" in os.environ:
        raise OSError(101, "Network is unreachable (refused by the rehearsal)")


def _notebook_line():
    """Return the innermost line of notebook code on the stack, or a child process's command."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if "ipykernel_" in name or name.startswith("<ipython-input"):
            return linecache.getline(name, frame.f_lineno).strip()
        frame = frame.f_back
    return " ".join(os.path.basename(argument) for argument in sys.argv[:4])


if "KAGGLEKIT_WATCH" in os.environ:
    sys.addaudithook(_watch)
