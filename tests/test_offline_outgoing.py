from collections.abc import Callable
from pathlib import Path

import pytest

from kagglekit.offline import bundle, outgoing
from kagglekit.offline.manifest import Manifest
from tests.wheels_factory import make_wheel, tiny_image, use_index

KEY = '{"username": "me", "key": "0123456789abcdef0123456789abcdef"}'


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_wheel(use_index(monkeypatch, tmp_path / "index"), "asked")
    return bundle.build(["asked"], tiny_image(), tmp_path / "my-bundle", owner="me").folder


def test_what_was_built_may_go(made: Path) -> None:
    assert outgoing.problems(made, Manifest.read(made)) == []


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda f: (f / "install.py").write_text(""), "`install.py` is not the file that was built"),
        (lambda f: (f / "kaggle.json").write_text(KEY), "`kaggle.json` is a file that holds keys"),
        (lambda f: (f / "a.json").write_text(KEY), "`a.json` holds a Kaggle key"),
        (lambda f: (f / "a.txt").symlink_to("/etc/hostname"), "`a.txt` is a link, and an upload would"),
        (lambda f: (f / "a b.txt").touch(), "file name `a b.txt` may hold"),
        (lambda f: (f / "dataset-metadata.json").write_text("[]"), "`dataset-metadata.json` is not a"),
        (lambda f: (f / "dataset-metadata.json").unlink(), "`dataset-metadata.json` cannot be read: "),
        (
            lambda f: (f / "dataset-metadata.json").write_text('{"id": "me/Bad_Slug", "title": "t"}'),
            "slug `Bad_Slug` may hold lower-case letters, digits and single hyphens only",
        ),
    ],
)  # fmt: skip
def test_what_must_not_leave_the_machine(
    made: Path, spoil: Callable[[Path], object], problem: str
) -> None:
    spoil(made)
    found = outgoing.problems(made, Manifest.read(made))
    assert any(line.startswith(problem) for line in found), found
