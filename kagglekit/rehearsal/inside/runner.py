"""Run one notebook in the replica, as Kaggle does, and write down how it went.

Started as `python runner.py NOTEBOOK RESULT`. Uses the image's own nbclient, whatever its version.
RESULT is JSON: ok, cells, seconds, peak_mb (largest single process), timeline (of each code cell
that was begun its number, start and end in seconds), and for a failed cell its number (among the
code cells, from 1, as the notebook shows it in brackets), source, failing line, error name, message
and traceback; for one that ended the notebook with `sys.exit(0)`, its number as `ended`. The
executed notebook is written beside it, and while it runs `.at` beside it says how far it is.
"""

import ast
import json
import os
import re
import resource
import sys
import time
import warnings
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

_ENDS_THE_KERNEL = ("quit", "exit", "os._exit", "os.abort")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Runner(NotebookClient):
    """A notebook client that says where it is and passes on what the notebook prints."""

    async def async_execute_cell(self, cell, cell_index, **options):
        """Announce the cell, then run it, and note how long it took."""
        self.at = cell_index
        code = cell.cell_type == "code"
        if code:
            number = _count_code(self.nb.cells[: cell_index + 1])
            self.announce(f"cell {number} of {_count_code(self.nb.cells)}")
            self.timeline.append([number, time.monotonic() - self.started, None])
        try:
            return await super().async_execute_cell(cell, cell_index, **options)
        finally:
            if code:
                self.timeline[-1][2] = time.monotonic() - self.started

    def process_message(self, message, cell, cell_index):
        """Pass on printed lines as they come: training takes minutes."""
        if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
            print(message["content"]["text"], end="", flush=True)
        return super().process_message(message, cell, cell_index)


def run(notebook, result):
    """Run the notebook file and write the result file."""
    import family  # lies beside this file, and is found when that runs as a program

    family.adopt()
    document = nbformat.read(notebook, as_version=4)
    client = Runner(
        document, timeout=None, kernel_name="python3", resources={"metadata": {"path": "."}}
    )
    client.at, client.timeline, client.started = -1, [], time.monotonic()
    client.announce = Path(result).with_suffix(".at").write_text
    outcome = {"ok": True}
    try:
        client.execute()
    except CellExecutionError:
        outcome = _failure(document.cells[client.at])
        if outcome["name"] == "SystemExit" and outcome["message"] in ("", "0"):
            # papermill, which is in Kaggle's image, stops there, too, and takes it for success.
            outcome = {"ok": True, "ended": _count_code(document.cells[: client.at + 1])}
    except DeadKernelError:
        outcome = {
            "ok": False,
            "line": _last_line(document.cells[client.at].source),
            "name": "DeadKernelError",
            "message": _why_dead(document.cells[: client.at + 1]),
            "traceback": "",
        }
    if not outcome["ok"]:
        outcome["cell"] = _count_code(document.cells[: client.at + 1])
        outcome["source"] = document.cells[client.at].source
    outcome["seconds"] = time.monotonic() - client.started
    outcome["timeline"] = client.timeline
    outcome["cells"] = _count_code(document.cells)
    outcome["peak_mb"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    nbformat.write(document, Path(result).with_suffix(".ipynb"))
    Path(result).write_text(json.dumps(outcome))
    family.end()  # what cells have left behind would hold this program's output open


def _count_code(cells):
    return sum(cell.cell_type == "code" for cell in cells)


def _failure(cell):
    error = next(output for output in cell.outputs if output.output_type == "error")
    traceback = _COLOURS.sub("", "\n".join(error.traceback))
    return {
        "ok": False,
        "line": _failing_line(traceback),
        "name": error.ename,
        "message": _COLOURS.sub("", error.evalue),
        "traceback": traceback,
    }


def _why_dead(cells):
    """Say why the kernel may be gone; `quit()` ends it only after the cell, or some later."""
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    ends = [f", `{words}` in cell {n}" for n, one in enumerate(code, 1) for words in _ends(one)]
    return f"the kernel died (out of memory{''.join(ends[-1:])}, or a crash in native code)"


def _ends(source):
    """Return the calls in a cell that end a kernel."""
    try:
        calls = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    except SyntaxError:  # there is more in it than Python
        return []
    return [f"{ast.unparse(call)}()" for call in calls if ast.unparse(call) in _ENDS_THE_KERNEL]


def _failing_line(traceback):
    """Return the cell's own line: the first that an arrow points at, or that cannot be parsed.

    Where one exception led to another, the lines of the first may all be a library's.
    """
    cell = re.search(r"^.*(?:Cell In|<ipython-input|ipykernel_\d+/).*$", traceback, re.MULTILINE)
    arrow = re.compile(r"^-+> *\d+ (.*)$", re.MULTILINE)
    found = arrow.search(traceback, cell.end() if cell else 0)
    found = found or re.search(r"^ *(?:Cell In|File \"<ipython).*\n(.*)$", traceback, re.MULTILINE)
    return found[1].strip() if found else ""


def _last_line(source):
    """Return the line at which a killed kernel was, if it was asked before: inside/watch."""
    try:
        stacks = Path(os.environ["KAGGLEKIT_STACKS"]).read_text()
    except (KeyError, FileNotFoundError):
        return ""
    found = re.findall(r'(?:ipykernel_\d+/|<ipython)[^"]*", line (\d+) in <module>', stacks)
    lines = source.splitlines()
    return lines[int(found[-1]) - 1].strip() if found and int(found[-1]) <= len(lines) else ""


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of the image's Jupyter; the notebook's are another process's
    run(sys.argv[1], sys.argv[2])
