import hashlib
import zipfile
from pathlib import Path

import pytest

from kagglekit.errors import BundleError
from kagglekit.offline import wheel
from tests.wheels_factory import make_wheel


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
