from pathlib import Path

import pytest

from kagglekit.errors import BundleCheckError
from kagglekit.offline.manifest import FILE, Manifest, Target, WheelEntry

MANIFEST = Manifest(
    made_by="kagglekit 0.1.0",
    requirements=("asked>=1",),
    wheels=(WheelEntry("a-1.whl", "a", "1", 7, "00", ("a", "b"), "MIT", "asked for"),),
    targets=(Target("tiny", "3.12", "2.35", "requirements.lock", ("a-1.whl",), {"there": "1.5"}),),
    files={"install.py": "11"},
    weights={"weights/a.pth": "22"},
    recorded_by="33",
)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(MANIFEST.to_json())
    assert Manifest.read(tmp_path) == MANIFEST
    assert MANIFEST.size == 7


def test_the_target_of_an_image() -> None:
    assert MANIFEST.target("tiny").python == "3.12"
    with pytest.raises(BundleCheckError) as caught:
        MANIFEST.target("huge")
    assert str(caught.value) == (
        "the bundle was not built for `huge`\n"
        "  - built for: tiny\n"
        "hint: rebuild it with --image huge"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"format": 2}',
        '{"format": 1}',
        '{"format": 1, "wheels": [{}], "targets": [], "files": {}}',
        '{"format": 1, "wheels": 3, "targets": 3, "files": {}}',
        '{"format": 1, "wheels": [3], "targets": [], "files": {}}',
        '{"format": 1, "wheels": [], "targets": [], "files": {}}',
    ],
)
def test_what_is_no_manifest(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(BundleCheckError, match="manifest of"):
        Manifest.read(tmp_path)


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(BundleCheckError, match="cannot be read"):
        Manifest.read(tmp_path)
