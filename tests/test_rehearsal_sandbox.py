"""What a command in the sandbox sees and what it cannot do, in both kinds of sandbox."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import ANY

import pytest

from kagglekit.rehearsal import rehearse, sandbox
from kagglekit.rehearsal.inside.family import descendants
from kagglekit.rehearsal.replica import Replica
from kagglekit.rehearsal.sandbox import Completed, Session

RUNNER = Path(rehearse.__file__).parent / "inside" / "runner.py"
VENV = Path(sys.prefix)
NOWHERE = "nowhere.invalid"


@pytest.fixture
def isolated() -> None:
    if sandbox.isolation():
        pytest.skip(f"this machine cannot isolate: {sandbox.isolation()}")


@pytest.fixture
def not_isolated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "isolation", lambda: "namespaces are not allowed")


@pytest.fixture
def session(tmp_path: Path) -> Session:
    tree = tmp_path / "tree"
    (tree / "test").mkdir(parents=True)
    (tree / "test" / "a.txt").write_text("pixels")
    working, scratch = tmp_path / "working", tmp_path / "scratch"
    working.mkdir()
    return Session({"competitions/bowl": tree, "weights": tree}, working, scratch, VENV)


def python(session: Session, code: str) -> tuple[Completed, list[str]]:
    lines: list[str] = []
    done = sandbox.run([str(VENV / "bin" / "python"), "-c", code], session, lines.append)
    return done, lines


def shell(session: Session, code: str) -> tuple[Completed, list[str]]:
    lines: list[str] = []
    return sandbox.run(["bash", "-c", code], session, lines.append), lines


@pytest.mark.parametrize("name", ["venv", "of two, a: b\\c"])
def test_what_is_changed_in_its_python_stays_out_of_the_folder(
    isolated: None, session: Session, tmp_path: Path, name: str
) -> None:
    """The replica's files are those of others, too: hard links to uv's cache, and to its copies."""
    folder = tmp_path / name
    (folder / "lib").mkdir(parents=True)
    for file in ("changed.py", "removed.py", "lib/deep.py"):
        (folder / file).write_text("as it was")
    replica = Replica(folder, {}, "3.12.1", ())
    own = sandbox.of_replica(replica, session.inputs, session.working, session.scratch)
    if not own.keeps_python:
        pytest.skip("this system has no overlays for users")
    assert own.python == folder
    at = json.dumps(str(folder))
    code = f"cd {at}; echo more >> changed.py; rm removed.py; echo new > lib/new.py; rm -r lib; mkdir lib"
    assert shell(own, code)[0].status == 0
    done, lines = shell(own, f"cd {at}; cat changed.py; ls . lib")
    assert (done.status, lines) == (0, ["as it wasmore", ".:", "changed.py", "lib", "", "lib:"])
    sandbox.forget(own)
    assert shell(own, f"cd {at}; cat changed.py")[1] == ["as it was"]
    sandbox.forget(own)
    assert sorted(path.name for path in folder.rglob("*.py")) == [
        "changed.py", "deep.py", "removed.py",
    ]  # fmt: skip
    assert {path.read_text() for path in folder.rglob("*.py")} == {"as it was"}
    assert not (session.scratch / "changes").exists()


def test_without_overlays_the_environment_is_a_copy(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether there are any depends on the disk that the session's folder is on."""
    (tmp_path / "replica").mkdir()
    (tmp_path / "replica" / "a.py").write_text("x")
    replica = Replica(tmp_path / "replica", {}, "3.12.1", ())
    monkeypatch.setattr(sandbox, "_refused", lambda _: "no upper layer on this disk")
    own = sandbox.of_replica(replica, session.inputs, session.working, session.scratch)
    assert (own.python, own.keeps_python) == (session.scratch / "venv", False)
    assert (own.python / "a.py").read_text() == "x"
    sandbox.forget(own)
    assert not own.python.exists()


def test_what_nobody_may_look_into_is_removed() -> None:
    with tempfile.TemporaryDirectory() as outer:
        folder = Path(outer, "changes")
        (folder / "work" / "work" / "deep").mkdir(parents=True)
        (folder / "upper").mkdir()
        (folder / "upper" / "link").symlink_to(outer)
        (folder / "work" / "work").chmod(0)
        (folder / "upper").chmod(0o500)
        if os.geteuid() == 0:  # who may do anything: be nobody meanwhile
            for path in (Path(outer), folder, *folder.rglob("*")):
                os.chown(path, 65534, 65534, follow_symlinks=False)
            os.seteuid(65534)
        try:
            sandbox.remove(folder)
        finally:
            os.seteuid(os.getuid())
        assert not folder.exists()
        assert Path(outer).is_dir()


def test_status_and_lines(session: Session) -> None:
    done, lines = shell(session, "echo out; echo aside >&2; printf 'no end'; exit 7")
    assert done.status == 7
    assert lines == ["out", "aside", "no end"]
    assert done.attempts == ()
    assert done.usage.seconds > 0
    quiet, lines = shell(session, "true")
    assert (quiet.status, lines) == (0, [])


@pytest.mark.usefixtures("isolated")
def test_inputs_can_be_read_and_not_written(session: Session) -> None:
    done, lines = shell(
        session,
        "pwd; cat /kaggle/input/competitions/bowl/test/a.txt; echo;"
        "echo x > /kaggle/working/submission.csv;"
        "touch /kaggle/input/new /kaggle/input/weights/new;"
        "echo x > /kaggle/input/weights/test/a.txt",
    )
    assert done.status != 0
    assert lines[:2] == ["/kaggle/working", "pixels"]
    assert [line.rpartition(": ")[2] for line in lines[2:]] == ["Read-only file system"] * 3
    assert (session.working / "submission.csv").read_text() == "x\n"
    tree = session.inputs["weights"]
    assert [path.name for path in tree.rglob("*")] == ["test", "a.txt"]
    assert (tree / "test" / "a.txt").read_text() == "pixels"


@pytest.mark.usefixtures("isolated")
def test_nothing_outside_is_changed_by_the_mounts(session: Session) -> None:
    before = Path("/proc/self/mounts").read_text()
    shell(session, "touch /kaggle/working/x")
    assert Path("/proc/self/mounts").read_text() == before
    assert list((session.scratch / "root").iterdir()) == []
    # A second session in the same folders works as the first.
    assert shell(session, "ls /kaggle/working")[1] == ["x"]


@pytest.mark.usefixtures("isolated")
def test_of_the_machine_only_the_system_is_there(session: Session) -> None:
    """No home, no other data; and what one run leaves in /tmp the next one does not find."""
    for path in (Path(__file__), session.inputs["weights"]):
        assert shell(session, f"ls '{path}' > /dev/null 2>&1 || echo none")[1] == ["none"], path
    left = "ls /tmp/left /var/tmp/left > /dev/null 2>&1 || echo none; echo x > /tmp/left"
    assert shell(session, left)[1] == ["none"]
    assert shell(session, left)[1] == ["none"]
    assert not Path("/tmp/left").exists()
    assert not (session.scratch / "tmp").exists()
    done, lines = python(session, "import kagglekit, numpy, tempfile; tempfile.mkdtemp()")
    assert done.status == 0, lines


@pytest.mark.usefixtures("isolated")
def test_a_python_in_bin_does_not_show_the_machine(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/python3")
    assert Path("/") not in dict(sandbox._shown(session, session.scratch))


@pytest.mark.usefixtures("isolated")
def test_it_needs_no_root() -> None:
    python, become = Path("/usr/bin/python3"), shutil.which("setpriv")
    if os.geteuid() or not python.exists() or not become:
        pytest.skip("only root can become nobody, with setpriv, and nobody needs a Python")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        shutil.copytree(RUNNER.parent, Path(folder, "inside"))
        for name in ("root", "x", "changes", "python"):
            Path(folder, name).mkdir()
            Path(folder, name).chmod(0o777)
        Path(folder, "x", "a.txt").touch()
        mounts = [["/kaggle/input/x", f"{folder}/x", "read"]]
        spec = {"root": f"{folder}/root", "mounts": mounts, "names": f"{folder}/names"}
        spec |= {"cwd": "/kaggle", "changes": f"{folder}/changes"}
        mounts.append([folder, folder, "write"])
        if Path("/proc/sys/kernel/osrelease").read_text() >= "5.11":
            mounts.append(["/python", f"{folder}/python", "change"])
        nobody = [become, "--reuid=65534", "--regid=65534", "--clear-groups"]
        unshare = ["unshare", "--user", "--map-root-user", "--mount", "--net"]
        command = [*nobody, *unshare, python, f"{folder}/inside/enter.py", json.dumps(spec)]
        listing = ["ls", "/kaggle/input/x"]
        done = subprocess.run([*command, *listing], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("a.txt\n", "")


@pytest.mark.usefixtures("isolated")
def test_home_is_where_it_is_on_kaggle(session: Session) -> None:
    code = "mkdir -p /root/.cache/torch && echo x > /root/.cache/torch/w.pth && cat ~/.cache/torch/w.pth"
    assert shell(session, code)[1] == ["x"]
    assert (session.scratch / "home" / ".cache" / "torch" / "w.pth").exists()
    assert not Path("/root/.cache/torch/w.pth").exists()


@pytest.mark.usefixtures("isolated")
def test_what_links_in_an_input_lead_to_is_there(session: Session, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    (tmp_path / "elsewhere" / "deep" / "w.pth").write_text("weights")
    (tmp_path / "elsewhere" / "hidden").write_text("")
    tree = session.inputs["weights"]
    (tree / "w.pth").symlink_to(tmp_path / "elsewhere" / "deep" / "w.pth")
    (tree / "deep").symlink_to(tmp_path / "elsewhere" / "deep")
    (tree / "gone").symlink_to(tmp_path / "gone")
    code = f"cd /kaggle/input/weights; cat w.pth deep/w.pth; echo; ls {tmp_path}/elsewhere"
    assert shell(session, code)[1] == ["weightsweights", "deep"]


@pytest.mark.usefixtures("isolated")
def test_it_ends_when_who_started_it_is_killed(session: Session) -> None:
    code = (
        "import sys; from pathlib import Path; from kagglekit.rehearsal.sandbox import Session, run;"
        f"session = Session({{}}, *map(Path, {[*map(str, (session.working, session.scratch, VENV))]}));"
        "run(['bash', '-c', 'echo started; sleep 600 & wait'], session, lambda line: print(line, flush=True))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as one:
        assert one.stdout is not None
        assert one.stdout.readline() == "started\n"
        [inside] = [pid for pid in descendants(one.pid) if b"started" in cmdline(pid)]
        one.kill()
    for _ in range(100):
        if not Path(f"/proc/{inside}").exists():
            break
        time.sleep(0.1)
    assert not Path(f"/proc/{inside}").exists()


def cmdline(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.mark.usefixtures("isolated")
def test_a_folder_that_is_not_there_is_told(session: Session, tmp_path: Path) -> None:
    wrong = Session({"weights": tmp_path / "gone"}, session.working, session.scratch, VENV)
    done, lines = shell(wrong, "true")
    assert done.status != 0
    assert any(str(tmp_path / "gone") in line for line in lines)


@pytest.mark.usefixtures("isolated")
@pytest.mark.parametrize(
    ("code", "host", "error"),
    [
        (f"socket.getaddrinfo('{NOWHERE}', 443)", NOWHERE, "gaierror"),
        ("socket.create_connection(('192.0.2.1', 80), timeout=9)", "192.0.2.1", "OSError"),
    ],
)
def test_there_is_no_network(session: Session, code: str, host: str, error: str) -> None:
    done, lines = python(session, f"import socket\n{code}")
    assert done.status == 1
    assert error in lines[-1]
    assert {(attempt["host"], attempt["where"]) for attempt in done.attempts} == {
        (host, "python -c")
    }


@pytest.mark.usefixtures("isolated")
def test_programs_that_are_not_python_have_no_network_either(session: Session) -> None:
    done, _ = shell(session, "exec 3<>/dev/tcp/192.0.2.1/80")
    assert done.status != 0


@pytest.mark.usefixtures("isolated")
def test_names_that_other_programs_look_up_are_noted_with_their_command(session: Session) -> None:
    lookup = f"getent ahosts {NOWHERE}"
    done, _ = shell(session, f"{lookup} & {lookup}; exec 3<>/dev/tcp/more.{NOWHERE}/80")
    assert done.status != 0
    assert list(done.attempts) == [
        {"host": NOWHERE, "port": "", "where": lookup},
        {"host": f"more.{NOWHERE}", "port": "", "where": ANY},
    ]
    assert f"more.{NOWHERE}" in done.attempts[1]["where"]  # the shell itself asked


@pytest.mark.usefixtures("isolated")
def test_the_name_server_is_nobody_s_child_and_ends_with_the_run(session: Session) -> None:
    (session.working / "look.py").write_text(
        "import os, pathlib, sys\n"
        "for entry in pathlib.Path('/proc').glob('[0-9]*'):\n"
        "    try:\n"
        "        line = (entry / 'cmdline').read_text()\n"
        "        parent = (entry / 'stat').read_text().rpartition(')')[2].split()[1]\n"
        "    except OSError:  # it has just ended\n"
        "        continue\n"
        "    if 'inside/enter.py' in line and sys.argv[1] in line:\n"
        "        print(entry.name, int(parent) == os.getpid())\n"
    )
    code = (
        f"import runpy, sys; sys.argv.append({str(session.scratch)!r}); runpy.run_path('look.py')"
    )
    _, lines = python(session, code)
    assert len(lines) == 1, lines
    [(server, is_child)] = [line.split() for line in lines]
    assert is_child == "False"
    for _ in range(100):
        if not Path("/proc", server).exists():
            break
        time.sleep(0.05)
    assert not Path("/proc", server).exists()


@pytest.mark.usefixtures("isolated")
def test_names_fail_as_on_kaggle_and_at_once(session: Session) -> None:
    code = f"import socket\nsocket.getaddrinfo('{NOWHERE}', 443)"
    _, lines = python(session, code)
    assert lines[-1] == "socket.gaierror: [Errno -3] Temporary failure in name resolution"


@pytest.mark.parametrize("isolation", ["isolated", "not_isolated"])
def test_folders_may_be_relative(
    session: Session,
    isolation: str,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    request.getfixturevalue(isolation)
    monkeypatch.chdir(session.working.parent)
    relative = Session({"weights": Path("tree")}, Path("working"), Path("scratch"), VENV)
    code = (
        "import os\n"
        "root = os.environ.get('KAGGLEKIT_INPUT', '/kaggle/input')\n"
        "print(os.listdir(f'{root}/weights'), os.path.isdir(os.environ['HOME']))"
    )
    assert python(relative, code)[1] == ["['test'] True"]


def test_a_session_can_talk_to_itself(session: Session) -> None:
    code = (
        "import socket\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "client = socket.create_connection(server.getsockname())\n"
        "client.sendall(b'hello')\n"
        "print(server.accept()[0].recv(5))"
    )
    done, lines = python(session, code)
    assert (done.status, lines, done.attempts) == (0, ["b'hello'"], ())


def test_nothing_of_the_host_s_environment_gets_in(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    monkeypatch.setenv("PYTHONPATH", "/host")
    monkeypatch.setenv("LANG", "C.UTF-8")
    settings = {"KAGGLEKIT_MINUTES": "2"}
    chosen = Session(session.inputs, session.working, session.scratch, VENV, settings)
    done, lines = python(chosen, "import json, os; print(json.dumps(dict(os.environ)))")
    assert done.status == 0
    seen = json.loads(lines[0])
    assert seen["KAGGLEKIT_MINUTES"] == "2"
    assert seen["LANG"] == "C.UTF-8"
    assert seen["KAGGLE_KERNEL_RUN_TYPE"] == "Batch"
    assert seen["PATH"].split(":")[0] == str(VENV / "bin")
    assert seen["HOME"] == (str(session.scratch / "home") if sandbox.isolation() else "/root")
    assert not any(path.is_file() for path in (session.scratch / "home").rglob("*"))
    allowed = {
        *{"KAGGLEKIT_MINUTES", "LANG", "LC_ALL", "LC_CTYPE", "TERM", "CUDA_VISIBLE_DEVICES"},
        *{"NVIDIA_VISIBLE_DEVICES", "PATH", "HOME", "KAGGLE_KERNEL_RUN_TYPE", "PYTHONPATH"},
        *{"PYDEVD_DISABLE_FILE_VALIDATION", "OMP_WAIT_POLICY", "KAGGLEKIT_WATCH", "PWD", "OLDPWD"},
        *{"KAGGLEKIT_INPUT", "KAGGLEKIT_WORKING", "KAGGLEKIT_REFUSE_NETWORK"},
        *{"KAGGLEKIT_STACKS", "MPLBACKEND"},
    }
    assert set(seen) <= allowed
    assert "/host" not in seen["PYTHONPATH"]


def test_attempts_of_an_earlier_run_are_forgotten_and_retries_count_once(session: Session) -> None:
    code = (
        "import socket\n"
        "for _ in range(3):\n"
        f"    try: socket.getaddrinfo('{NOWHERE}', 80)\n"
        "    except OSError: pass"
    )
    assert python(session, code)[0].attempts == (
        {"host": NOWHERE, "port": "80", "where": "python -c"},
    )
    assert python(session, "pass")[0].attempts == ()


def test_a_program_that_a_program_starts_is_watched(session: Session) -> None:
    (session.working / "fetch.py").write_text(
        f"import socket\nsocket.getaddrinfo('{NOWHERE}', 'https')\n"
    )
    package = session.working / "tool"
    package.mkdir()
    (package / "__main__.py").write_text("import fetch\n")
    done, _ = shell(session, "python fetch.py --now; python -m tool install weights")
    assert done.attempts == (
        {"host": NOWHERE, "port": "https", "where": "fetch.py --now"},
        {"host": NOWHERE, "port": "https", "where": "tool install weights"},
    )


def test_the_notebook_s_line_is_named(session: Session) -> None:
    """Of the main thread, of a thread it waits for, and of a program started from a cell."""
    import nbformat
    from nbformat.v4 import new_code_cell, new_notebook

    fetch = f"socket.getaddrinfo('{NOWHERE}', 80)"
    cells = [
        "import socket, threading",
        f"def fetch():\n    try:\n        {fetch}\n    except OSError:\n        pass",
        "fetch()  # here",
        "from concurrent.futures import ThreadPoolExecutor\n"
        "import helper\n"
        "with ThreadPoolExecutor() as pool:\n"
        "    print(pool.submit(helper.fetch).result())",
        "!python helper.py",
    ]
    (session.working / "helper.py").write_text(
        "import socket\n"
        "def fetch():\n"
        "    try:\n"
        f"        socket.getaddrinfo('{NOWHERE}', 443)\n"
        "    except OSError:\n"
        "        return 'refused'\n"
        "if __name__ == '__main__':\n"
        "    fetch()\n"
    )
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    path = session.working / "notebook.ipynb"
    nbformat.write(notebook, path)
    lines: list[str] = []
    command = [str(VENV / "bin" / "python"), str(RUNNER), str(path), str(path.parent / "r.json")]
    done = sandbox.run(command, session, lines.append)
    assert json.loads((session.working / "r.json").read_text())["ok"], lines
    assert "refused" in lines
    assert [(attempt["port"], attempt["where"]) for attempt in done.attempts] == [
        ("80", fetch),
        ("443", "print(pool.submit(helper.fetch).result())"),
        ("443", "helper.py"),
    ]


@pytest.mark.usefixtures("not_isolated")
class TestWithoutNamespaces:
    def test_inputs_are_shown_through_links(self, session: Session) -> None:
        code = (
            "from kagglekit import mounts\n"
            "print(mounts.find_input('bowl') / 'test' / 'a.txt')\n"
            "print(mounts.find_input('weights').resolve())\n"
            "print(mounts.working_root())"
        )
        for _ in range(2):  # the second finds the links of the first
            done, lines = python(session, code)
            assert done.status == 0, lines
        root = session.scratch / "input"
        assert lines == [
            f"{root}/competitions/bowl/test/a.txt",
            str(session.inputs["weights"]),
            str(session.working),
        ]

    def test_the_command_starts_in_the_working_folder(self, session: Session) -> None:
        assert python(session, "import os; print(os.getcwd())")[1] == [str(session.working)]

    @pytest.mark.parametrize(
        ("code", "host", "error"),
        [
            (
                f"socket.getaddrinfo('{NOWHERE}', 443)",
                NOWHERE,
                "socket.gaierror: [Errno -3] Temporary failure in name resolution",
            ),
            (
                "socket.create_connection(('192.0.2.1', 443), timeout=9)",
                "192.0.2.1",
                "socket.gaierror: [Errno -3] Temporary failure in name resolution",
            ),
            (
                "socket.socket().connect(('192.0.2.1', 443))",
                "192.0.2.1",
                "OSError: [Errno 101] Network is unreachable",
            ),
        ],
    )
    def test_python_is_refused_the_network(
        self, session: Session, code: str, host: str, error: str
    ) -> None:
        done, lines = python(session, f"import socket\n{code}")
        assert lines[-1] == error
        assert done.attempts == ({"host": host, "port": "443", "where": "python -c"},)


def test_why_a_system_cannot_isolate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check = sandbox.isolation.__wrapped__
    monkeypatch.setenv("PATH", str(tmp_path))
    assert check() == "this system has no `unshare`"
    unshare = tmp_path / "unshare"
    unshare.write_text("#!/bin/sh\necho 'unshare: Operation not permitted' >&2\nexit 1\n")
    unshare.chmod(0o755)
    assert check() == "namespaces are not allowed: unshare: Operation not permitted"
    unshare.write_text("#!/bin/sh\nexit 0\n")
    assert check() == ""
    assert os.environ["PATH"] == str(tmp_path)
