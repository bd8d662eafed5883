import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from kagglekit.errors import BundleCheckError
from kagglekit.offline import bundle, check, image, install, wheel
from kagglekit.offline.manifest import FILE
from tests.wheels_factory import TINY_LIST, make_wheel, rewrite, tiny_image, use_index

HELPER = "helper-1.0-py3-none-any.whl"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp_path = tmp_path_factory.mktemp("pristine")
    with pytest.MonkeyPatch.context() as monkeypatch:
        index = use_index(monkeypatch, tmp_path / "index")
        make_wheel(index, "asked", requires=["helper", "there>=1.5"])
        make_wheel(index, "helper")
        return bundle.build(["asked"], tiny_image(), tmp_path / "my-bundle").folder


@pytest.fixture
def made(pristine: Path, tmp_path: Path) -> Path:
    return shutil.copytree(pristine, tmp_path / "my-bundle")


def test_a_sound_bundle(made: Path) -> None:
    assert check.check_bundle(made, tiny_image()).requirements == ("asked",)


def test_a_rebuilt_wheel_is_no_longer_the_one_that_was_proved(made: Path) -> None:
    make_wheel(made, "helper", body="other = True\n")
    with pytest.raises(BundleCheckError) as caught:
        check.check_bundle(made, tiny_image())
    assert str(caught.value) == (
        f"the bundle `{made}` cannot be installed on tiny\n"
        f"  - `{HELPER}` is not the file that was built: its sha256 differs\n"
        "hint: build it again"
    )


def test_every_damage_is_named(made: Path) -> None:
    (made / HELPER).unlink()
    (made / "install.py").write_text("")
    (made / "a@b.txt").write_text("")
    (made / "dataset-metadata.json").write_text('{"title": "x"}')
    make_wheel(made, "stray")
    with pytest.raises(BundleCheckError) as caught:
        check.check_bundle(made, tiny_image())
    assert list(caught.value.problems) == [
        f"`{HELPER}` is missing",
        "`install.py` is not the file that was built: its sha256 differs",
        "`stray-1.0-py3-none-any.whl` is not part of the bundle",
        "file name `a@b.txt` may hold letters, digits, `.`, `_` and `-` only",
        "title `x` has 1 characters; Kaggle wants 6 to 50",
        "slug `` has 0 characters; Kaggle wants 6 to 50",
        "slug `` may hold lower-case letters, digits and single hyphens only",
        "owner `` is not a Kaggle user name",
        "`licenses` must name exactly one licence",
    ]


@pytest.mark.parametrize("text", ["", "[]"])
def test_metadata_that_cannot_be_read(made: Path, text: str) -> None:
    (made / "dataset-metadata.json").write_text(text)
    with pytest.raises(BundleCheckError, match=r"`dataset-metadata\.json` (cannot|is not)"):
        check.check_bundle(made, tiny_image())


def test_a_lock_that_lists_other_wheels(made: Path) -> None:
    lock = made / "requirements.lock"
    lock.write_text(lock.read_text().splitlines()[0] + "\n")
    content = json.loads((made / FILE).read_text())
    content["files"][lock.name] = install.sha256_of(lock)
    (made / FILE).write_text(json.dumps(content))
    with pytest.raises(BundleCheckError, match="does not list the wheels of the manifest"):
        check.check_bundle(made, tiny_image())


def test_a_bundle_that_is_not_closed(made: Path) -> None:
    (made / HELPER).unlink()
    content = json.loads((made / FILE).read_text())
    content["wheels"] = [entry for entry in content["wheels"] if entry["file"] != HELPER]
    content["targets"][0]["install"].remove(HELPER)
    lock = made / "requirements.lock"
    kept = [line for line in lock.read_text().splitlines() if not line.startswith("helper==")]
    lock.write_text("".join(f"{line}\n" for line in kept))
    content["files"][lock.name] = install.sha256_of(lock)
    (made / FILE).write_text(json.dumps(content))
    with pytest.raises(BundleCheckError, match="helper was not found in the provided package loc"):
        check.check_bundle(made, tiny_image())


def test_an_image_that_no_longer_fits(made: Path) -> None:
    with pytest.raises(BundleCheckError, match=r"there"):
        check.check_bundle(made, tiny_image(TINY_LIST.replace("1.5", "1.4")))


def test_a_bundle_that_would_replace_something(made: Path) -> None:
    with pytest.raises(BundleCheckError) as caught:
        check.check_bundle(made, tiny_image(TINY_LIST + "helper==0.9\n"))
    assert caught.value.problems == ("installing it would leave `helper` 0.9 uninstalled",)


def test_an_image_it_was_not_built_for(made: Path) -> None:
    with pytest.raises(BundleCheckError, match="was not built for `kaggle-2026-06-gpu`"):
        check.check_bundle(made, image.load(image.DEFAULT))


def test_a_secret_is_named_by_its_place_alone(made: Path) -> None:
    (made / "notes.txt").write_text("ghp_" + "a" * 36)
    with pytest.raises(BundleCheckError) as caught:
        check.check_bundle(made, tiny_image())
    assert caught.value.problems == ("`notes.txt` holds a GitHub token",)


def test_known_wheels_are_not_read_again_unless_their_hash_is_another(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = [wheel.read(path) for path in sorted(made.glob("*.whl"))]
    again: list[str] = []
    read = wheel.read
    monkeypatch.setattr(wheel, "read", lambda path: again.append(path.name) or read(path))
    check.check_bundle(made, tiny_image(), known)
    assert again == []
    stale = [replace(each, sha256="00") if each.name == "helper" else each for each in known]
    check.check_bundle(made, tiny_image(), stale)
    assert again == [HELPER]


def test_a_wheel_that_its_record_denies_although_the_manifest_agrees(made: Path) -> None:
    path = rewrite(made / HELPER, {"helper/__init__.py": "stolen = 1\n"})
    content = json.loads((made / FILE).read_text())
    [entry] = [entry for entry in content["wheels"] if entry["file"] == HELPER]
    lock = made / "requirements.lock"
    lock.write_text(lock.read_text().replace(entry["sha256"], install.sha256_of(path)))
    entry["sha256"] = install.sha256_of(path)
    content["files"][lock.name] = install.sha256_of(lock)
    (made / FILE).write_text(json.dumps(content))
    with pytest.raises(BundleCheckError) as caught:
        check.check_bundle(made, tiny_image())
    assert caught.value.problems == (f"`{HELPER}`: `helper/__init__.py` is not the file of RECORD",)
