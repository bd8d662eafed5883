"""Another process that holds a lock."""

import subprocess
import sys
from contextlib import contextmanager

_HOLDS = """
import sys, time
from pathlib import Path
from kagglekit.locks import held
with held(Path(sys.argv[1])) as is_ours:
    print(is_ours, flush=True)
    time.sleep(60 if is_ours else 0)
"""


@contextmanager
def holding(path):
    """Yield a process that holds the lock of a file; it is killed at the end."""
    command = [sys.executable, "-c", _HOLDS, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "True\n"
        yield process
        process.kill()
