"""A Kaggle image rebuilt at home, from an index of tiny wheels; once from the real one."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from kagglekit.errors import NetworkError, RehearsalError
from kagglekit.offline import image as images
from kagglekit.rehearsal import replica
from tests.wheels_factory import make_wheel, tiny_image, use_index

HOST = f"{sys.version_info.major}.{sys.version_info.minor}"
KERNEL = ("ipykernel", "nbclient", "nbformat", "pip")
LIST = f"""\
# python: {HOST}
# glibc: 2.35
there==1.5
other==3.0
ipykernel==1.0
untold @ git+file:///untold
"""


def program(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index in which packages have newer versions than the image, and contradict it."""
    folder = use_index(monkeypatch, tmp_path / "index")
    for name in KERNEL:
        make_wheel(folder, name)
    make_wheel(folder, "ipykernel", "9.0")
    body = "value = 1\ndef main():\n    print(__file__)\n"
    there = make_wheel(folder, "there", "1.5", requires=["other>=7"], body=body)
    with zipfile.ZipFile(there, "a") as wheel:
        script = "[console_scripts]\nwhere = there:main\n"
        wheel.writestr("there-1.5.dist-info/entry_points.txt", script)
    make_wheel(folder, "there", "2.0")
    make_wheel(folder, "other", "3.0")
    make_wheel(folder, "other", "8.0")
    make_wheel(folder, "mine", requires=["there", "helper", "untold"])
    make_wheel(folder, "helper")
    make_wheel(folder, "untold", "4.0")
    monkeypatch.setenv("KAGGLEKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(replica, "find_python", lambda version: (sys.executable, ()))
    return folder


def installed(made: replica.Replica) -> set[str]:
    folders = (made.folder / "lib").glob("python*/site-packages/*.dist-info")
    return {folder.name.removesuffix(".dist-info") for folder in folders}


@pytest.mark.usefixtures("index")
def test_versions_are_the_image_s_even_where_packages_ask_for_others() -> None:
    made = replica.make_replica(tiny_image(LIST), ["there"])
    assert made.packages == {
        "ipykernel": "1.0",
        "nbclient": "1.0",
        "nbformat": "1.0",
        "other": "3.0",
        "pip": "1.0",
        "there": "1.5",
    }
    assert installed(made) == {f"{name}-{version}" for name, version in made.packages.items()}
    assert made.python == ".".join(map(str, sys.version_info[:3]))
    assert made.warnings == ()
    assert made.folder.parent == replica.cache_root() / "replicas"


@pytest.mark.usefixtures("index")
def test_the_image_s_builds_do_not_ask_for_what_the_image_lacks(tmp_path: Path) -> None:
    """Else pip would not install a bundle that needs `there`."""
    made = replica.make_replica(tiny_image(LIST), ["there"])
    uv = [replica.tools.find_uv(), "pip"]
    subprocess.run([*uv, "check", "--quiet", "--python", made.executable], check=True)
    # uv's cache, to which the environment is linked, keeps the wheel as it was published.
    plain = ["install", "--quiet", "--no-deps", "--target", str(tmp_path / "plain"), "there==1.5"]
    subprocess.run([*uv, *plain, "--python", made.executable], check=True)
    metadata = tmp_path / "plain" / "there-1.5.dist-info" / "METADATA"
    assert "Requires-Dist: other>=7" in metadata.read_text()


@pytest.mark.usefixtures("index")
def test_what_the_bundle_brings_is_left_out() -> None:
    made = replica.make_replica(tiny_image(LIST), ["mine"], bundled=["Mine", "helper"])
    assert set(made.packages) == {*KERNEL, "other", "there", "untold"}
    assert made.packages["untold"] == "4.0"  # the image's own version is not known
    assert not {name.split("-")[0] for name in installed(made)} & {"mine", "helper"}


def test_the_index_s_torch_brings_its_own_cuda(index: Path) -> None:
    listed = LIST + "torch==2.0+cu128\nnvidia-nccl==1.0\ncuda-bindings==1.0\n"
    needs = ["nvidia-nccl==2.0", "cuda-bindings>=2", "other>=7"]
    make_wheel(index, "torch", "2.0", requires=needs)
    for name in ("nvidia_nccl", "cuda_bindings"):
        make_wheel(index, name, "1.0")
        make_wheel(index, name, "2.0")
    image = tiny_image(listed)
    made = replica.make_replica(image, ["torch"])
    assert set(made.packages.items()) >= {("nvidia-nccl", "2.0"), ("cuda-bindings", "2.0")}
    assert made.packages["other"] == "3.0"
    told = [
        change for change in replica.drift(image, made) if change[0] in ("nvidia-nccl", "torch")
    ]
    assert told == [("nvidia-nccl", "1.0", "2.0")]


@pytest.mark.usefixtures("index")
def test_it_has_uv_which_is_no_package_of_the_list() -> None:
    made = replica.make_replica(tiny_image(LIST), ["there"])
    uv = made.folder / "bin" / "uv"
    assert uv.read_bytes() == Path(replica.tools.find_uv()).read_bytes()
    assert os.access(uv, os.X_OK)
    assert "uv" not in made.packages
    assert "uv" not in {name for name, _, _ in replica.drift(tiny_image(LIST), made)}


@pytest.mark.usefixtures("index")
def test_it_is_built_once_and_again_after_an_interruption() -> None:
    image = tiny_image(LIST)
    first = replica.make_replica(image, ["there"])
    left = first.folder / "left-by-the-first-build"
    left.touch()
    assert replica.make_replica(image, ["there", "there"]) == first
    assert left.exists()
    (first.folder / ".complete").unlink()
    assert replica.make_replica(image, ["there"]) == first
    assert not left.exists()
    assert replica.make_replica(image, ["there", "helper"]).folder != first.folder


@pytest.mark.usefixtures("index")
def test_the_cache_keeps_the_four_used_last() -> None:
    packages = ["there", "other", "helper", "untold", "mine"]
    made = [replica.make_replica(tiny_image(LIST), [name]) for name in packages[:4]]
    for age, each in enumerate(made):
        os.utime(each.folder / ".complete", (age, age))
    replica.make_replica(tiny_image(LIST), [packages[0]])  # used again: now the second is oldest
    fifth = replica.make_replica(tiny_image(LIST), [packages[4]])
    there = {folder.name for folder in fifth.folder.parent.iterdir()}
    assert there == {each.folder.name for each in (made[0], made[2], made[3], fifth)}


@pytest.mark.usefixtures("index")
def test_a_clone_is_independent() -> None:
    made = replica.make_replica(tiny_image(LIST), ["there"])
    before = installed(made)
    clone = made.clone(made.folder.parent / "clone")
    assert clone.packages == made.packages
    assert installed(clone) == before
    code = "import sys, there; print(sys.prefix, there.__file__, there.value)"
    done = subprocess.run([clone.executable, "-c", code], capture_output=True, text=True)
    prefix, module, value = done.stdout.split()
    assert (prefix, value) == (str(clone.folder), "1")
    assert Path(module).is_relative_to(clone.folder)
    script = subprocess.run([clone.folder / "bin" / "where"], capture_output=True, text=True)
    assert script.stdout == f"{module}\n"  # its programs are its own too
    uv = [replica.tools.find_uv(), "pip"]
    for command in ("install", "helper"), ("uninstall", "there"):
        subprocess.run([*uv, *command, "--quiet", "--python", clone.executable], check=True)
    assert installed(clone) == (before | {"helper-1.0"}) - {"there-1.5"}
    assert installed(made) == before


@pytest.mark.parametrize(
    ("line", "struck"),
    [
        ("Requires-Dist: other>=7\n", True),
        ("Requires-Dist: Other (>=7) ; python_version > '3'\n", True),
        ("Requires-Dist: other>=3\n", False),
        ("Requires-Dist: other\n", False),
        ("Requires-Dist: helper>=9\n", False),  # the bundle's own affair
        ("Requires-Dist: other (>=7.*)\n", False),  # not valid
        ("Summary: other>=7\n", False),
    ],
)
def test_contradictions(line: str, struck: bool) -> None:
    assert replica._contradicts(line, {"other": "3.0"}) is struck


def test_a_clone_is_copied_where_it_cannot_be_linked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = replica.Replica(tmp_path / "made", {}, "3.12.1", ())
    (made.folder / "lib").mkdir(parents=True)
    (made.folder / "lib" / "x.py").write_text("x = 1\n")
    linked = made.clone(tmp_path / "linked")
    assert (linked.folder / "lib" / "x.py").samefile(made.folder / "lib" / "x.py")

    def refuse(source: str, target: str) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    copied = made.clone(tmp_path / "copied")
    assert not (copied.folder / "lib" / "x.py").samefile(made.folder / "lib" / "x.py")
    assert (copied.folder / "lib" / "x.py").read_text() == "x = 1\n"


@pytest.mark.usefixtures("index")
def test_uv_s_own_words_when_there_is_no_such_package() -> None:
    with pytest.raises(RehearsalError) as caught:
        replica.make_replica(tiny_image(LIST), ["nosuch"])
    lines = str(caught.value).splitlines()
    assert lines[0] == "`uv pip compile` failed while building the replica"
    assert "nosuch was not found" in lines[1]
    assert not list(replica.cache_root().glob("replicas/*"))


def test_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLEKIT_CACHE", "/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert replica.cache_root() == Path("/a")
    monkeypatch.delenv("KAGGLEKIT_CACHE")
    assert replica.cache_root() == Path("/b/kagglekit")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/c")
    assert replica.cache_root() == Path("/c/.cache/kagglekit")


class TestFindPython:
    @pytest.fixture(autouse=True)
    def _machine(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A machine with nothing on PATH, no pyenv, and a uv that finds nothing."""
        self.path, self.pyenv = tmp_path / "bin", tmp_path / "pyenv"
        self.path.mkdir()
        monkeypatch.setenv("PATH", str(self.path))
        monkeypatch.setenv("PYENV_ROOT", str(self.pyenv))
        uv = program(tmp_path / "uv", "exit 1")
        self.uv = uv
        monkeypatch.setattr(replica.tools, "find_uv", lambda: str(uv))

    def test_on_path(self) -> None:
        python = program(self.path / "python3.98", "echo Python 3.98.1")
        assert replica.find_python("3.98") == (str(python), ())

    def test_a_stand_in_that_does_not_answer_is_passed_over(self) -> None:
        program(
            self.path / "python3.98", "echo 'pyenv: python3.98: command not found' >&2; exit 127"
        )
        python = program(self.pyenv / "versions/3.98.4/bin/python", "echo Python 3.98.4")
        assert replica.find_python("3.98") == (str(python), ())

    @pytest.mark.parametrize("body", ["echo Python 3.9.8", "echo Python 3.981.0", "exit 0"])
    def test_another_version_is_passed_over(self, body: str) -> None:
        program(self.path / "python3.98", body)
        assert replica.find_python("3.98")[0] == sys.executable

    def test_a_program_of_another_machine_is_passed_over(self) -> None:
        wrong = program(self.path / "python3.98", "")
        wrong.write_bytes(b"\x7fELF nothing")
        assert replica.find_python("3.98")[0] == sys.executable

    def test_through_uv(self) -> None:
        program(self.uv, '[ "$*" = "python install --quiet 3.98" ]')
        assert replica.find_python("3.98") == ("3.98", ())

    @pytest.mark.parametrize("says", ["no such version", "error sending request for it"])
    def test_else_this_one_and_what_is_left_unproved(self, says: str) -> None:
        program(self.uv, f"echo '{says}' >&2; exit 2")
        python, warnings = replica.find_python("3.98")
        assert python == sys.executable
        assert warnings == (
            f"the image has Python 3.98, this machine only {HOST}: whether the bundle's wheels "
            "match Python 3.98 and whether the notebook's syntax runs there was not proved. "
            "Install Python 3.98 (pyenv, or `uv python install 3.98`) for a full rehearsal",
        )


@pytest.mark.slow
@pytest.mark.network
def test_the_real_image_runs_a_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLEKIT_CACHE", str(tmp_path))
    image = images.load(images.DEFAULT)
    try:
        made = replica.make_replica(image, ["numpy"])
    except NetworkError:
        pytest.skip("the package index cannot be reached")
    assert made.packages["numpy"] == image.packages["numpy"]
    clone = made.clone(tmp_path / "clone")
    version = [clone.executable, "-c", "import numpy; print(numpy.__version__)"]
    done = subprocess.run(version, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == image.packages["numpy"]
    pip = subprocess.run(
        [clone.folder / "bin" / "pip", "--version"], capture_output=True, text=True, check=True
    )
    assert str(clone.folder) in pip.stdout  # and not the pip of the environment it came from


def test_without_the_images_python_it_is_the_list_on_this_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = images.load(images.DEFAULT)
    monkeypatch.setattr(replica, "find_python", lambda version: (sys.executable, ()))
    assert replica.reachable(image) == (image, ())
    monkeypatch.setattr(replica, "find_python", lambda version: (sys.executable, ("other",)))
    other, warnings = replica.reachable(image)
    assert (other.python, warnings) == (HOST, ("other",))
    assert (other.name, other.packages) == (image.name, image.packages)


def test_what_does_not_exist_for_this_python_comes_in_the_nearest_version(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel(index, "late", "1.0")
    make_wheel(index, "early", "1.0")
    make_wheel(index, "early", "2.0")
    listed = f"{LIST}late==9.0\nearly==1.0\n"  # the image has a `late` that this Python never had
    image = images.parse(listed, "image")
    made = replica.make_replica(image, ["late", "early"], exact=False)
    assert made.packages["late"] == "1.0"
    assert made.packages["early"] == "1.0"  # as on the image, although there is a newer one
    with pytest.raises(RehearsalError):
        replica.make_replica(image, ["late", "early"])


def test_a_full_disk_while_it_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise shutil.Error([("a", "b", "[Errno 28] No space left on device")] * 9000)

    monkeypatch.setattr(shutil, "copytree", full)
    with pytest.raises(RehearsalError) as caught:
        replica.Replica(tmp_path, {}, "3.12.1", ()).clone(tmp_path / "copy")
    assert str(caught.value) == (
        f"the replica cannot be copied to `{tmp_path / 'copy'}`\n"
        "  - 9000 files, the first: [Errno 28] No space left on device"
    )
