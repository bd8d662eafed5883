"""install.py for real: in a clean environment of Kaggle's Python, without network if possible."""

import os
import platform
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from kagglekit.offline import bundle, tools
from tests.isolation import nobody, offline
from tests.wheels_factory import TINY_LIST, make_parts, make_wheel, tiny_image, use_index

PYTHON = Path.home() / ".pyenv" / "versions" / "3.12.1" / "bin" / "python"
GLIBC = platform.libc_ver()[1]
FIRST_CELL = """
import runpy, sys
for name in sys.argv[2:]:
    __import__(name)
runpy.run_path(sys.argv[1], run_name="__main__")
print("next cell")
import asked
assert asked.__file__, "importable in the same process"
"""

needs_python = pytest.mark.skipif(not PYTHON.exists(), reason=f"no Python 3.12.1 at {PYTHON}")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_parts(tmp_path_factory.mktemp("parts"))


@pytest.fixture
def made(parts: Path, tmp_path: Path) -> Path:
    return shutil.copytree(parts / "my-bundle", tmp_path / "input" / "my-bundle")


@pytest.fixture
def kernel(parts: Path, tmp_path: Path) -> Path:
    """A fresh environment with what the image has; its Python."""
    venv = tmp_path / "kernel"
    uv = tools.find_uv()
    python = venv / "bin" / "python"
    settings = ["--offline", "--no-config", "--no-index", "--find-links", str(parts / "image")]
    subprocess.run([uv, "venv", "--quiet", "--python", str(PYTHON), str(venv)], check=True)
    install_image = [uv, "pip", "install", "--quiet", "--python", str(python), *settings]
    subprocess.run([*install_image, "there", "opencv-python"], check=True)
    return python


def run(kernel: Path, script: Path, *imported: str) -> "subprocess.CompletedProcess[str]":
    command = [str(kernel), "-c", FIRST_CELL, str(script), *imported]
    return subprocess.run(
        offline(command), capture_output=True, text=True, check=False, cwd=kernel.parent
    )


def installed(kernel: Path) -> set[str]:
    site = next(kernel.parent.parent.glob("lib/python*/site-packages"))
    return {path.name.split(".dist-info")[0] for path in site.glob("*.dist-info")}


IMAGE_ONLY = {"there-1.5", "opencv_python-4.13.0.92"}
COMPLETE = IMAGE_ONLY | {"asked-1.0", "helper-1.0", "mine-1.0"}


@needs_python
def test_the_first_cell_and_a_second_run(kernel: Path, made: Path) -> None:
    done = run(kernel, made / "install.py")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].endswith(" for tiny, Python 3.12")
    assert lines[1:4] == [
        "installed  helper 1.0, asked 1.0, mine 1.0",
        "unchanged  0 of 3 wheels were installed already",
        "drift      nothing",
    ]
    assert re.fullmatch(r"time       [0-9.]+ s, [0-9.]+ s of it for imports, by uv", lines[4])
    assert lines[5:] == ["next cell"]
    assert installed(kernel) == COMPLETE

    before = {path: path.stat().st_mtime_ns for path in kernel.parent.parent.rglob("*.dist-info/*")}
    again = run(kernel, made / "install.py", "asked", "mine")
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[1:3] == [
        "installed  nothing",
        "unchanged  3 of 3 wheels were installed already",
    ]
    assert before == {path: path.stat().st_mtime_ns for path in before}


@pytest.fixture
def with_pip(kernel: Path) -> Path:
    """The same with pip; its Python."""
    [pip] = PYTHON.parents[1].glob("lib/python3.12/ensurepip/_bundled/pip-*.whl")
    put(kernel, pip)
    return kernel


def without_uv(kernel: Path, script: Path) -> "subprocess.CompletedProcess[str]":
    """Run the first cell where nothing but the kernel's own programs is on PATH."""
    env = {"PATH": f"{kernel.parent}:/usr/bin:/bin", "PIP_INDEX_URL": "http://127.0.0.1:9"}
    command = [str(kernel), "-c", FIRST_CELL, str(script)]
    return subprocess.run(
        offline(command), capture_output=True, text=True, check=False, env=os.environ | env
    )


@needs_python
def test_pip_where_there_is_no_uv(with_pip: Path, made: Path) -> None:
    path = f"{with_pip.parent}:/usr/bin:/bin"
    assert shutil.which("uv", path=path) is None, "this test wants a PATH without uv"
    done = without_uv(with_pip, made / "install.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[4].endswith(" s of it for imports, by pip")
    assert installed(with_pip) > COMPLETE


def broken_uv(kernel: Path, content: bytes) -> None:
    (kernel.parent / "uv").write_bytes(content)
    (kernel.parent / "uv").chmod(0o755)


TOO_OLD = b"#!/bin/sh\necho \"error: unexpected argument '--no-config' found\" >&2; exit 2\n"


@needs_python
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (TOO_OLD, "(uv: error: unexpected argument '--no-config' found …)"),
        (b"\x7fELF of another machine", "(uv: [Errno 8] Exec format error: '{uv}' …)"),
        (b"#!/bin/sh\nexit 1\n", "(uv: no message …)"),
    ],
)
def test_pip_where_uv_cannot(with_pip: Path, made: Path, content: bytes, said: str) -> None:
    broken_uv(with_pip, content)
    done = without_uv(with_pip, made / "install.py")
    assert done.returncode == 0, done.stderr
    note = said.format(uv=with_pip.parent / "uv")
    assert done.stdout.splitlines()[4].endswith(f" s of it for imports, by pip {note}")
    assert installed(with_pip) > COMPLETE


@needs_python
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "neither uv nor pip is here"),
        (TOO_OLD, "uv: error: unexpected argument '--no-config'"),
    ],
)
def test_nothing_that_could_install(kernel: Path, made: Path, content: bytes, said: str) -> None:
    if content:
        broken_uv(kernel, content)
    done = without_uv(kernel, made / "install.py")
    assert done.returncode == 1
    assert f"InstallError: the bundle could not be installed\n  - {said}" in done.stderr
    assert installed(kernel) == IMAGE_ONLY


@needs_python
def test_what_an_environment_borrows_from_the_system_is_pip_s_affair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uv does not see the system's packages from an environment that borrows them."""
    say = [str(PYTHON), "-c", "import pip; print(pip.__version__)"]
    pip = subprocess.run(say, capture_output=True, text=True, check=True).stdout.strip()
    make_wheel(use_index(monkeypatch, tmp_path / "index"), "asked", requires=["pip"])
    kaggle = tiny_image(f"# python: 3.12\n# glibc: 2.35\npip=={pip}\n")
    bundle.build(["asked"], kaggle, tmp_path / "my-bundle")
    venv = [tools.find_uv(), "venv", "-q", "--system-site-packages", "--python", str(PYTHON)]
    subprocess.run([*venv, str(tmp_path / "borrowing")], check=True)
    python = tmp_path / "borrowing" / "bin" / "python"
    done = run(python, tmp_path / "my-bundle" / "install.py")
    assert done.returncode == 0, done.stderr
    assert re.search(r", by pip \(uv: .+ …\)$", done.stdout.splitlines()[4])
    assert installed(python) == {"asked-1.0"}


@needs_python
def test_a_bundle_one_folder_deeper(kernel: Path, made: Path) -> None:
    deeper = made / "archive"
    deeper.mkdir()
    for path in list(made.iterdir()):
        if path.is_file() and path.name != "install.py":
            path.rename(deeper / path.name)
    shutil.copy(made / "install.py", deeper)
    done = run(kernel, made / "install.py")
    assert done.returncode == 0, done.stderr
    assert installed(kernel) == COMPLETE


@needs_python
@pytest.mark.parametrize("everything", [True, False])
def test_a_bundle_whose_wheels_came_as_one_zip(kernel: Path, made: Path, everything: bool) -> None:
    packed = [path for path in made.iterdir() if everything or path.suffix == ".whl"]
    with zipfile.ZipFile(made / "archive.zip", "w") as archive:
        for path in packed:
            archive.write(path, f"my-bundle/{path.name}")
    for path in packed:
        if path.name != "install.py":
            path.unlink()
    done = run(kernel, made / "install.py")
    assert done.returncode == 0, done.stderr
    assert installed(kernel) == COMPLETE


@needs_python
@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_nobody_with_read_only_input_and_home(
    request: pytest.FixtureRequest, made: Path, tmp_path: Path, installer: str
) -> None:
    kernel = request.getfixturevalue("kernel" if installer == "uv" else "with_pip")
    path = os.environ["PATH"] if installer == "uv" else f"{kernel.parent}:/usr/bin:/bin"
    home = tmp_path / "home"
    home.mkdir()
    for folder in (made, home):
        for each in (*folder.iterdir(), folder):
            each.chmod(0o555 if each.is_dir() else 0o444)
    cell = f"open({str(home)!r} + '/x', 'w')\n"  # the control: nothing can be written there
    env = os.environ | {"HOME": str(home), "PATH": path}
    refused = subprocess.run(
        nobody([str(kernel), "-c", cell]), capture_output=True, text=True, env=env
    )
    assert "PermissionError" in refused.stderr
    command = nobody([str(kernel), "-c", FIRST_CELL, str(made / "install.py")])
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[4].endswith(f", by {installer}")
    assert installed(kernel) >= COMPLETE


@needs_python
def test_no_process_of_it_reaches_for_the_network(kernel: Path, made: Path, tmp_path: Path) -> None:
    """uv is no Python, so the system calls are watched; one that does connect is the control."""
    if shutil.which("strace") is None:
        pytest.skip("no strace on this machine to watch system calls with")
    watch = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg", "-o"]
    reach = "import socket; socket.socket().connect_ex(('127.0.0.1', 9))"
    inner = [
        str(kernel),
        "-c",
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {reach!r}])",
    ]
    for name, command in (
        ("reaching", inner),
        ("install", [str(kernel), "-c", FIRST_CELL, str(made / "install.py")]),
    ):
        done = subprocess.run(
            offline([*watch, str(tmp_path / name), *command]), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert "sin_port=htons(9)" in (tmp_path / "reaching").read_text()
    told = (tmp_path / "install").read_text().splitlines()
    assert [line for line in told if "AF_INET" in line] == []


def refused(kernel: Path, script: Path, *imported: str, left: set[str] = IMAGE_ONLY) -> str:
    """Run the first cell, which must stop the notebook and leave the kernel as it was."""
    done = run(kernel, script, *imported)
    assert done.returncode == 1
    assert "next cell" not in done.stdout
    assert installed(kernel) == left
    return done.stderr[done.stderr.index("InstallError: ") + len("InstallError: ") :]


@needs_python
def test_a_swapped_wheel(kernel: Path, made: Path) -> None:
    make_wheel(made, "helper", body="import os; os.environ['STOLEN'] = '1'\n")
    assert refused(kernel, made / "install.py") == (
        f"the bundle {made} is damaged; nothing was installed\n"
        "  - `helper-1.0-py3-none-any.whl` is not the file that was built: its sha256 differs\n"
        "hint: build it again and upload it as a new version\n"
    )


@needs_python
def test_something_is_imported_already(kernel: Path, made: Path) -> None:
    other = kernel.parent / "helper.py"
    other.write_text("")
    assert refused(kernel, made / "install.py", "helper") == (
        "packages of the bundle are already imported; nothing was installed\n"
        f"  - `helper` from {other}\n"
        "hint: restart the session and run this cell before any import\n"
    )


@needs_python
def test_another_version_is_there(kernel: Path, made: Path, tmp_path: Path) -> None:
    newer = make_wheel(tmp_path / "newer", "helper", "2.0")
    put(kernel, newer)
    said = refused(kernel, made / "install.py", left={*IMAGE_ONLY, "helper-2.0"})
    assert said == (
        "`helper` 1.0 is in the bundle, but 2.0 is installed; nothing was replaced\n"
        "hint: if an earlier bundle put it there: `pip uninstall --yes helper`, or start a new"
        " session; if the image has it now: rebuild the bundle for this image\n"
    )


@needs_python
def test_another_build_of_the_version_is_there(kernel: Path, made: Path, tmp_path: Path) -> None:
    put(kernel, make_wheel(tmp_path / "other", "helper", "1.0", body="other = True\n"))
    said = refused(kernel, made / "install.py", left={*IMAGE_ONLY, "helper-1.0"})
    assert said.startswith("`helper` 1.0 is in the bundle, but 1.0 (another build) is installed;")


def put(kernel: Path, wheel: Path) -> None:
    command = [tools.find_uv(), "pip", "install", "-q", "--offline", "--no-deps", "--python"]
    subprocess.run([*command, str(kernel), str(wheel)], check=True)


def take(kernel: Path, name: str) -> None:
    command = [tools.find_uv(), "pip", "uninstall", "-q", "--python", str(kernel), name]
    subprocess.run(command, check=True)


@needs_python
def test_the_image_lacks_what_the_bundle_counts_on(kernel: Path, made: Path) -> None:
    take(kernel, "there")
    assert refused(kernel, made / "install.py", left={"opencv_python-4.13.0.92"}) == (
        "this Kaggle image lacks what the bundle counts on; nothing was installed\n"
        "  - `there` is not installed (the image had 1.5)\n"
        "hint: rebuild it for this notebook's image: --image NAME (`kagglekit images` lists them)\n"
    )


@needs_python
def test_drift_within_what_the_wheels_allow(kernel: Path, made: Path, tmp_path: Path) -> None:
    take(kernel, "there")
    put(kernel, make_wheel(tmp_path / "drifted", "there", "1.6"))
    done = run(kernel, made / "install.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[3] == "drift      harmless: `there` is 1.6 (the image had 1.5)"


@needs_python
def test_drift_that_matters(kernel: Path, made: Path, tmp_path: Path) -> None:
    take(kernel, "there")
    put(kernel, make_wheel(tmp_path / "drifted", "there", "1.0"))
    said = refused(
        kernel, made / "install.py", left={"there-1.0", "opencv_python-4.13.0.92"}
    ).splitlines()
    assert said[0] == "the bundle could not be installed"
    assert any("there" in line and ">=1.4" in line for line in said)
    assert said[-2] == "  - `there` is 1.0 (the image had 1.5)"


@needs_python
def test_another_opencv_stands_in(kernel: Path, made: Path, tmp_path: Path) -> None:
    take(kernel, "opencv-python")
    put(kernel, make_wheel(tmp_path / "drifted", "opencv_contrib_python", "4.13.0.92"))
    done = run(kernel, made / "install.py")
    assert done.returncode == 0, done.stderr
    assert installed(kernel) == (COMPLETE - {"opencv_python-4.13.0.92"}) | {
        "opencv_contrib_python-4.13.0.92"
    }


@needs_python
@pytest.mark.parametrize("body", ["import nosuchmodule\n", "import os; os._exit(7)\n"])
def test_what_does_not_import_is_removed_again(
    kernel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    index = use_index(monkeypatch, tmp_path / "index")
    make_wheel(index, "asked", body=body)
    out = tmp_path / "my-bundle"
    bundle.build(["asked"], tiny_image(), out)
    said = refused(kernel, out / "install.py").splitlines()
    assert said[0] == "the bundle does not import; it was removed again"
    assert said[1] in {
        "  - `import asked`: ModuleNotFoundError: No module named 'nosuchmodule'",
        "  - the check ended with status 7",
    }


@needs_python
def test_a_python_that_the_wheels_do_not_fit(
    kernel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = use_index(monkeypatch, tmp_path / "index")
    make_wheel(index, "asked", tag="cp313-cp313-manylinux_2_17_x86_64")
    newer = tiny_image(TINY_LIST.replace("3.12.13", "3.13.1"), "newer")
    out = tmp_path / "my-bundle"
    bundle.build(["asked"], newer, out)
    assert refused(kernel, out / "install.py") == (
        f"the bundle does not fit this kernel, which runs Python 3.12, glibc {GLIBC};"
        " nothing was installed\n"
        "  - built for newer: Python 3.13, glibc 2.35\n"
        "hint: rebuild it for this notebook's image: --image NAME (`kagglekit images` lists them)\n"
    )


@needs_python
def test_of_several_images_the_one_that_fits(
    kernel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = use_index(monkeypatch, tmp_path / "index")
    for python in ("cp312", "cp313"):
        make_wheel(index, "asked", tag=f"{python}-{python}-manylinux_2_17_x86_64")
    newer = tiny_image(TINY_LIST.replace("3.12.13", "3.13.1"), "newer")
    out = tmp_path / "my-bundle"
    bundle.build(["asked"], [newer, tiny_image()], out)
    done = run(kernel, out / "install.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].endswith(" for tiny, Python 3.12")


@needs_python
@pytest.mark.skipif(GLIBC >= "2.40", reason="this machine's glibc is as new as the test's")
def test_a_glibc_that_is_too_old(
    kernel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = use_index(monkeypatch, tmp_path / "index")
    make_wheel(index, "asked", tag="cp312-cp312-manylinux_2_40_x86_64")
    newer = tiny_image(TINY_LIST.replace("glibc: 2.35", "glibc: 2.40"), "newer")
    out = tmp_path / "my-bundle"
    bundle.build(["asked"], newer, out)
    said = refused(kernel, out / "install.py").splitlines()
    assert said[1] == "  - built for newer: Python 3.12, glibc 2.40"


def fake_gpu(kernel: Path, capability: str, name: str) -> None:
    """Give the kernel an nvidia-smi with that GPU, and a torch that was compiled for others."""
    program = kernel.with_name("nvidia-smi")
    program.write_text(f"#!/bin/sh\necho '{capability}, {name}'\n")
    program.chmod(0o755)
    body = "class cuda:\n    get_arch_list = staticmethod(lambda: ['sm_70', 'sm_75'])\n"
    put(kernel, make_wheel(kernel.parent, "torch", "2.10.0", body=body))


@needs_python
@pytest.mark.parametrize(
    ("capability", "name", "fine"), [("6.0", "Tesla P100-PCIE-16GB", False), ("7.5", "T4", True)]
)
def test_a_gpu_that_torch_was_not_compiled_for(
    kernel: Path,
    made: Path,
    monkeypatch: pytest.MonkeyPatch,
    capability: str,
    name: str,
    fine: bool,
) -> None:
    fake_gpu(kernel, capability, name)
    monkeypatch.setenv("PATH", f"{kernel.parent}:{os.environ['PATH']}")
    if fine:
        assert run(kernel, made / "install.py").returncode == 0
        return
    assert refused(kernel, made / "install.py", left={*IMAGE_ONLY, "torch-2.10.0"}) == (
        "torch has no code for this session's Tesla P100-PCIE-16GB (compute capability 6.0);"
        " nothing was installed\n"
        "  - torch was compiled for sm_70 sm_75\n"
        "hint: choose the accelerator GPU T4 x2 in the notebook's settings\n"
    )
