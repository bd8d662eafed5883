import ast
import json
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
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
def test_every_damage_to_every_file_is_seen(made: Path, damage: str) -> None:
    manifest = install.read_manifest(made)
    assert install.damage(made, manifest) == []
    unchecked = {install.MANIFEST, "dataset-metadata.json"}
    names = sorted(path.name for path in made.iterdir() if path.name not in unchecked)
    assert len(names) == 5
    for name in names:
        content = (made / name).read_bytes()
        DAMAGES[damage](made / name)
        assert any(f"`{name}`" in problem for problem in install.damage(made, manifest)), name
        (made / name).unlink(missing_ok=True)
        (made / "renamed-1.0-py3-none-any.whl").unlink(missing_ok=True)
        (made / name).write_bytes(content)
        assert install.damage(made, manifest) == []


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


def test_a_zip_that_was_cut_short(tmp_path: Path) -> None:
    (tmp_path / "wheels.zip").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(install.InstallError, match="cannot be unpacked: File is not a zip file"):
        install.find_bundle(tmp_path, tmp_path / "scratch")


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
