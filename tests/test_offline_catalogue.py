"""Odd and broken images, requirement sets and bundles, each refused with its message; and sound ones.

Everything is made of tiny real wheels. What is refused is refused before a bundle takes its place;
what is damaged afterwards is refused by `check-bundle`.
"""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kagglekit.errors import BundleError
from kagglekit.offline import bundle, check, image, requirements, tools
from kagglekit.offline.manifest import FILE
from kagglekit.rehearsal import replica
from tests.isolation import nobody
from tests.wheels_factory import (
    TINY_LIST,
    make_parts,
    make_project,
    make_sdist,
    make_wheel,
    rewrite,
    tiny_image,
    use_index,
)

HEAD = "# python: 3.12\n# glibc: 2.35\n"

IMAGES = {
    "empty": ("", "it lists no package"),
    "no python": ("# glibc: 2.35\na==1\n", "no line `# python: 3.12`"),
    "no glibc": ("# python: 3.12\na==1\n", "no line `# glibc: 2.35`"),
    "python 2": ("# python: 2.7\n# glibc: 2.35\na==1\n", "no line `# python: 3.12`"),
    "musl": ("# python: 3.12\n# glibc: musl\na==1\n", "no line `# glibc: 2.35`"),
    "old glibc": ("# python: 3.12\n# glibc: 2.12\na==1\n", "glibc 2.12 is older than 2.17"),
    "a range": (f"{HEAD}a>=1\n", "line 3: `a>=1` is not `name==version`"),
    "twice": (f"{HEAD}a==1\nA==2\n", "line 4: `a` is listed twice"),
    "pip list": (f"{HEAD}Package Version\na 1\n", "line 3: `Package Version` is not"),
    "P100": (
        f"{HEAD}# capability: 6.0\n# architectures: sm_70,sm_75\na==1\n",
        "nothing compiled for its GPU",
    ),
}


@pytest.mark.parametrize("case", sorted(IMAGES))
def test_broken_images(case: str) -> None:
    text, said = IMAGES[case]
    with pytest.raises(BundleError) as caught:
        image.parse(text, "mine")
    assert said in str(caught.value)


LINES = {
    "an option": ("--index-url x", "line 1: `--index-url x` is not a requirement"),
    "an address": ("a @ https://example.com/a.whl", "is an address; give a name from the index"),
    "a path": ("./a.whl", "line 1: `./a.whl` is not a requirement"),
    "a sentence": ("numpy and pandas", "is not a requirement"),
    "half a version": ("numpy>=", "is not a requirement"),
}


@pytest.mark.parametrize("case", sorted(LINES))
def test_broken_requirements(case: str) -> None:
    line, said = LINES[case]
    with pytest.raises(BundleError) as caught:
        requirements.read([line])
    assert said in str(caught.value)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_index(monkeypatch, tmp_path / "index")


def _compiled(index: Path) -> None:
    make_sdist(index, "asked", tag="cp311-cp311-linux_x86_64")


def _untrue(index: Path) -> None:
    rewrite(make_wheel(index, "asked"), {"asked/__init__.py": "stolen = 1\n"})


def _leaving(index: Path) -> None:
    rewrite(make_wheel(index, "asked"), {"../evil.py": ""})


BUILDS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "unknown": ("asked", lambda index: None, "the package index does not have what is required"),
    "no such version": ("asked==7", lambda i: make_wheel(i, "asked"), "no version of asked==7"),
    "wants another numpy": (
        "asked",
        lambda i: (make_wheel(i, "asked", requires=["there>=2"]), make_wheel(i, "there", "2.5")),
        "`there` 1.5 would become 2.5",
    ),
    "another OpenCV": (
        "opencv-contrib-python>=5",
        lambda i: make_wheel(i, "opencv_contrib_python", "5.0"),
        "`opencv-contrib-python` 4.13.0.92 would become 5.0",
    ),
    "asks for another torch": ("torch>=3", lambda i: make_wheel(i, "torch", "3.0"), "would become"),
    "other Python": (
        "asked",
        lambda i: make_wheel(i, "asked", tag="cp313-cp313-manylinux_2_17_x86_64"),
        "has no wheel for tiny",
    ),
    "newer glibc": (
        "asked",
        lambda i: make_wheel(i, "asked", tag="cp312-cp312-manylinux_2_39_x86_64"),
        "has no wheel for tiny",
    ),
    "Windows only": (
        "asked",
        lambda i: make_wheel(i, "asked", tag="cp312-cp312-win_amd64"),
        "has no wheel for tiny",
    ),
    "needs what is nowhere": (
        "asked",
        lambda i: make_wheel(i, "asked", requires=["nosuch"]),
        "nosuch was not found",
    ),
    "source that does not build": (
        "asked",
        lambda i: make_sdist(i, "asked", buildable=False),
        "Failed to download and build `asked==1.0`",
    ),
    "source with compiled code": ("asked", _compiled, "holds compiled code of this machine"),
    "RECORD is untrue": ("asked", _untrue, "`asked/__init__.py` is not the file of RECORD"),
    "leaves its folder": ("asked", _leaving, "`../evil.py` leads out of its folder"),
    "an extra of the image's": ("there[more]", lambda i: None, "tiny has `there` already"),
}


@pytest.mark.parametrize("case", sorted(BUILDS))
def test_what_cannot_be_built(case: str, index: Path, tmp_path: Path) -> None:
    wanted, prepare, said = BUILDS[case]
    prepare(index)
    with pytest.raises(BundleError) as caught:
        bundle.build([wanted], tiny_image(), tmp_path / "out" / "my-bundle")
    assert said in str(caught.value)
    assert not (tmp_path / "out" / "my-bundle").exists()


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_parts(tmp_path_factory.mktemp("parts"))


HELPER = "helper-1.0-py3-none-any.whl"


def _edit(made: Path, change: Callable[[dict[str, object]], object]) -> None:
    content = json.loads((made / FILE).read_text())
    change(content)
    (made / FILE).write_text(json.dumps(content))


def _outside(made: Path, name: str) -> None:
    _edit(made, lambda content: content["files"].update({name: "00"}))  # type: ignore[attr-defined]


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda m: (m / FILE).unlink(), "the manifest of"),
    "manifest cut short": (lambda m: (m / FILE).write_text('{"format": 1'), "cannot be read"),
    "of another format": (
        lambda m: _edit(m, lambda c: c.update(format=9)),
        "is not of format 1",
    ),
    "no targets": (lambda m: _edit(m, lambda c: c.update(targets=[])), "is incomplete"),
    "for another image": (
        lambda m: _edit(m, lambda c: c["targets"][0].update(image="other")),  # type: ignore[index]
        "was not built for `tiny`",
    ),
    "leads up": (lambda m: _outside(m, "../x"), "`../x` lies outside the bundle"),
    "absolute": (lambda m: _outside(m, "/etc/passwd"), "`/etc/passwd` lies outside the bundle"),
    "wheel gone": (lambda m: (m / HELPER).unlink(), f"`{HELPER}` is missing"),
    "wheel swapped": (
        lambda m: make_wheel(m, "helper", body="stolen = 1\n"),
        f"`{HELPER}` is not the file that was built",
    ),
    "wheel too many": (lambda m: make_wheel(m, "stray"), "is not part of the bundle"),
    "lock changed": (
        lambda m: (m / "requirements.lock").write_text(""),
        "`requirements.lock` is not the file that was built",
    ),
    "name with @": (lambda m: (m / "a@b").touch(), "file name `a@b` may hold"),
    "name with +": (lambda m: (m / "a+b").touch(), "file name `a+b` may hold"),
    "no metadata": (lambda m: (m / "dataset-metadata.json").unlink(), "cannot be read"),
    "bad title": (
        lambda m: (m / "dataset-metadata.json").write_text('{"title": "x"}'),
        "Kaggle wants 6 to 50",
    ),
    "a key": (
        lambda m: (m / "kaggle.txt").write_text('"key": "' + "0123456789abcdef" * 2 + '"'),
        "`kaggle.txt` holds a Kaggle key",
    ),
    "a path of home": (
        lambda m: (m / "notes.txt").write_text("/home/anna/x"),
        "`notes.txt` holds a path of one machine: /home/anna/…",
    ),
}


@pytest.mark.parametrize("case", sorted(DAMAGES))
def test_damaged_bundles(case: str, parts: Path, tmp_path: Path) -> None:
    made = shutil.copytree(parts / "my-bundle", tmp_path / "my-bundle")
    damage, said = DAMAGES[case]
    damage(made)
    with pytest.raises(BundleError) as caught:
        check.check_bundle(made, tiny_image())
    assert said in str(caught.value)


def test_there_are_enough_of_them() -> None:
    assert len(IMAGES) + len(LINES) + len(BUILDS) + len(DAMAGES) >= 40
    assert len(SOUND) >= 20


def _wheels(*made: tuple[str, dict[str, object]]) -> Callable[[Path], object]:
    return lambda index: [make_wheel(index, name, **rest) for name, rest in made]  # type: ignore[arg-type]


PLAIN = _wheels(("asked", {}))
SOUND: dict[str, tuple[list[str], Callable[[Path], object], str]] = {
    "one wheel": (["asked"], PLAIN, TINY_LIST),
    "a version": (["asked==1.0"], PLAIN, TINY_LIST),
    "a range": (["asked>=0.5,<2"], PLAIN, TINY_LIST),
    "asked twice": (["asked", "asked>=1"], PLAIN, TINY_LIST),
    "other spelling": (["My_Tool"], _wheels(("my_tool", {})), TINY_LIST),
    "capitals": (["ASKED"], PLAIN, TINY_LIST),
    "nothing": ([], PLAIN, TINY_LIST),
    "all there": (["there", "torch"], PLAIN, TINY_LIST),
    "any OpenCV": (["opencv-python-headless"], PLAIN, TINY_LIST),
    "a marker that holds": (["asked; python_version >= '3.12'"], PLAIN, TINY_LIST),
    "a marker that does not": (["nosuch; sys_platform == 'win32'"], PLAIN, TINY_LIST),
    "an extra": (
        ["asked[more]"],
        _wheels(("asked", {"requires": ['helper; extra == "more"']}), ("helper", {})),
        TINY_LIST,
    ),
    "in a circle": (
        ["asked"],
        _wheels(("asked", {"requires": ["helper"]}), ("helper", {"requires": ["asked"]})),
        TINY_LIST,
    ),
    "old and new glibc": (
        ["asked"],
        _wheels(("asked", {"tag": "cp312-cp312-manylinux_2_35_x86_64"})),
        TINY_LIST,
    ),
    "abi3": (["asked"], _wheels(("asked", {"tag": "cp39-abi3-manylinux_2_17_x86_64"})), TINY_LIST),
    "python 2 and 3": (["asked"], _wheels(("asked", {"tag": "py2.py3-none-any"})), TINY_LIST),
    "from source": (["asked"], lambda index: make_sdist(index, "asked"), TINY_LIST),
    "a git install": (["asked", "fromgit"], PLAIN, TINY_LIST + "fromgit @ git+ssh://x/y@abc\n"),
    "local versions": (["asked", "other"], PLAIN, TINY_LIST + "other==2.0+cu128\n"),
    "Debian's versions": (["asked"], PLAIN, TINY_LIST + "python-debian==0.1.43ubuntu1\n"),
    "Python 3.13": (["asked"], PLAIN, TINY_LIST.replace("3.12.13", "3.13.1")),
    "an odd glibc": (["asked"], PLAIN, TINY_LIST.replace("2.35", "2.29")),
}


@pytest.mark.parametrize("case", sorted(SOUND))
def test_sound_ones_are_not_refused(case: str, index: Path, tmp_path: Path) -> None:
    wanted, prepare, text = SOUND[case]
    prepare(index)
    project = make_project(tmp_path / "project") if case == "one wheel" else ()
    kaggle = tiny_image(text)
    made = bundle.build(wanted, kaggle, tmp_path / "out" / "my-bundle", project)
    assert check.check_bundle(made.folder, kaggle) == made.manifest
    expected = {f"{wheel.name}-{wheel.version}" for wheel in made.manifest.wheels}
    assert installed_by_nobody(made.folder, kaggle, tmp_path) == expected


def installed_by_nobody(folder: Path, kaggle: image.KaggleImage, tmp_path: Path) -> set[str]:
    """Run install.py as nobody, with no network, in the image's Python; return what is new."""
    python, unproved = replica.find_python(kaggle.python)
    if unproved:
        pytest.skip(f"no Python {kaggle.python} to install into")
    venv, uv = tmp_path / "kernel", tools.find_uv()
    subprocess.run([uv, "venv", "-q", "--python", python, str(venv)], check=True)
    [site] = venv.glob("lib/python*/site-packages")
    kaggle.write_stub(site)
    before = {path.name for path in site.glob("*.dist-info")}
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    command = nobody([str(venv / "bin" / "python"), str(folder / "install.py")])
    done = subprocess.run(command, capture_output=True, text=True)
    folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    new = {path.name for path in site.glob("*.dist-info")} - before
    return {name.removesuffix(".dist-info").replace("_", "-") for name in new}
