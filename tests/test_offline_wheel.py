import hashlib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

from kagglekit.errors import BundleError
from kagglekit.offline import wheel
from tests.wheels_factory import make_wheel, rewrite


def test_what_a_wheel_says(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "My_Tool", "1.2", requires=["there>=1", 'x; extra == "more"'])
    read = wheel.read(path)
    assert (read.name, read.version, read.imports) == ("my-tool", "1.2", ("My_Tool",))
    assert [str(line) for line in read.requires] == ["there>=1", 'x; extra == "more"']
    assert read.size == len(path.read_bytes())
    assert read.pin == f"my-tool==1.2 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


@pytest.mark.parametrize("kind", ["no zip", "no metadata", "name"])
def test_what_is_no_wheel(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("odd.whl" if kind == "name" else "odd-1.0-py3-none-any.whl")
    path.write_bytes(b"no zip")
    if kind == "no metadata":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("odd/__init__.py", "")
    with pytest.raises(BundleError, match=rf"`{path.name}` is not a wheel that can be read: "):
        wheel.read(path)


INFO = "odd-1.0.dist-info"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"odd/__init__.py": "stolen = 1"}, "`odd/__init__.py` is not the file of RECORD"),
        ({"odd/more.py": ""}, "`odd/more.py` has no sound hash in RECORD"),
        ({"odd/__init__.py": None}, "`odd/__init__.py` is in RECORD but not in the wheel"),
        ({f"{INFO}/RECORD": None}, "it has no RECORD of its files"),
        ({"../evil.py": ""}, "`../evil.py` leads out of its folder"),
        ({"/evil.py": ""}, "`/evil.py` leads out of its folder"),
        ({"ODD/__INIT__.py": ""}, "`ODD/__INIT__.py` is there twice (upper and lower case do not"),
    ],
)
def test_a_wheel_that_is_not_what_its_record_says(
    tmp_path: Path, changes: dict[str, str | None], said: str
) -> None:
    path = rewrite(make_wheel(tmp_path, "odd"), changes)
    with pytest.raises(BundleError) as caught:
        wheel.read(path)
    lines = str(caught.value).splitlines()
    assert lines[0] == "the wheel `odd-1.0-py3-none-any.whl` is not sound"
    assert lines[1].startswith(f"  - {said}")


def test_weak_hashes_in_record_prove_nothing(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "odd")
    with zipfile.ZipFile(path) as archive:
        record = archive.read(f"{INFO}/RECORD").decode()
    rewrite(
        path, {f"{INFO}/RECORD": record.replace("odd/__init__.py,sha256=", "odd/__init__.py,md5=")}
    )
    assert wheel.faults(path) == ["`odd/__init__.py` has no sound hash in RECORD"]


def test_a_wheel_under_another_name(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "evil", "6.6").rename(tmp_path / "helper-1.0-py3-none-any.whl")
    assert wheel.faults(path) == ["by its name it is helper 1.0, but inside it says evil 6.6"]


def test_a_damaged_member(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "odd", body="x = 'something to find'\n")
    path.write_bytes(
        path.read_bytes().replace(b"something to find", b"something 2 find"[:17].ljust(17))
    )
    assert wheel.faults(path) == ["it is damaged: Bad CRC-32 for file 'odd/__init__.py'"]


def test_a_wheel_with_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "odd")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{INFO}/METADATA", "0" * 5_000_000)
    with pytest.raises(BundleError) as caught:
        wheel.read(path)
    assert caught.value.problems == (f"`{INFO}/METADATA` unpacks to more than 200 times its size",)


def test_an_encrypted_wheel(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "odd")
    content = path.read_bytes().replace(
        b"PK\x01\x02\x14\x03\x14\0\0", b"PK\x01\x02\x14\x03\x14\0\1"
    )
    path.write_bytes(content)
    with pytest.raises(BundleError, match="is encrypted, password required"):
        wheel.read(path)


@pytest.mark.parametrize(
    ("lines", "licence"),
    [
        ("License-Expression: MIT\nLicense: no", "MIT"),
        ("Classifier: License :: OSI Approved :: BSD License\nLicense: no", "BSD License"),
        ("License: Apache 2\n", "Apache 2"),
        ("Classifier: Topic :: Software", ""),
    ],
)
def test_licences(lines: str, licence: str) -> None:
    assert wheel.licence_of(HeaderParser().parsestr(lines)) == licence
