"""Runs of a Writer that are killed at random moments, each in a process of its own.

    python -m tests.submission_kill_worker <folder>

Everything is loaded once; then each attempt is a fork of this process. A moment is a line of the
Writer's own code that is about to run: `kill -9` comes before it. Prints JSON, see `main`.
"""

import json
import os
import random
import signal
import sys
from pathlib import Path

from kagglekit import submission
from kagglekit.rle import RLE
from kagglekit.submission import writer
from tests.submission_kinds import KINDS, SHAPE, make_test

IDS = "abcdefghij"
WATCHED = ("writer.py", "journal.py", "rows.py", "texts.py", "table.py")


def predict(image_id):
    if image_id == "d":
        raise RuntimeError("image d is damaged")
    return [RLE.from_text(f"{5 * ord(image_id)} 5", SHAPE), RLE.empty(SHAPE)]


def run(comp, data, out, predicted):
    """Predict all images; append the id of each to a file, so a kill cannot take it back."""
    with submission.Writer(comp, data, out) as target:
        for image_id, _ in target.todo():
            with target.attempt(image_id):
                os.write(predicted, image_id.encode())
                target[image_id] = predict(image_id)


def fork(comp, data, out, kill=None):
    """Run in another process, killed before the line number `kill`.

    Returns:
        Whether it was killed, how many lines it ran, and the images it predicted.
    """
    notes, lines = out.with_suffix(".predicted"), out.with_suffix(".lines")
    notes.write_bytes(b"")
    child = os.fork()
    if child == 0:
        count = 0

        def trace(frame, event, argument):
            nonlocal count
            if not frame.f_code.co_filename.endswith(WATCHED):
                return None
            if event == "line":
                if count == kill:
                    os.kill(os.getpid(), signal.SIGKILL)
                count += 1
            return trace

        predicted = os.open(notes, os.O_WRONLY | os.O_APPEND)
        sys.settrace(trace)
        run(comp, data, out, predicted)
        sys.settrace(None)
        lines.write_text(str(count))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    if not killed and status:
        raise RuntimeError(f"the attempt ended with status {status}")
    return killed, 0 if killed else int(lines.read_text()), notes.read_text()


def main(folder):
    """Print, for each attempt, what it left behind and what the run after it made of that."""
    folder = Path(folder)
    random.seed(20)
    attempts = []
    for place, (name, seconds) in enumerate((("class in the key", 0.0), ("instances", 1e9))):
        writer._SECONDS = seconds  # the file is replaced at every image, or on leaving only
        writer._SHARE = 0
        comp = KINDS[name]
        data = make_test(folder / f"tree{place}", comp, *IDS)
        right = folder / f"right{place}.csv"
        _, lines, _ = fork(comp, data, right)
        for tenth in range(10):  # a random moment in each tenth of the run
            moment = int((tenth + random.random()) * lines / 10)
            out = folder / f"{place}-{moment}.csv"
            killed, _, first = fork(comp, data, out, moment)
            left = submission.validate(out, comp, data) if out.exists() else None
            again, _, second = fork(comp, data, out)
            attempts.append(
                {
                    "moment": f"line {moment} of {lines}, {name}",
                    "killed": killed and not again,
                    "left": left,
                    "predicted": first + second,
                    "same": out.read_bytes() == right.read_bytes(),
                    "beside": sorted(path.name for path in folder.glob(f".{out.name}*")),
                }
            )
    print(json.dumps(attempts))


if __name__ == "__main__":
    main(*sys.argv[1:])
