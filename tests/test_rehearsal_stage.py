"""The two trees of a rehearsal: nothing of the test may be learnt from them."""

import csv
import hashlib
import tarfile
from pathlib import Path

import pytest

from kagglekit import competitions
from kagglekit.competitions import fake
from kagglekit.competitions.data import Data
from kagglekit.errors import DataError
from kagglekit.rehearsal import stage

BOWL = competitions.load("data-science-bowl-2018")
KIDNEY = competitions.load("hubmap-kidney-segmentation")
SIZE = (90, 130)


def files(root: Path) -> dict[str, str]:
    """Return the digest of every file below a folder."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def bowl(tmp_path_factory: pytest.TempPathFactory) -> Data:
    root = tmp_path_factory.mktemp("bowl")
    fake.make(BOWL, root, train=12, test=2, size=SIZE)
    return BOWL.find_data(root)


@pytest.fixture(scope="module")
def kidney(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Thirteen slides of seven patients: two of each, one of the last."""
    root = tmp_path_factory.mktemp("kidney")
    fake.make(KIDNEY, root, train=13, test=1, size=SIZE)
    return KIDNEY.find_data(root)


def pairs(test: stage.Test) -> dict[str, list[str]]:
    return {image: [mask.to_text() for mask in masks] for image, masks in test.truth.items()}


SEVERSTAL = competitions.load("severstal-steel-defect-detection")
OTHERS = [
    SEVERSTAL,
    SEVERSTAL.in_dialect(1),
    *(
        competitions.load(slug)
        for slug in competitions.slugs()
        if slug not in (BOWL.slug, KIDNEY.slug, SEVERSTAL.slug)
    ),
]


@pytest.mark.parametrize("comp", OTHERS, ids=lambda comp: f"{comp.slug} {comp.train_table.key}")
def test_every_kind_of_competition_can_be_split(comp: competitions.Profile, tmp_path: Path) -> None:
    fake.make(comp, tmp_path / "real", train=24, test=1, size=(40, 52))
    real = comp.find_data(tmp_path / "real")
    tests = stage.from_data(real, tmp_path / "made")
    for test in tests:
        data = comp.find_data(test.tree)
        assert data.test_images().keys() == test.truth.keys()
        assert not data.train_images().keys() & test.truth.keys()
        for image, path in data.test_images().items():
            assert data.shape(path) == real.shape(real.train_images()[image])
            assert test.truth[image] == real.truth(image)
        for image in data.train_images():
            assert data.truth(image) == real.truth(image)
        grouped = comp.groups.path if comp.groups else ""
        texts = [
            path.read_text()
            for path in test.tree.iterdir()
            if path.is_file() and path.name not in (comp.submission.sample, grouped)
        ]
        other = {*real.train_images()} - {*data.train_images()}
        assert not [image for image in other if any(image in text for text in texts)]


@pytest.mark.parametrize("name", ["bowl", "kidney"])
def test_real_images_are_split_and_no_label_of_the_test_is_left(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    data: Data = request.getfixturevalue(name)
    before = files(data.root)
    tests = stage.from_data(data, tmp_path)
    assert [test.name for test in tests] == ["visible", "hidden"]
    train = [set(Data(test.tree, data.profile).train_images()) for test in tests]
    visible, hidden = (set(test.truth) for test in tests)
    assert train[0] == train[1]
    assert visible
    assert hidden
    assert not visible & hidden
    assert train[0] | visible | hidden == set(data.train_images())
    assert not train[0] & (visible | hidden)
    for test in tests:
        images = Data(test.tree, data.profile).test_images()
        assert set(images) == set(test.truth)
        for image, path in images.items():
            assert path.read_bytes() == data.train_images()[image].read_bytes()
        assert pairs(test) == {
            image: [mask.to_text() for mask in data.truth(image)] for image in images
        }
        # Labels: the paths of mask files and the rows of the table name train images only.
        for path in test.tree.rglob("masks/*"):
            assert path.parts[-3] in train[0]
        with (test.tree / data.profile.train_table.path).open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert {row[data.profile.train_table.id] for row in rows} == train[0]
        with (test.tree / data.profile.submission.sample).open(newline="") as file:
            rules = data.profile.submission
            assert list(csv.DictReader(file)) == [
                {rules.id: image, rules.rle: rules.empty} for image in test.truth
            ]
        kept = Data(test.tree, data.profile)
        assert {image: len(kept.truth(image)) for image in train[0]} == {
            image: len(data.truth(image)) for image in train[0]
        }
    assert files(data.root) == before


def test_slides_of_one_patient_stay_together(kidney: Data, tmp_path: Path) -> None:
    tests = stage.from_data(kidney, tmp_path)
    patient = kidney.groups()
    held = {patient[image] for test in tests for image in test.truth}
    trained = {patient[image] for image in Data(tests[0].tree, KIDNEY).train_images()}
    assert held
    assert not held & trained


def test_without_the_table_of_patients_slides_are_held_out_one_by_one(
    kidney: Data, tmp_path: Path
) -> None:
    assert KIDNEY.groups
    root = tmp_path / "data"
    for name in files(kidney.root):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if name != KIDNEY.groups.path:
            (root / name).hardlink_to(kidney.root / name)
    tests = stage.from_data(KIDNEY.find_data(root), tmp_path / "out")
    every_fifth = list(kidney.train_images())[::5]
    assert sorted(image for test in tests for image in test.truth) == every_fifth


def test_a_packed_download_beside_the_images_would_give_the_labels_away(
    bowl: Data, tmp_path: Path
) -> None:
    packed, notes = bowl.root / "stage1_train.zip", bowl.root / "classes.csv"
    packed.write_bytes(b"all the masks")
    notes.write_text("foreground,background\n")
    try:
        tests = stage.from_data(bowl, tmp_path)
    finally:
        packed.unlink()
        notes.unlink()
    for test in tests:
        assert not (test.tree / "stage1_train.zip").exists()
        assert (test.tree / "classes.csv").read_text() == "foreground,background\n"


def test_files_are_copied_where_they_cannot_be_linked(
    bowl: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked = stage.from_data(bowl, tmp_path / "linked")
    image = next(iter(bowl.train_images().values()))
    assert image.stat().st_nlink > 1

    def refuse(source: object, target: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(stage.os, "link", refuse)
    copied = stage.from_data(bowl, tmp_path / "copied")
    for one, other in zip(linked, copied, strict=True):
        assert files(one.tree) == files(other.tree)
    assert next(copied[0].tree.rglob("stage1_test/*/images/*.png")).stat().st_nlink == 1


@pytest.mark.parametrize("count", [1, 5])
def test_too_few_images_are_refused(count: int, tmp_path: Path) -> None:
    fake.make(BOWL, tmp_path / "data", train=count, test=1, size=SIZE)
    with pytest.raises(DataError) as caught:
        stage.from_data(BOWL.find_data(tmp_path / "data"), tmp_path / "out")
    assert str(caught.value) == (
        f"{count} labelled images are too few to rehearse on\n"
        "hint: one image in 5, or group of images that belong together, plays the test, and a "
        "visible and a hidden test need one image each"
    )


def test_six_images_are_enough(tmp_path: Path) -> None:
    fake.make(BOWL, tmp_path / "data", train=6, test=1, size=SIZE)
    tests = stage.from_data(BOWL.find_data(tmp_path / "data"), tmp_path / "out")
    assert [len(test.truth) for test in tests] == [1, 1]


def test_made_up_tests_share_no_image(tmp_path: Path) -> None:
    tests = stage.from_fake(BOWL, tmp_path)
    visible, hidden = (BOWL.find_data(test.tree) for test in tests)
    assert set(visible.test_images()) == set(tests[0].truth)
    assert set(hidden.test_images()) == set(tests[1].truth)
    assert len(tests[0].truth) != len(tests[1].truth)
    everything = [*visible.train_images(), *visible.test_images(), *hidden.test_images()]
    assert len(set(everything)) == len(everything)
    again = stage.from_fake(BOWL, tmp_path / "again")
    assert [pairs(test) for test in again] == [pairs(test) for test in tests]
    other = stage.from_fake(BOWL, tmp_path / "other", seed=1)
    assert not {*tests[0].truth, *tests[1].truth} & {*other[0].truth, *other[1].truth}


def test_the_real_bowl(shared_data: Path, tmp_path: Path) -> None:
    packed = shared_data / "dsb2018_stage1_train.tar"
    if not packed.is_file():
        pytest.skip(f"{packed.name} is not here")
    ids: set[str] = set()
    with tarfile.open(packed) as tar:
        for member in tar:
            ids.add(member.name.split("/")[1])
            if len(ids) > 12:
                break
            tar.extract(member, tmp_path / "data", filter="data")
    data = BOWL.find_data(tmp_path / "data")
    tests = stage.from_data(data, tmp_path / "out")
    assert [len(test.truth) for test in tests] == [1, 2]
    for test in tests:
        tree = BOWL.find_data(test.tree)
        assert set(tree.test_images()) == set(test.truth)
        assert len(tree.train_images()) == 9
        assert {path.parts[-3] for path in test.tree.rglob("masks/*")} == set(tree.train_images())
        for image, masks in test.truth.items():
            assert len(masks) == len(list(data.root.glob(f"*/{image}/masks/*.png")))
