"""Run one script in the replica, as Kaggle does, and write down how it went.

Started as `python script.py SCRIPT RESULT`. RESULT is JSON of the same form as that of the notebook
runner; a script counts as one cell. What the script prints is passed on as it comes.
"""

import json
import os
import re
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

_TAIL = 400  # lines of output in which the traceback of an error is looked for


def run(script, result):
    """Run the script file and write the result file."""
    import family  # lies beside this file, and is found when that runs as a program

    family.adopt()
    started = time.monotonic()
    tail = []
    process = subprocess.Popen(
        [sys.executable, "-u", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", env={**os.environ, "KAGGLEKIT_SCRIPT": script},
    )  # fmt: skip
    # A program that it leaves behind would hold its output open for as long as it runs.
    threading.Thread(target=lambda: (process.wait(), family.end())).start()
    for line in process.stdout:
        print(line, end="", flush=True)
        tail = [*tail[-_TAIL:], line]
    status = process.wait()
    seconds = time.monotonic() - started
    outcome = {"ok": status == 0, "cells": 1, "seconds": seconds, "timeline": [[1, 0.0, seconds]]}
    if status:
        outcome.update(_failure("".join(tail), script, status))
    outcome["peak_mb"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    Path(result).write_text(json.dumps(outcome))


def _failure(printed, script, status):
    """Read the last traceback off what the script printed."""
    source = Path(script).read_text(encoding="utf-8")
    begin = printed.rfind("Traceback (most recent call last)")
    if begin < 0:  # what cannot be parsed has a frame and no such line
        begin = printed.rfind(f'  File "{script}", line ')
    traceback = printed[begin:]
    frames = re.findall(rf'File "{re.escape(script)}", line (\d+)', traceback)
    line = source.splitlines()[int(frames[0]) - 1].strip() if frames else ""
    error = re.search(r"^([A-Za-z_][\w.]*)(?:: ((?s:.*)))?\Z", _after_frames(traceback), re.M)
    if status < 0:
        name, message = "DeadKernelError", f"the script was killed by signal {-status}"
        line = line or _last_line(source, script)
    elif error:
        name, message = error[1].rpartition(".")[2], (error[2] or "").strip()
    else:
        name, message = "SystemExit", f"the script ended with status {status}"
    return {
        "ok": False, "cell": 1, "source": source, "line": line,
        "name": name, "message": message, "traceback": traceback,
    }  # fmt: skip


def _after_frames(traceback):
    """Return what follows the last indented line: the error's name and message."""
    lines = traceback.rstrip().splitlines()
    indented = [number for number, line in enumerate(lines) if line.startswith("  ")]
    return "\n".join(lines[indented[-1] + 1 :]) if indented else ""


def _last_line(source, script):
    """Return the line at which a killed script was, if it was asked before: inside/watch."""
    try:
        stacks = Path(os.environ["KAGGLEKIT_STACKS"]).read_text()
    except (KeyError, FileNotFoundError):
        return ""
    found = re.findall(rf'"{re.escape(script)}", line (\d+) in <module>', stacks)
    return source.splitlines()[int(found[-1]) - 1].strip() if found else ""


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2])
