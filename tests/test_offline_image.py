import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from kagglekit.errors import KaggleImageError
from kagglekit.offline import image


def test_shipped_lists() -> None:
    assert image.names() == [
        "colab-2026-08-cpu",
        "colab-2026-08-gpu",
        "kaggle-2026-06-cpu",
        "kaggle-2026-06-gpu",
    ]
    for name in image.names():
        loaded = image.load(name)
        assert loaded.name == name
        assert loaded.accelerator == name[-3:]
        assert loaded.python == ("3.12" if name.startswith("kaggle") else "3.13")
        assert loaded.glibc == "2.35"
        assert {"torch", "numpy", "rasterio", "opencv-python-headless"} <= set(loaded.packages)
        assert not any("+" in version for version in loaded.packages.values())


def test_a_list_from_a_file(tmp_path) -> None:
    file = tmp_path / "session.txt"
    file.write_text(
        "# python: 3.11.13\n# glibc: 2.35\n\n# a comment\nTorch_Vision==0.25.0+cu128\n"
        "segment_anything @ git+ssh://somewhere/segment-anything@abc\n"
        "-e git+ssh://somewhere/x@abc#egg=learntools\n"
        "python-debian===0.1.43ubuntu1\n"
    )
    loaded = image.load(file)
    assert (loaded.name, loaded.python) == ("session", "3.11")
    assert dict(loaded.packages) == {"torch-vision": "0.25.0"}
    assert loaded.unversioned == {"segment-anything", "learntools", "python-debian"}
    assert loaded.constraints() == (
        "learntools==0\npython-debian==0\nsegment-anything==0\ntorch-vision==0.25.0\n"
    )


def test_every_problem_of_a_list_is_named() -> None:
    with pytest.raises(KaggleImageError) as caught:
        image.parse("# python: 2.7\nnumpy==2.0\nnumpy>=1\nNumPy==2.1\n", "mine")
    assert str(caught.value) == (
        "the list of Kaggle image `mine` cannot be read\n"
        "  - line 3: `numpy>=1` is not `name==version`\n"
        "  - line 4: `numpy` is listed twice\n"
        "  - no line `# python: 3.12` says which python the image has\n"
        "  - no line `# glibc: 2.35` says which glibc the image has\n"
        "hint: print it with the cell that `kagglekit probe` shows, in a fresh notebook"
    )


def test_a_glibc_that_no_wheel_is_for() -> None:
    with pytest.raises(KaggleImageError, match="glibc 2.12 is older than 2.17, which every wheel"):
        image.parse("# python: 3.12\n# glibc: 2.12\nnumpy==2.0\n", "mine")


def test_an_empty_list_is_refused() -> None:
    with pytest.raises(KaggleImageError, match="it lists no package"):
        image.parse("# python: 3.12\n# glibc: 2.35\n", "mine")


def test_an_unknown_image() -> None:
    with pytest.raises(KaggleImageError) as caught:
        image.load("kaggle-1999")
    assert str(caught.value) == (
        "`kaggle-1999` is neither a known Kaggle image nor a readable list of versions"
        " ([Errno 2] No such file or directory: 'kaggle-1999')\n"
        "  - known: colab-2026-08-cpu\n"
        "  - known: colab-2026-08-gpu\n"
        "  - known: kaggle-2026-06-cpu\n"
        "  - known: kaggle-2026-06-gpu"
    )


def test_a_file_that_is_no_text(tmp_path) -> None:
    (tmp_path / "list.bin").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(KaggleImageError, match="readable list"):
        image.load(tmp_path / "list.bin")


@pytest.mark.parametrize("present", image.OPENCV)
def test_any_opencv_stands_for_any_other(tmp_path, present) -> None:
    loaded = image.parse(f"# python: 3.12\n# glibc: 2.35\n{present}==4.13.0.92\n", "mine")
    for name in image.OPENCV:
        assert loaded.version_of(name) == "4.13.0.92"
    loaded.write_stub(tmp_path)
    assert len(list(tmp_path.glob("opencv_*-4.13.0.92.dist-info"))) == len(image.OPENCV)


def test_no_opencv_stands_for_none() -> None:
    loaded = image.parse("# python: 3.12\n# glibc: 2.35\nnumpy==2.0.2\n", "mine")
    assert loaded.version_of("opencv-python") is None
    assert "opencv" not in loaded.constraints()


def test_the_stub_has_one_distribution_per_package(tmp_path) -> None:
    loaded = image.load("colab-2026-08-cpu")
    loaded.write_stub(tmp_path)
    stubbed = {path.name for path in tmp_path.iterdir()}
    assert "torch-2.11.0.dist-info" in stubbed
    assert len(stubbed) == len(loaded.constraints().splitlines())
    metadata = (tmp_path / "torch-2.11.0.dist-info" / "METADATA").read_text()
    assert metadata == "Metadata-Version: 2.1\nName: torch\nVersion: 2.11.0\n"


names = st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,5})?", fullmatch=True)
versions = st.from_regex(
    r"[0-9]{1,3}(\.[0-9]{1,2}){0,3}(\.post[0-9])?(\+[a-z0-9]{1,5})?", fullmatch=True
)


@given(st.dictionaries(names, versions, min_size=1))
def test_what_pip_freeze_prints_is_read_back(pins) -> None:
    lines = "".join(f"{name}=={version}\n" for name, version in pins.items())
    loaded = image.parse(f"# python: 3.12\n# glibc: 2.35\n{lines}", "mine")
    assert set(loaded.packages) == set(pins)
    for name, version in pins.items():
        assert Version(loaded.packages[name]) == Version(version.split("+")[0])
