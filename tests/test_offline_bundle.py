import contextlib
import hashlib
import json
import os
import stat
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from kagglekit.errors import (
    BundleCheckError,
    BundleError,
    ImageConflictError,
    KaggleImageError,
    NetworkError,
    NoWheelError,
    RequirementsError,
    ToolError,
    UnknownPackageError,
)
from kagglekit.offline import bundle, install, resolve, tools
from kagglekit.offline.image import KaggleImage
from kagglekit.offline.manifest import Manifest
from tests import local_index
from tests.wheels_factory import (
    TINY_LIST,
    make_project,
    make_sdist,
    make_wheel,
    tiny_image,
    use_index,
)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_index(monkeypatch, tmp_path / "index")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "made" / "my-bundle"


def nothing_written(out: Path) -> bool:
    return not out.parent.exists() or not list(out.parent.iterdir())


def test_a_bundle_holds_what_the_image_lacks(tmp_path: Path, index: Path, out: Path) -> None:
    make_wheel(index, "asked", requires=["helper>=1", "there>=1", "torch"])
    make_wheel(index, "helper", "2.0")
    make_wheel(index, "there", "9.0")
    make_wheel(index, "torch", "9.0", requires=["gigantic"])
    make_wheel(index, "opencv_python_headless", "9.0")
    project = make_project(tmp_path / "project", requires=["asked", "opencv-python-headless"])
    told: list[str] = []
    built = bundle.build(
        ["asked", "there"], tiny_image(), out, project, owner="me", progress=told.append
    )

    files = {path.name for path in out.iterdir()}
    assert files == {
        "asked-1.0-py3-none-any.whl",
        "helper-2.0-py3-none-any.whl",
        "mine-1.0-py3-none-any.whl",
        "requirements.lock",
        "install.py",
        "kagglekit-bundle.json",
        "dataset-metadata.json",
    }
    assert [path.name for path in out.parent.iterdir()] == ["my-bundle"]
    assert (out / "install.py").read_bytes() == Path(install.__file__).read_bytes()
    assert json.loads((out / "dataset-metadata.json").read_text())["id"] == "me/my-bundle"
    lock = (out / "requirements.lock").read_text().splitlines()
    assert [line.split(" --hash")[0] for line in lock] == ["helper==2.0", "asked==1.0", "mine==1.0"]
    assert {wheel.name: wheel.why for wheel in built.manifest.wheels} == {
        "asked": "asked for",
        "helper": "needed by asked",
        "mine": "this project",
    }
    for wheel in built.manifest.wheels:
        content = (out / wheel.file).read_bytes()
        assert wheel.sha256 == hashlib.sha256(content).hexdigest()
        assert wheel.size == len(content)
    assert built.manifest.targets[0].expects == {
        "opencv-python-headless": "4.13.0.92",
        "there": "1.5",
        "torch": "2.10.0",
    }
    assert told == [
        f"building the wheel of {project}",
        "resolving for tiny (Python 3.12, 3 packages)",
        "proving it offline against tiny",
    ]


def test_of_several_versions_the_newest_that_goes_with_the_image(index: Path, out: Path) -> None:
    make_wheel(index, "asked", "1.0", requires=["there>=1"])
    make_wheel(index, "asked", "1.1", requires=["there>=1"])
    make_wheel(index, "asked", "2.0", requires=["there>=2"])
    make_wheel(index, "there", "2.5")
    built = bundle.build(["asked"], tiny_image(), out)
    assert [(wheel.name, wheel.version) for wheel in built.manifest.wheels] == [("asked", "1.1")]


def test_two_builds_give_the_same_bytes_whatever_the_folder_umask_date_and_zone(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel(index, "asked", requires=["helper", "onlysource"])
    make_wheel(index, "helper")
    make_sdist(index, "onlysource", stamped=True)
    outs = [tmp_path / name / "my-bundle" for name in ("one", "two", "three")]
    for number, (out, umask, zone) in enumerate(zip(outs, (0o22, 0o77, 0), ZONES, strict=True)):
        project = make_project(tmp_path / f"project-{number}", stamped=True)
        for path in project.iterdir():
            os.utime(path, (10**9 + 10**7 * number,) * 2)
        monkeypatch.setenv("TZ", zone)
        before = os.umask(umask)
        try:
            bundle.build(["asked"], tiny_image(), out, project)
        finally:
            os.umask(before)
    first = {path.name: path.read_bytes() for path in outs[0].iterdir()}
    assert len(first) == 8
    for out in outs[1:]:
        assert {path.name: path.read_bytes() for path in out.iterdir()} == first


ZONES = ("UTC", "Asia/Kathmandu", "America/St_Johns")


def test_an_image_that_has_everything_needs_no_wheel(index: Path, out: Path) -> None:
    built = bundle.build(["there", "opencv-python-headless"], tiny_image(), out)
    assert built.manifest.wheels == ()
    assert (out / "requirements.lock").read_text() == ""


def test_several_images_each_get_their_wheels(index: Path, out: Path) -> None:
    for tag in ("cp312-cp312", "cp313-cp313"):
        make_wheel(index, "fast", tag=f"{tag}-manylinux_2_17_x86_64", requires=["there"])
    make_wheel(index, "pure")
    newer = tiny_image(TINY_LIST.replace("3.12.13", "3.13.1").replace("1.5", "1.6"), "newer")
    built = bundle.build(["fast", "pure"], [tiny_image(), newer], out)
    older_target, newer_target = built.manifest.targets
    pure = "pure-1.0-py3-none-any.whl"
    assert older_target.install == ("fast-1.0-cp312-cp312-manylinux_2_17_x86_64.whl", pure)
    assert newer_target.install == ("fast-1.0-cp313-cp313-manylinux_2_17_x86_64.whl", pure)
    assert (older_target.lock, newer_target.lock) == (
        "requirements-tiny.lock",
        "requirements-newer.lock",
    )
    assert newer_target.expects == {"there": "1.6"}


@pytest.mark.parametrize("images", [[], [tiny_image(), tiny_image()]])
def test_images_that_cannot_be_told_apart(out: Path, images: list[KaggleImage]) -> None:
    with pytest.raises(KaggleImageError, match="one or more Kaggle images of different names"):
        bundle.build(["asked"], images, out)


def test_the_own_wheel_wins_over_a_package_of_that_name(
    tmp_path: Path, index: Path, out: Path
) -> None:
    make_wheel(index, "mine", "9.0", body="stolen = True\n")
    project = make_project(tmp_path / "project")
    built = bundle.build(["mine"], tiny_image(), out, project)
    assert [(wheel.version, wheel.why) for wheel in built.manifest.wheels] == [
        ("1.0", "this project")
    ]


def test_unknown_package(index: Path, out: Path) -> None:
    with pytest.raises(UnknownPackageError) as caught:
        bundle.build(["nosuch"], tiny_image(), out)
    assert caught.value.exit_code == 11
    lines = str(caught.value).splitlines()
    assert lines[0] == "the package index does not have what is required"
    assert "nosuch was not found" in lines[1]
    assert lines[-1] == "hint: check the spelling and the version"
    assert nothing_written(out)


def test_unknown_version(index: Path, out: Path) -> None:
    make_wheel(index, "asked")
    with pytest.raises(UnknownPackageError, match="there is no version of asked==7"):
        bundle.build(["asked==7"], tiny_image(), out)


def test_conflict_with_the_image(index: Path, out: Path) -> None:
    make_wheel(index, "asked", requires=["there>=2"])
    make_wheel(index, "there", "2.5")
    with pytest.raises(ImageConflictError) as caught:
        bundle.build(["asked"], tiny_image(), out)
    assert caught.value.exit_code == 12
    assert str(caught.value).splitlines()[:2] == [
        "the requirements cannot be met without replacing what tiny has",
        "  - `there` 1.5 would become 2.5",
    ]
    assert caught.value.hint == (
        "ask for versions that go with the image's; what it has is never replaced"
    )
    assert nothing_written(out)


def test_conflict_with_an_opencv_under_another_name(index: Path, out: Path) -> None:
    make_wheel(index, "opencv_contrib_python", "5.0")
    with pytest.raises(ImageConflictError, match=r"`opencv-contrib-python` 4\.13\.0\.92 would"):
        bundle.build(["opencv-contrib-python>=5"], tiny_image(), out)


def test_source_only(index: Path, out: Path) -> None:
    make_sdist(index, "onlysource", buildable=False)
    with pytest.raises(NoWheelError) as caught:
        bundle.build(["onlysource"], tiny_image(), out)
    assert caught.value.exit_code == 13
    assert str(caught.value).splitlines()[0] == (
        "something has no wheel for tiny (Python 3.12, glibc 2.35)"
    )
    assert "Failed to download and build `onlysource==1.0`" in str(caught.value)
    assert nothing_written(out)


def test_a_source_package_becomes_a_wheel(index: Path, out: Path) -> None:
    make_wheel(index, "asked", requires=["onlysource>=1"])
    make_wheel(index, "there", "9.0")
    make_sdist(index, "onlysource", "1.1", requires=["deep", "there"])
    make_sdist(index, "deep")
    make_sdist(index, "asked", "2.0")  # newer, but the wheel of 1.0 needs no building
    told: list[str] = []
    built = bundle.build(["asked"], tiny_image(), out, progress=told.append)
    assert built.manifest.targets[0].install == (
        "deep-1.0-py3-none-any.whl",
        "onlysource-1.1-py3-none-any.whl",
        "asked-1.0-py3-none-any.whl",
    )
    assert "building onlysource 1.1, which exists only as source" in told
    assert not list(out.glob("*.tar.gz"))


def test_a_source_package_with_compiled_code(index: Path, out: Path) -> None:
    make_sdist(index, "fast", tag="cp311-cp311-linux_x86_64")
    with pytest.raises(NoWheelError) as caught:
        bundle.build(["fast"], tiny_image(), out)
    assert str(caught.value) == (
        "the wheel of `fast`, which exists only as source, holds compiled code of this machine"
        " (`fast-1.0-cp311-cp311-linux_x86_64.whl`)\n"
        "hint: build it in a Kaggle notebook with internet (`!pip wheel --no-deps fast`), download"
        " the wheel, and give it with --project FILE.whl"
    )
    assert nothing_written(out)


@pytest.mark.parametrize("member", ["../../evil.py", "/tmp/evil-of-kagglekit.py"])
def test_a_source_package_that_unpacks_elsewhere(index: Path, out: Path, member: str) -> None:
    make_sdist(index, "evil", members=[member])
    with contextlib.suppress(NoWheelError):  # refused, or unpacked without that member
        bundle.build(["evil"], tiny_image(), out)
    assert not Path("/tmp/evil-of-kagglekit.py").exists()
    assert not list(out.parent.parent.rglob("evil.py"))


def test_the_way_out_for_compiled_code(index: Path, out: Path, tmp_path: Path) -> None:
    from_kaggle = make_wheel(tmp_path, "fast", tag="cp312-cp312-linux_x86_64")
    built = bundle.build(["fast"], tiny_image(), out, from_kaggle)
    assert [wheel.file for wheel in built.manifest.wheels] == [from_kaggle.name]


def test_several_projects_and_their_names_on_the_index(
    tmp_path: Path, index: Path, out: Path
) -> None:
    make_wheel(index, "secret_utils", "99.0", body="stolen = True\n")
    make_wheel(index, "mine", "99.0", body="stolen = True\n")
    make_wheel(index, "asked", requires=["secret-utils"])
    projects = [
        make_project(tmp_path / "one", requires=["secret-utils>=1"]),
        make_project(tmp_path / "two", "secret_utils"),
    ]
    built = bundle.build(["asked"], tiny_image(), out, projects)
    versions = {wheel.name: wheel.version for wheel in built.manifest.wheels}
    assert versions == {"asked": "1.0", "mine": "1.0", "secret-utils": "1.0"}


@pytest.mark.parametrize(
    "tag", ["cp313-cp313-manylinux_2_17_x86_64", "cp312-cp312-manylinux_2_38_x86_64"]
)
def test_no_wheel_for_this_image(index: Path, out: Path, tag: str) -> None:
    make_wheel(index, "fast", tag=tag)
    with pytest.raises(NoWheelError):
        bundle.build(["fast"], tiny_image(), out)


def test_requirements_that_contradict_each_other(index: Path, out: Path) -> None:
    make_wheel(index, "asked", "1.0")
    make_wheel(index, "asked", "2.0")
    with pytest.raises(RequirementsError, match="the requirements contradict each other"):
        bundle.build(["asked<2", "asked>=2"], tiny_image(), out)


def test_no_network(monkeypatch: pytest.MonkeyPatch, out: Path) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(NetworkError) as caught:
        bundle.build(["nosuch"], tiny_image(), out)
    assert caught.value.exit_code == 14
    lines = str(caught.value).splitlines()
    assert lines[0] == "the package index could not be reached"
    assert lines[-1] == (
        "hint: a bundle is built where there is internet; check the connection and try again"
    )
    assert nothing_written(out)


@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_a_missing_tool(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, index: Path, out: Path, tool: str
) -> None:
    make_wheel(index, "asked")
    if tool == "uv":
        monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
        monkeypatch.setenv("PATH", str(tmp_path))
        message = "uv was not found"
    else:
        monkeypatch.setattr(tools.importlib.util, "find_spec", lambda name: None)
        message = f"`{sys.executable}` has no pip"
    with pytest.raises(ToolError) as caught:
        bundle.build(["asked"], tiny_image(), out)
    assert caught.value.exit_code == 15
    assert str(caught.value) == (
        f"{message}\nhint: `pip install uv pip packaging`, or run `uv run build_offline.py`"
    )
    assert nothing_written(out)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo ugly >&2; exit 2", "uv failed\n  - ugly"),
        ("echo not json", "uv's answer is not understood"),
        (
            "echo \"unexpected argument '--output-format'\" >&2; exit 2",
            "this uv is too old\nhint: ",
        ),
    ],
)
def test_a_uv_that_misbehaves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, out: Path, script: str, message: str
) -> None:
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(f"#!/bin/sh\n{script}\n")
    uv.chmod(uv.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(tools, "find_uv", lambda: str(uv))
    with pytest.raises(ToolError, match=message):
        bundle.build(["asked"], tiny_image(), out)


def test_two_different_indexes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, index: Path, out: Path
) -> None:
    make_wheel(index, "asked")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(ToolError, match="pip could not download"):
        bundle.build(["asked"], tiny_image(), out)
    assert nothing_written(out)


def test_a_project_that_is_none(tmp_path: Path, index: Path, out: Path) -> None:
    with pytest.raises(RequirementsError, match="is not a project"):
        bundle.build([], tiny_image(), out, tmp_path)


def test_a_project_that_does_not_build(tmp_path: Path, index: Path, out: Path) -> None:
    project = make_project(tmp_path / "project")
    (project / "backend.py").write_text("raise RuntimeError('out of order')\n")
    with pytest.raises(RequirementsError, match="out of order"):
        bundle.build([], tiny_image(), out, project)
    assert nothing_written(out)


def test_a_project_with_compiled_code(tmp_path: Path, index: Path, out: Path) -> None:
    project = make_project(tmp_path / "project", tag="cp311-cp311-linux_x86_64")
    with pytest.raises(NoWheelError, match="holds compiled code of this machine"):
        bundle.build([], tiny_image(), out, project)


def test_a_list_taken_after_an_installation(tmp_path: Path, index: Path, out: Path) -> None:
    project = make_project(tmp_path / "project")
    with pytest.raises(KaggleImageError) as caught:
        bundle.build([], tiny_image(TINY_LIST + "mine==1.0\n"), out, project)
    assert str(caught.value) == (
        "the list of `tiny` holds `mine` itself: it was taken after a bundle had been installed\n"
        "hint: take the list in a fresh session, before anything is installed"
    )


def test_a_rebuild_replaces_the_bundle_and_keeps_its_owner(index: Path, out: Path) -> None:
    make_wheel(index, "asked")
    make_wheel(index, "other")
    bundle.build(["asked"], tiny_image(), out, owner="me")
    bundle.build(["other"], tiny_image(), out)
    assert {path.name for path in out.glob("*.whl")} == {"other-1.0-py3-none-any.whl"}
    assert json.loads((out / "dataset-metadata.json").read_text())["id"] == "me/my-bundle"


def test_a_failed_rebuild_leaves_the_earlier_bundle(index: Path, out: Path) -> None:
    make_wheel(index, "asked")
    bundle.build(["asked"], tiny_image(), out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(UnknownPackageError):
        bundle.build(["nosuch"], tiny_image(), out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert [path.name for path in out.parent.iterdir()] == ["my-bundle"]


def test_a_link_stays_and_what_it_leads_to_changes(index: Path, out: Path, tmp_path: Path) -> None:
    link = tmp_path / "linked-bundle"
    link.symlink_to(out)
    for version in ("1.0", "2.0"):
        make_wheel(index, "moving", version)
        assert bundle.build([f"moving=={version}"], tiny_image(), link).folder == out.resolve()
        assert Manifest.read(out).requirements == (f"moving=={version}",)
    assert link.is_symlink()


@pytest.mark.parametrize("names", [("quick", "slow"), ("slow", "quick")])
def test_when_one_image_fails_the_others_tools_end(
    names: tuple[str, str], index: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(wanted: object, stub: resolve.Stub, arguments: object) -> list[resolve.Pin]:
        if stub.image.name == "slow":
            tools.call(["sleep", "600"], Path.cwd())
            raise AssertionError("it was waited for")
        while not tools._running:
            time.sleep(0.01)
        raise NoWheelError("not for this one")

    monkeypatch.setattr(resolve, "missing", missing)
    images = [replace(tiny_image(), name=name) for name in names]
    with pytest.raises(NoWheelError, match="not for this one"):
        bundle.build(["asked"], images, out)


def test_a_folder_with_other_files_is_left_alone(index: Path, out: Path) -> None:
    make_wheel(index, "asked")
    bundle.build(["asked"], tiny_image(), out)
    (out / "fold0.safetensors").write_text("precious")
    with pytest.raises(BundleError) as caught:
        bundle.build(["asked"], tiny_image(), out)
    assert str(caught.value) == (
        f"`{out}` holds more than an earlier bundle, and would be replaced as a whole\n"
        "  - found `fold0.safetensors`\n"
        "hint: move it away, or choose another folder with --out"
    )
    assert (out / "fold0.safetensors").read_text() == "precious"


def test_a_folder_name_that_is_no_slug(index: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleCheckError, match="slug `My_Bundle` may hold lower-case"):
        bundle.build([], tiny_image(), tmp_path / "My_Bundle")


def test_a_second_build_fetches_only_what_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: Path
) -> None:
    index = tmp_path / "index"
    same = make_wheel(index, "same", "1.0").name
    make_wheel(index, "asked", "1.0", requires=["same"])
    with local_index.serve(index, monkeypatch) as asked:
        bundle.build(["asked"], tiny_image(), out)
        first = {path.name: path.read_bytes() for path in out.iterdir()}
        newer = make_wheel(index, "asked", "2.0", requires=["same"]).name
        asked.clear()
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "another-cache"))
        built = bundle.build(["asked"], tiny_image(), out)
    assert {wheel.file for wheel in built.manifest.wheels} == {same, newer}
    assert (out / same).read_bytes() == first[same]
    assert [name for name in asked if name.endswith(".whl")] == [newer]


def test_a_damaged_wheel_of_the_earlier_bundle_is_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: Path
) -> None:
    made = make_wheel(tmp_path / "index", "asked")
    with local_index.serve(tmp_path / "index", monkeypatch):
        bundle.build(["asked"], tiny_image(), out)
        (out / made.name).write_bytes(b"damaged")
        bundle.build(["asked"], tiny_image(), out)
    assert (out / made.name).read_bytes() == made.read_bytes()
