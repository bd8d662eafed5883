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


def offline(command: list[str]) -> list[str]:
    """Put a command into a network namespace with nothing in it, where the system allows that."""
    unshare = shutil.which("unshare")
    if unshare and subprocess.run([unshare, "-rn", "true"], check=False).returncode == 0:
        return [unshare, "-rn", *command]
    return command


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
    assert re.fullmatch(r"time       [0-9.]+ s, [0-9.]+ s of it for imports", lines[4])
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


@needs_python
def test_pip_where_there_is_no_uv(kernel: Path, made: Path, parts: Path, tmp_path: Path) -> None:
    subprocess.run([str(PYTHON), "-m", "venv", str(tmp_path / "with-pip")], check=True)
    python = tmp_path / "with-pip" / "bin" / "python"
    get = [str(python), "-m", "pip", "install", "-q", "--no-index", "--find-links"]
    subprocess.run([*get, str(parts / "image"), "there", "opencv-python"], check=True)
    path = {"PATH": f"{python.parent}:/usr/bin:/bin", "PIP_INDEX_URL": "http://127.0.0.1:9"}
    assert shutil.which("uv", path=path["PATH"]) is None, "this test wants a PATH without uv"
    command = [str(python), "-c", FIRST_CELL, str(made / "install.py")]
    done = subprocess.run(
        offline(command), capture_output=True, text=True, check=False, env=os.environ | path
    )
    assert done.returncode == 0, done.stderr
    assert installed(python) >= COMPLETE


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
def test_read_only_input(kernel: Path, made: Path) -> None:
    for path in made.iterdir():
        path.chmod(0o444)
    made.chmod(0o555)
    done = run(kernel, made / "install.py")
    made.chmod(0o755)
    assert done.returncode == 0, done.stderr


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
