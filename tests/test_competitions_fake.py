"""Synthetic trees are real ones to everything that reads them, and not too easy."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio

from kagglekit import competitions
from kagglekit.competitions import fake
from kagglekit.competitions.fake.nuclei import draw_nuclei
from kagglekit.competitions.fake.tissue import draw_kidney
from kagglekit.errors import DataError
from kagglekit.instances import find_overlap

HUBMAP = competitions.load("hubmap-kidney-segmentation")
BOWL = competitions.load("data-science-bowl-2018")
BOTH = pytest.mark.parametrize("comp", [HUBMAP, BOWL], ids=lambda comp: comp.slug)
SMALL = (240, 300)


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


@BOTH
def test_same_seed_same_tree_other_seed_another(tmp_path: Path, comp: competitions.Profile) -> None:
    truths = [
        fake.make(comp, tmp_path / name, seed=seed, train=2, size=SMALL)
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    ]
    trees = [digests(tmp_path / name) for name in "abc"]
    assert trees[0] == trees[1]
    assert truths[0] == truths[1]
    shared = {name for name in trees[0] if name in trees[2]}
    assert all("/" not in name for name in shared), "tables alone have names in common"
    assert len(truths[0]) != len(truths[2])
    shapes = [{rle.shape for rles in truth.values() for rle in rles} for truth in truths]
    assert not shapes[0] & shapes[2]


@BOTH
def test_more_train_images_leave_the_test_as_it_is(
    tmp_path: Path, comp: competitions.Profile
) -> None:
    first = fake.make(comp, tmp_path / "a", train=0, test=1, size=SMALL)
    second = fake.make(comp, tmp_path / "b", train=1, test=2, size=SMALL)
    image_id = next(iter(first))
    assert first[image_id] == second[image_id]
    tests = [comp.find_data(tmp_path / name).test_images()[image_id] for name in "ab"]
    assert tests[0].read_bytes() == tests[1].read_bytes()
    with pytest.raises(DataError, match=r"^no file matches"):
        comp.find_data(tmp_path / "a").train_images()


@BOTH
def test_a_tree_is_read_by_its_own_profile(tmp_path: Path, comp: competitions.Profile) -> None:
    truth = fake.make(comp, tmp_path, train=3, test=2, size=SMALL)
    data = comp.find_data(tmp_path)
    assert list(data.test_images()) == sorted(truth)
    assert len(data.train_images()) == 3
    assert not set(truth) & set(data.train_images())
    for image_id, path in data.test_images().items():
        assert truth[image_id]
        assert {rle.shape for rle in truth[image_id]} == {data.shape(path)}
        assert find_overlap(truth[image_id]) is None
    for image_id in data.train_images():
        rles = data.truth(image_id)
        assert all(rle.area for rle in rles)
        assert find_overlap(rles) is None
    for side in zip(*(data.shape(path) for path in data.test_images().values()), strict=True):
        assert all(0.85 * 240 - 1 < length < 1.15 * 300 for length in side)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_hubmap_has_every_layout_and_its_tables(tmp_path: Path) -> None:
    fake.make(HUBMAP, tmp_path, train=3, test=1, size=SMALL)
    data = HUBMAP.find_data(tmp_path)
    kinds = set()
    for path in data.train_images().values():
        with rasterio.open(path) as slide:
            kinds.add((slide.count, len(slide.subdatasets), slide.profile.get("compress")))
            assert set(slide.dtypes) == {"uint8"}
    assert kinds == {(3, 0, "lzw"), (1, 3, None), (3, 0, None)}
    ids = {*data.train_images(), *data.test_images()}
    assert all(len(image_id) == 9 and int(image_id, 16) >= 0 for image_id in ids)
    assert set(data.groups()) == ids
    header, rows = competitions.table.read_table(tmp_path / "sample_submission.csv")
    assert header == ["id", "predicted"]
    assert rows == [[image_id, ""] for image_id in data.test_images()]


def test_bowl_images_are_rgba_and_its_masks_agree_with_its_table(tmp_path: Path) -> None:
    fake.make(BOWL, tmp_path, train=2, test=1)
    data = BOWL.find_data(tmp_path)
    for image_id, path in data.train_images().items():
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert image.dtype == np.uint8
        assert image.shape[2] == 4
        assert (image[..., 3] == 255).all()
        assert len(image_id) == 64
        from_table = data.truth(image_id)
        masks = [
            cv2.imread(str(mask), cv2.IMREAD_UNCHANGED)
            for mask in (tmp_path / f"stage1_train/{image_id}/masks").iterdir()
        ]
        assert {value for mask in masks for value in np.unique(mask)} == {0, 255}
        assert sorted((mask // 255).tobytes() for mask in masks) == sorted(
            rle.to_mask().tobytes() for rle in from_table
        )


def test_glomeruli_are_not_a_matter_of_colour() -> None:
    rgb, mask = draw_kidney(np.random.default_rng(0), (900, 1100))
    assert 0.02 < mask.mean() < 0.25
    truth = mask[::3, ::3] > 0
    for space in (cv2.COLOR_RGB2LAB, cv2.COLOR_RGB2HSV, None):
        picture = rgb if space is None else cv2.cvtColor(rgb, space)
        for channel in cv2.split(picture[::3, ::3]):
            marks = np.percentile(channel, range(0, 101, 10))
            for low in marks:
                for high in marks[marks > low]:
                    found = (channel >= low) & (channel <= high)
                    dice = 2 * (found & truth).sum() / (found.sum() + truth.sum())
                    assert dice < 0.5


def test_glomeruli_lie_on_tissue() -> None:
    rgb, mask = draw_kidney(np.random.default_rng(5), (700, 900))
    assert rgb[mask > 0].mean() < 0.85 * rgb[:12, :12].mean()


@pytest.mark.parametrize("stain", [False, True])
def test_nuclei_stand_out_and_some_touch(stain: bool) -> None:
    touching = 0
    for seed in range(3):
        image, labels = draw_nuclei(np.random.default_rng(seed), (256, 320), stain)
        inside, outside = image[labels > 0].mean(), image[labels == 0].mean()
        assert inside < outside - 20 if stain else inside > outside + 20
        assert set(np.unique(labels)) == set(range(labels.max() + 1))
        objects = cv2.connectedComponents((labels > 0).astype(np.uint8))[0] - 1
        touching += int(labels.max()) - objects
    assert touching > 3


@pytest.mark.parametrize("shape", [(40, 40), (61, 500)])
def test_small_and_narrow_images_can_be_drawn(shape: tuple[int, int]) -> None:
    rgb, mask = draw_kidney(np.random.default_rng(0), shape)
    assert rgb.shape == (*shape, 3)
    assert mask.any()
    image, labels = draw_nuclei(np.random.default_rng(0), shape, stain=False)
    assert image.shape == (*shape, 3)
    assert labels.any()


def test_a_folder_in_use_and_an_unknown_competition_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    with pytest.raises(DataError) as caught:
        fake.make(HUBMAP, tmp_path)
    assert str(caught.value) == (
        f"`{tmp_path}` is not empty: two trees in one folder would be neither\n"
        "hint: give a new folder, or delete this one first"
    )
    other = competitions.Profile(**{**vars(HUBMAP), "slug": "other"})
    with pytest.raises(
        DataError, match=r"^nobody draws images of `other`\nhint: rehearse on its own data"
    ):
        fake.make(other, tmp_path)
