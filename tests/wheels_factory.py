"""Tiny real wheels, source packages and projects, made with zipfile; a folder of them as index."""

import base64
import gzip
import hashlib
import io
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from kagglekit.offline import bundle, image

TINY_LIST = """\
# python: 3.12.13
# glibc: 2.35
# accelerator: cpu
there==1.5
opencv-python==4.13.0.92
torch==2.10.0+cpu
"""


def tiny_image(text: str = TINY_LIST, name: str = "tiny") -> image.KaggleImage:
    """A Kaggle image of three packages."""
    return image.parse(text, name)


def make_wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    requires: Sequence[str] = (),
    tag: str = "py3-none-any",
    body: str = "",
) -> Path:
    """Write a wheel of one module `<name>/__init__.py` with the text `body`."""
    info = f"{name}-{version}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    metadata += [f"Requires-Dist: {line}" for line in requires]
    wheel = f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n"
    files = {
        f"{name}/__init__.py": body,
        f"{info}/METADATA": "\n".join(metadata) + "\n",
        f"{info}/WHEEL": wheel,
    }
    record = "".join(f"{path},{_digest(text)},{len(text)}\n" for path, text in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in files.items():
            archive.writestr(zipfile.ZipInfo(member), text)
    return path


def rewrite(path: Path, changes: Mapping[str, str | None]) -> Path:
    """Write a wheel anew with some members changed, added or (None) left out; RECORD stays."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in (files | changes).items():
            if text is not None:
                archive.writestr(zipfile.ZipInfo(name), text)
    return path


def make_sdist(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    buildable: bool = True,
    stamped: bool = False,
    members: Sequence[str] = (),
    **wheel: Any,
) -> Path:
    """Write a source package; when it is built, its backend hands out a finished wheel."""
    folder.mkdir(parents=True, exist_ok=True)
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    metadata += [f"Requires-Dist: {line}" for line in wheel.get("requires", ())]
    files = {"PKG-INFO": ("\n".join(metadata) + "\n").encode()}
    with tempfile.TemporaryDirectory() as scratch:
        made = make_wheel(Path(scratch), name, version, **wheel)
        if buildable:
            files["pyproject.toml"] = _BUILD_SYSTEM.encode()
            files["backend.py"] = _backend(made.name, stamped).encode()
            files[made.name] = made.read_bytes()
    path = folder / f"{name}-{version}.tar.gz"
    with (
        path.open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for member, content in files.items():
            _add(archive, f"{name}-{version}/{member}", content)
        for member in members:
            _add(archive, member, b"evil")
    return path


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


_BUILD_SYSTEM = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def _backend(wheel: str, stamped: bool = False) -> str:
    """Return a backend; a stamped wheel tells the date of its build, as real backends do."""
    stamp = (
        "    date = time.gmtime(int(os.environ.get('SOURCE_DATE_EPOCH', time.time())))[:6]\n"
        "    with zipfile.ZipFile(pathlib.Path(folder, NAME), 'a') as archive:\n"
        "        record = next(name for name in archive.namelist() if name.endswith('/RECORD'))\n"
        "        archive.writestr(zipfile.ZipInfo(record + '.jws', date), '')\n"
    )
    return (
        "import os, pathlib, shutil, time, zipfile\n"
        f"NAME = {wheel!r}\n"
        "def build_wheel(folder, config_settings=None, metadata_directory=None):\n"
        "    shutil.copy(pathlib.Path(__file__).with_name(NAME), folder)\n"
        f"{stamp if stamped else ''}"
        "    return NAME\n"
    )


def make_project(folder: Path, name: str = "mine", *, stamped: bool = False, **wheel: Any) -> Path:
    """Write a project whose build needs no network: its backend hands out a finished wheel."""
    made = make_wheel(folder, name, **wheel)
    project = f'{_BUILD_SYSTEM}[project]\nname = "{name}"\nversion = "1.0"\n'
    (folder / "pyproject.toml").write_text(project)
    (folder / "backend.py").write_text(_backend(made.name, stamped))
    return folder


def use_index(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Make `folder` the only place where uv and pip find packages."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder.with_name("uv.toml")
    settings.write_text(f"no-index = true\nfind-links = [{str(folder)!r}]\n")
    monkeypatch.setenv("UV_CONFIG_FILE", str(settings))
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return folder


def make_parts(folder: Path) -> Path:
    """Write a bundle of three wheels, `my-bundle`, and beside it the wheels of its `image`."""
    make_wheel(folder / "image", "there", "1.5", body="here = True\n")
    make_wheel(folder / "image", "opencv_python", "4.13.0.92")
    with pytest.MonkeyPatch.context() as monkeypatch:
        index = use_index(monkeypatch, folder / "index")
        make_wheel(index, "asked", requires=["helper", "there>=1.4"], body="import helper, there\n")
        make_wheel(index, "helper")
        project = make_project(folder / "project", requires=["asked", "opencv-python"])
        bundle.build(["asked", "there"], tiny_image(), folder / "my-bundle", project)
    return folder


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
