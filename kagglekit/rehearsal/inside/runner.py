"""Run one notebook in the replica, as Kaggle does, and write down how it went.

Started as `python runner.py NOTEBOOK RESULT`. Uses the image's own nbclient, whatever its version.
RESULT is JSON: ok, cells, seconds, peak_mb (largest single process), and for a failed cell its
number, source, failing line, error name, message and traceback. The executed notebook is written
beside it.
"""

import json
import re
import resource
import sys
import time
import warnings
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Runner(NotebookClient):
    """A notebook client that says where it is and passes on what the notebook prints."""

    async def async_execute_cell(self, cell, cell_index, **options):
        """Announce the cell, then run it."""
        self.at = cell_index
        return await super().async_execute_cell(cell, cell_index, **options)

    def process_message(self, message, cell, cell_index):
        """Pass on printed lines as they come: training takes minutes."""
        if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
            print(message["content"]["text"], end="", flush=True)
        return super().process_message(message, cell, cell_index)


def run(notebook, result):
    """Run the notebook file and write the result file."""
    document = nbformat.read(notebook, as_version=4)
    client = Runner(
        document, timeout=None, kernel_name="python3", resources={"metadata": {"path": "."}}
    )
    client.at = -1
    started = time.monotonic()
    outcome = {"ok": True}
    try:
        client.execute()
    except CellExecutionError:
        outcome = {"ok": False} | _failure(document.cells[client.at], client.at)
    except DeadKernelError:
        outcome = {
            "ok": False, "cell": client.at, "source": document.cells[client.at].source, "line": "",
            "name": "DeadKernelError", "traceback": "",
            "message": "the kernel died (out of memory, or a crash in native code)",
        }  # fmt: skip
    outcome["seconds"] = time.monotonic() - started
    outcome["cells"] = sum(cell.cell_type == "code" for cell in document.cells)
    outcome["peak_mb"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    nbformat.write(document, Path(result).with_suffix(".ipynb"))
    Path(result).write_text(json.dumps(outcome))


def _failure(cell, index):
    error = next(output for output in cell.outputs if output.output_type == "error")
    traceback = _COLOURS.sub("", "\n".join(error.traceback))
    arrows = re.findall(r"^-+> *\d+ (.*)$", traceback, flags=re.MULTILINE)
    return {
        "cell": index,
        "source": cell.source,
        "line": arrows[0].strip() if arrows else "",
        "name": error.ename,
        "message": _COLOURS.sub("", error.evalue),
        "traceback": traceback,
    }


if __name__ == "__main__":
    warnings.simplefilter(
        "ignore"
    )  # of the image's Jupyter, not the notebook's: that is a process of its own
    run(sys.argv[1], sys.argv[2])
