"""The notebook runner, as a program of its own, with this environment's nbclient and kernel."""

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from kagglekit.rehearsal import rehearse

RUNNER = Path(rehearse.__file__).parent / "inside" / "runner.py"


def run(folder: Path, *sources: str) -> tuple[dict[str, Any], str, Any]:
    """Run a notebook of a text cell and these code cells.

    Returns what the runner wrote, what it printed, and the executed notebook's cells.
    """
    cells = [new_markdown_cell("# About"), *(new_code_cell(source) for source in sources)]
    nbformat.write(new_notebook(cells=cells), folder / "notebook.ipynb")
    done = subprocess.run(
        [sys.executable, str(RUNNER), "notebook.ipynb", "result.json"],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    outcome = json.loads((folder / "result.json").read_text())
    assert 0 < outcome.pop("seconds") < 600
    assert 10 < outcome.pop("peak_mb") < 4000
    for number, (cell, start, end) in enumerate(outcome.pop("timeline"), 1):
        assert cell == number
        assert 0 <= start <= end
    return outcome, done.stdout, nbformat.read(folder / "result.ipynb", as_version=4).cells


def test_a_notebook_that_ends_well(tmp_path: Path) -> None:
    outcome, printed, cells = run(
        tmp_path,
        "print('one')\nprint('two')",
        "import sys\nprint('aside', file=sys.stderr)",
        "%cd -q /\n!echo from the shell",
        "2 + 2",
    )
    assert outcome == {"ok": True, "cells": 4}
    assert printed == "one\ntwo\nfrom the shell\n"
    assert cells[4].outputs[0].data["text/plain"] == "4"


def test_a_cell_that_fails(tmp_path: Path) -> None:
    second = "print('before')\nhalve(0)\nprint('after')"
    outcome, printed, cells = run(
        tmp_path,
        "def halve(n):\n    raise ValueError('\\x1b[31mred\\x1b[0m')",
        second,
        "print('never')",
    )
    traceback = outcome.pop("traceback")
    assert outcome == {
        "ok": False,
        "cells": 3,
        "cell": 2,
        "source": second,
        "line": "halve(0)",
        "name": "ValueError",
        "message": "red",
    }
    assert "----> 2 halve(0)\n" in traceback
    assert "\x1b" not in traceback
    assert printed == "before\n"
    assert cells[2].outputs[1].ename == "ValueError"
    assert not cells[3].outputs


def test_a_cell_that_is_not_python(tmp_path: Path) -> None:
    outcome, printed, _ = run(tmp_path, "x = 1\ny = = 2")
    assert (outcome["cell"], outcome["line"], outcome["name"]) == (1, "y = = 2", "SyntaxError")
    assert printed == ""


def test_a_cell_that_kills_its_kernel(tmp_path: Path) -> None:
    source = (
        "import os, signal\nprint('last words', flush=True)\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    outcome, _, cells = run(tmp_path, "x = 1", source)
    assert outcome == {
        "ok": False,
        "cells": 2,
        "cell": 2,
        "source": source,
        "line": "",
        "name": "DeadKernelError",
        "message": "the kernel died (out of memory, or a crash in native code)",
        "traceback": "",
    }
    assert len(cells) == 3


def test_a_script_that_cannot_be_parsed(tmp_path: Path) -> None:
    (tmp_path / "submit.py").write_text("import os\n!pip install ttach\n")
    program, path = RUNNER.with_name("script.py"), tmp_path / "submit.py"
    command = [sys.executable, str(program), str(path), "result.json"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    outcome = json.loads((tmp_path / "result.json").read_text())
    assert (outcome["line"], outcome["name"], outcome["message"]) == (
        "!pip install ttach", "SyntaxError", "invalid syntax",
    )  # fmt: skip


@pytest.mark.parametrize("how", ["sys.exit()", "sys.exit(0)", "raise SystemExit"])
def test_a_cell_that_ends_the_notebook(how: str, tmp_path: Path) -> None:
    outcome, printed, _ = run(tmp_path, "import sys", f"print(1)\n{how}", "print(2)")
    assert outcome == {"ok": True, "cells": 3, "ended": 2}
    assert printed == "1\n"


@pytest.mark.parametrize("how", ["sys.exit(3)", "sys.exit('why')"])
def test_an_exit_with_an_error_is_one(how: str, tmp_path: Path) -> None:
    outcome, _, _ = run(tmp_path, f"import sys\n{how}", "print(2)")
    assert (outcome["ok"], outcome["cell"], outcome["name"]) == (False, 1, "SystemExit")


def test_a_cell_that_ends_the_kernel_is_named(tmp_path: Path) -> None:
    outcome, _, _ = run(tmp_path, "import sys  # exit()", "import os\nos._exit(0)", "x = 1")
    assert (outcome["cell"], outcome["name"], outcome["message"]) == (
        2,
        "DeadKernelError",
        "the kernel died (out of memory, `os._exit()` in cell 2, or a crash in native code)",
    )


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("if done:\n    quit()", ", `quit()` in cell 1"),
        ("x = 1; exit(0)", ", `exit()` in cell 1"),
        ("# quit()\nsys.exit(1)\nsession.quit()\nprint('exit()')\ndef exit(x): pass", ""),
        ("!ls\nexit()", ""),
    ],
)
def test_what_may_have_ended_a_kernel(source: str, words: str) -> None:
    """`quit()` asks the kernel to end after the cell; which cell it still reaches is chance."""
    why = runpy.run_path(str(RUNNER))["_why_dead"]
    assert why([new_markdown_cell("quit()"), new_code_cell(source), new_code_cell("y")]) == (
        f"the kernel died (out of memory{words}, or a crash in native code)"
    )


@pytest.mark.parametrize(
    ("traceback", "line"),
    [
        (
            "ValueError  Traceback\nCell In[2], line 2\n      1 a\n----> 2 f(0)\n\nCell In[1]",
            "f(0)",
        ),
        ("ValueError  Traceback\n<ipython-input-2> in <module>\n     12 a\n---> 13 f(0)", "f(0)"),
        (
            "gaierror  Traceback\nFile /lib/request.py:9, in do()\n----> 9 h.request()\n\n"
            "During handling of the above exception:\n\nURLError  Traceback\n"
            "Cell In[3], line 1\n----> 1 urlretrieve(a)\n\nFile /lib/request.py:9\n---> 19 x",
            "urlretrieve(a)",
        ),
        ('  File "<ipython-input-1-0a>", line 1\n    x = = 1\n        ^\nSyntaxError', "x = = 1"),
        ("  Cell In[1], line 1\n    x = = 1\n        ^\nSyntaxError", "x = = 1"),
        ("An exception has occurred, use %tb to see the full traceback.\n\nSystemExit: 3", ""),
    ],
)
def test_the_failing_line_in_the_words_of_several_ipythons(traceback: str, line: str) -> None:
    assert runpy.run_path(str(RUNNER))["_failing_line"](traceback) == line
