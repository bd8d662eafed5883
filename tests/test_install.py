import ast
import contextlib
import io
import json
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.tags import sys_tags
from packaging.utils import parse_wheel_filename

from kagglekit.offline import image, install
from tests.wheels_factory import make_parts, make_wheel

OLDEST = Path.home() / ".pyenv" / "versions" / "3.8.18" / "bin" / "python"


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_parts(tmp_path_factory.mktemp("parts"))


@pytest.fixture
def made(parts: Path, tmp_path: Path) -> Path:
    return shutil.copytree(parts / "my-bundle", tmp_path / "input" / "my-bundle")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def swap(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("anything.py", "")


def link(path: Path) -> None:
    elsewhere = path.rename(path.parent.parent / path.name)
    path.symlink_to(elsewhere)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "flip": flip,
    "truncate": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "empty": lambda path: path.write_bytes(b""),
    "delete": Path.unlink,
    "swap": swap,
    "rename": lambda path: path.rename(path.with_name("renamed-1.0-py3-none-any.whl")),
    "link": link,
}


@pytest.mark.parametrize("damage", sorted(DAMAGES))
def test_every_damage_to_every_file_is_refused_before_anything_is_run(
    made: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "_run", None)  # whatever changes the target goes through it
    manifest = install.read_manifest(made)
    assert install.damage(made, manifest) == []
    unchecked = {install.MANIFEST, "dataset-metadata.json"}
    names = sorted(path.name for path in made.iterdir() if path.name not in unchecked)
    assert len(names) == 5
    for name in names:
        content = (made / name).read_bytes()
        DAMAGES[damage](made / name)
        with pytest.raises(install.InstallError) as caught:
            install.install(made)
        said = str(caught.value).splitlines()
        assert said[0] == f"the bundle {made} is damaged; nothing was installed"
        assert any(line.startswith(f"  - `{name}`") for line in said), name
        (made / name).unlink(missing_ok=True)
        (made / "renamed-1.0-py3-none-any.whl").unlink(missing_ok=True)
        (made / name).write_bytes(content)
        assert install.damage(made, manifest) == []


@pytest.mark.parametrize("damage", sorted({*DAMAGES} - {"flip", "link"}))
def test_no_damage_to_the_manifest_lets_anything_run(
    made: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "_run", None)
    DAMAGES[damage](made / install.MANIFEST)
    if damage == "truncate":  # its last byte is a line end: take one that matters too
        DAMAGES[damage](made / install.MANIFEST)
    with pytest.raises(install.InstallError, match="the manifest of"):
        install.install(made)


def test_no_flipped_bit_of_the_manifest_lets_another_file_in(made: Path) -> None:
    """Either it is refused, or the very files that were built are installed."""
    text = (made / install.MANIFEST).read_bytes()
    sound = files_of(json.loads(text))
    refused = 0
    for place in range(len(text)):
        flipped = bytearray(text)
        flipped[place] ^= 1 << place % 7
        (made / install.MANIFEST).write_bytes(flipped)
        try:
            manifest = install.read_manifest(made)
            problems = install.damage(made, manifest)
        except install.InstallError:
            refused += 1
            continue
        refused += bool(problems)
        assert problems or files_of(manifest) <= sound, flipped[place - 20 : place + 20]
    assert refused > len(text) / 3


def files_of(manifest: dict[str, Any]) -> set[str]:
    """Return what a manifest lets install.py give to an installer: locks, and files with hashes."""
    hashes = {wheel["file"]: wheel["sha256"] for wheel in manifest["wheels"]}
    hashes.update(manifest["files"])
    named = {name for each in manifest["targets"] for name in (each["lock"], *each["install"])}
    return {f"{name} {hashes[name]}" for name in named}


@pytest.mark.parametrize("outside", ["../evil.whl", "/etc/passwd", "sub/evil.whl", "..", ""])
@pytest.mark.parametrize("place", ["file", "install", "lock", "files"])
def test_a_manifest_that_points_outside(made: Path, outside: str, place: str) -> None:
    manifest = json.loads((made / install.MANIFEST).read_text())
    if place == "file":
        manifest["wheels"][0]["file"] = outside
    elif place == "files":
        manifest["files"][outside] = "00"
    else:
        manifest["targets"][0][place] = outside if place == "lock" else [outside]
    assert f"`{outside}` lies outside the bundle" in install.damage(made, manifest)


def test_a_wheel_too_many(made: Path) -> None:
    make_wheel(made, "stray")
    assert install.damage(made, install.read_manifest(made)) == [
        "`stray-1.0-py3-none-any.whl` is not part of the bundle"
    ]


def test_no_bundle_at_all(tmp_path: Path) -> None:
    with pytest.raises(install.InstallError) as caught:
        install.find_bundle(tmp_path, tmp_path)
    assert str(caught.value) == (
        f"no kagglekit-bundle.json in {tmp_path} or in a folder of it\n"
        "hint: attach the whole dataset that build_offline.py made"
    )


def hostile_zip(path: Path, name: str) -> None:
    """A zip file with one good member and one of the kind that `name` says."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.txt", "good")
        member = zipfile.ZipInfo({"twice": "GOOD.txt"}.get(name, name))
        if name in ("link", "device"):
            kind = stat.S_IFLNK if name == "link" else stat.S_IFCHR
            member.external_attr = (kind | 0o777) << 16
        member.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(member, b"0" * 5_000_000 if name == "bomb" else b"../../outside")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../evil.txt", "`../evil.txt` leads out of its folder"),
        ("a/../../evil.txt", "`a/../../evil.txt` leads out of its folder"),
        ("/etc/evil.txt", "`/etc/evil.txt` leads out of its folder"),
        ("C:evil.txt", "`C:evil.txt` leads out of its folder"),
        ("a\\..\\evil.txt", "`a\\..\\evil.txt` leads out of its folder"),
        ("link", "`link` is a link or a device, not a file"),
        ("device", "`device` is a link or a device, not a file"),
        ("twice", "`GOOD.txt` is there twice (upper and lower case do not count)"),
        ("bomb", "`bomb` unpacks to more than 200 times its size"),
    ],
)
def test_a_zip_with_members_that_are_not_safe(tmp_path: Path, name: str, said: str) -> None:
    start, scratch = tmp_path / "in" / "put", tmp_path / "scr" / "atch"
    start.mkdir(parents=True)
    scratch.mkdir(parents=True)
    hostile_zip(start / "wheels.zip", name)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(install.InstallError) as caught:
        install.find_bundle(start, scratch)
    assert str(caught.value) == f"{start / 'wheels.zip'} is not safe to unpack\n  - {said}"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_zip_with_too_many_members() -> None:
    members = [zipfile.ZipInfo(str(number)) for number in range(100_001)]
    assert install.member_problems(members) == ["it has more than 100,000 members"]


def odd_zip(name: bytes = b"good.txt", flags: int = 0, method: int = 0) -> bytes:
    """A zip file of one member with other bytes in its headers than zipfile would write."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("x" * len(name), "good")
    content = packed.getvalue().replace(b"x" * len(name), name)
    for header, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = content.index(header) + at
        content = content[:start] + struct.pack("<HH", flags, method) + content[start + 4 :]
    return content


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04 cut short", "File is not a zip file"),
        (odd_zip(b"\xff\xfe.txt", flags=0x800), "'utf-8' codec can't decode"),
        (odd_zip(method=99), "That compression method is not supported"),
        (odd_zip(flags=1), "is encrypted, password required"),
    ],
)
def test_a_zip_that_cannot_be_read(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "wheels.zip").write_bytes(content)
    (tmp_path / "scratch").mkdir()
    with pytest.raises(install.InstallError, match=f"wheels.zip cannot be unpacked: .*{said}"):
        install.find_bundle(tmp_path, tmp_path / "scratch")


@given(
    st.lists(
        st.text(
            st.sampled_from("ab./\\: \u00e9\u202e\0") | st.characters(), min_size=1, max_size=9
        ),
        max_size=4,
    )
)
def test_whatever_the_members_are_called_nothing_leaves_the_folder(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as place:
        start, scratch = Path(place, "in", "put"), Path(place, "scr", "atch")
        start.mkdir(parents=True)
        scratch.mkdir(parents=True)
        with zipfile.ZipFile(start / "wheels.zip", "w") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that are there twice
            for name in names:
                with contextlib.suppress(UnicodeEncodeError):  # half a surrogate is no name
                    archive.writestr(zipfile.ZipInfo(name), "content")
        with contextlib.suppress(install.InstallError):
            install.unpack(start / "wheels.zip", scratch)
        outside = [path for path in Path(place).rglob("*") if scratch not in path.parents]
        assert sorted(outside) == sorted(
            [start.parent, start, start / "wheels.zip", scratch.parent, scratch]
        )


@pytest.mark.parametrize(
    ("capability", "architectures", "runs"),
    [
        ("6.0", "sm_70 sm_75 sm_80 sm_86 sm_90 sm_100 sm_120", False),
        ("7.5", "sm_70 sm_75 sm_80 sm_86 sm_90 sm_100 sm_120", True),
        ("8.9", "sm_70 sm_75 sm_80 sm_86 sm_90 sm_100 sm_120", True),
        ("12.0", "sm_70 sm_75 sm_80 sm_86 sm_90 sm_100 sm_120", True),
        ("10.3", "sm_70 sm_120", False),
        ("7.0", "sm_75", False),
        ("9.0", "sm_90a", True),
        ("12.1", "sm_70 compute_120", True),
        ("6.1", "compute_70", False),
        ("7.5", "", False),
    ],
)
def test_which_gpus_a_torch_runs_on(capability: str, architectures: str, runs: bool) -> None:
    assert install.runs_on(capability, architectures.split()) is runs


MINOR = sys.version_info.minor


@pytest.mark.parametrize(
    "tag",
    [
        "py3-none",
        "py2.py3-none",
        "py2-none",
        "py4-none",
        *(f"py3{m}-none" for m in (6, MINOR - 1, MINOR, MINOR + 1)),
        *(f"cp3{m}-cp3{m}" for m in (6, MINOR - 1, MINOR, MINOR + 1)),
        *(f"cp3{m}-abi3" for m in (6, MINOR - 1, MINOR, MINOR + 1)),
        *(f"cp3{m}-none" for m in (MINOR - 1, MINOR, MINOR + 1)),
        f"cp3{MINOR}-cp3{MINOR}t",
        f"cp3{MINOR - 1}.cp3{MINOR}-none",
        f"pp3{MINOR}-pypy3{MINOR}_pp73",
    ],
)
def test_which_wheels_fit_this_python(tag: str) -> None:
    file = f"name-1.0-{tag}-any.whl"
    allowed = {(each.interpreter, each.abi) for each in sys_tags()}
    expected = any((t.interpreter, t.abi) in allowed for t in parse_wheel_filename(file)[3])
    assert install.fits(file) is expected


def test_opencv_is_one_list() -> None:
    assert image.OPENCV is install.OPENCV


def test_standard_library_only() -> None:
    tree = ast.parse(Path(install.__file__).read_text(), feature_version=(3, 8))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
    }
    assert imported <= sys.stdlib_module_names


def test_nothing_ends_the_process() -> None:
    text = Path(install.__file__).read_text()
    assert "sys.exit" not in text
    assert "SystemExit" not in text


@pytest.mark.skipif(not OLDEST.exists(), reason=f"no Python 3.8 at {OLDEST}")
def test_it_speaks_up_on_python_3_8(tmp_path: Path) -> None:
    script = shutil.copy(install.__file__, tmp_path / "install.py")
    done = subprocess.run([OLDEST, "-I", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "InstallError: no kagglekit-bundle.json in" in done.stderr
