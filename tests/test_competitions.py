"""Profiles, the path templates, and what `Data` finds in small hand-made trees."""

import csv
import dataclasses
import math
import re
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from kagglekit import competitions
from kagglekit.competitions import table, template
from kagglekit.competitions.fake.kidney import LAYOUTS, write_slide
from kagglekit.competitions.rules import MetricName
from kagglekit.errors import DataError
from kagglekit.rle import RLE

HUBMAP = competitions.load("hubmap-kidney-segmentation")
BOWL = competitions.load("data-science-bowl-2018")


def put_image(path: Path, shape: tuple[int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((*shape, 3), np.uint8))


def hubmap_tree(root: Path, train_csv: str, *ids: str) -> competitions.Data:
    for image_id in ids:
        put_image(root / f"train/{image_id}.tiff", (4, 6))
    (root / "train.csv").write_text(train_csv)
    return HUBMAP.find_data(root)


# Profiles


@pytest.mark.parametrize("slug", competitions.slugs())
def test_every_profile_is_whole(slug: str) -> None:
    comp = competitions.load(slug)
    assert comp.slug == slug
    for images in (comp.tree.train_images, comp.tree.test_images):
        assert set(re.findall(r"{\w+}", comp.tree.id)) <= set(re.findall(r"{\w+}", images))
    assert comp.submission.order in ("F", "C")
    assert comp.submission.rows in ("one", "classes", "instances")
    assert comp.metric.name in get_args(MetricName)
    assert math.isnan(comp.metric.empty) or 0 <= comp.metric.empty <= 1
    assert comp.limits.hours > 0
    assert comp.limits.ram_gb > 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        comp.slug = "other"


def test_facts_of_the_two_competitions() -> None:
    assert HUBMAP.tree.test_images == "test/{id}.tiff"
    assert HUBMAP.train_table == competitions.profile.Table("train.csv", "id", "encoding")
    assert (HUBMAP.submission.id, HUBMAP.submission.rle) == ("id", "predicted")
    assert (HUBMAP.submission.order, HUBMAP.submission.rows) == ("F", "one")
    assert (HUBMAP.metric.name, HUBMAP.metric.empty) == ("mean_dice", 1.0)
    assert HUBMAP.groups is not None
    assert HUBMAP.groups.column == "patient_number"
    assert (HUBMAP.limits.hours, HUBMAP.limits.internet) == (9, False)
    assert (BOWL.submission.id, BOWL.submission.rle) == ("ImageId", "EncodedPixels")
    assert (BOWL.submission.order, BOWL.submission.rows) == ("F", "instances")
    assert BOWL.metric.name == "instance_precision"
    assert BOWL.groups is None


def test_unknown_slug_shows_the_nearest() -> None:
    with pytest.raises(DataError) as caught:
        competitions.load("data-science-bowl-2017")
    assert str(caught.value) == (
        "no profile for competition `data-science-bowl-2017`\n"
        "hint: there is `data-science-bowl-2018`"
    )
    with pytest.raises(DataError, match=r"there is `blood-vessel-segmentation`, `carvana-"):
        competitions.load("xyz")


# Templates


@given(st.lists(st.text("abc019[]*?._-", min_size=1, max_size=6), unique=True, max_size=4))
def test_files_named_by_a_template_are_found_by_it(tmp_path_factory, names: list[str]) -> None:
    root = tmp_path_factory.mktemp("tree")
    names = [name for name in names if name.strip(".")]
    paths = {name: root / template.fill("a/{id}/b/{id}.png", id=name) for name in names}
    for path in paths.values():
        path.parent.mkdir(parents=True)
        path.touch()
        (path.parent / "not its folder's name.png").touch()
        (path.parent / "notes.txt").touch()
    found = template.find(root, "a/{id}/b/{id}.png")
    assert found == paths
    assert list(found) == sorted(names)


def test_a_link_that_leads_round_in_a_circle_hides_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("1.png", "2.png", "3.png"):
        (tmp_path / "a" / name).touch()
    (tmp_path / "a" / "loop.png").symlink_to("loop.png")
    assert list(template.find(tmp_path, "a/{id}.png")) == ["1", "2", "3"]


def test_a_given_field_narrows_what_is_found(tmp_path: Path) -> None:
    for name in ("x/masks/1.png", "x/masks/2.png", "y/masks/3.png", "[x]/masks/4.png"):
        put_image(tmp_path / name, (2, 2))
    assert list(template.find(tmp_path, "{id}/masks/{instance}.png", id="x")) == ["1", "2"]
    assert list(template.find(tmp_path, "{id}/masks/{instance}.png", id="[x]")) == ["4"]


# Finding the folder


@pytest.mark.parametrize("layout", ["{}", "competitions/{}"])
def test_find_data_knows_both_mounts(tmp_path: Path, monkeypatch, layout: str) -> None:
    root = tmp_path / layout.format(HUBMAP.slug)
    put_image(root / "test/2ec3f1bb9.tiff", (4, 6))
    (root / "test/sample_submission.csv").touch()
    monkeypatch.setenv("KAGGLEKIT_INPUT", str(tmp_path))
    data = HUBMAP.find_data()
    assert data.root == root
    assert data.test_images() == {"2ec3f1bb9": root / "test/2ec3f1bb9.tiff"}


def test_a_folder_that_is_no_tree_shows_what_it_holds(tmp_path: Path) -> None:
    put_image(tmp_path / "images/a.png", (4, 6))
    with pytest.raises(DataError) as caught:
        HUBMAP.find_data(tmp_path)
    assert str(caught.value) == (
        f"`{tmp_path}` is not the tree of `hubmap-kidney-segmentation`: "
        "neither `train/{id}.tiff` nor `test/{id}.tiff` matches a file\n"
        "  - found images\n"
        "  - found images/a.png\n"
        "hint: give the folder that holds `train.csv` and `sample_submission.csv`"
    )


def test_packed_images_and_missing_folder(tmp_path: Path) -> None:
    (tmp_path / "stage1_test.zip").touch()
    with pytest.raises(DataError, match=r"hint: the images are still packed: unzip them, and give"):
        BOWL.find_data(tmp_path)
    with pytest.raises(DataError, match=r"  - `.*/nowhere` is not a folder"):
        BOWL.find_data(tmp_path / "nowhere")


def test_an_image_outside_the_tree_is_no_train_image(tmp_path: Path) -> None:
    data = hubmap_tree(tmp_path, "id,encoding\n", "a")
    with pytest.raises(DataError, match=r"`/elsewhere/a.tiff` is no train image"):
        data.as_test(Path("/elsewhere/a.tiff"))


def test_no_test_images_is_an_error_when_they_are_asked_for(tmp_path: Path) -> None:
    data = hubmap_tree(tmp_path, "id,encoding\na,\n", "a")
    assert list(data.train_images()) == ["a"]
    with pytest.raises(DataError) as caught:
        data.test_images()
    assert str(caught.value) == (
        f"no file matches `test/{{id}}.tiff` in `{tmp_path}`\n"
        "  - found train\n  - found train.csv\n  - found train/a.tiff"
    )


# Sizes


@pytest.mark.parametrize("layout", LAYOUTS)
def test_shape_of_every_layout_of_a_slide(tmp_path: Path, layout: str) -> None:
    data = hubmap_tree(tmp_path, "id,encoding\n", "a")
    write_slide(tmp_path / "x.tiff", np.zeros((37, 501, 3), np.uint8), layout)
    assert data.shape(tmp_path / "x.tiff") == (37, 501)


def test_shape_of_png_grey_and_deep(tmp_path: Path) -> None:
    data = hubmap_tree(tmp_path, "id,encoding\n", "a")
    cv2.imwrite(str(tmp_path / "rgba.png"), np.zeros((3, 8, 4), np.uint8))
    cv2.imwrite(str(tmp_path / "grey.png"), np.zeros((8, 3), np.uint16))
    tifffile.imwrite(tmp_path / "one.tiff", np.zeros((1, 1), np.uint8))
    assert data.shape(tmp_path / "rgba.png") == (3, 8)
    assert data.shape(tmp_path / "grey.png") == (8, 3)
    assert data.shape(tmp_path / "one.tiff") == (1, 1)


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    data = hubmap_tree(tmp_path, "id,encoding\n", "a")
    (tmp_path / "broken.tiff").write_bytes(b"II*\0")
    with pytest.raises(DataError, match=r"^`.*/broken\.tiff` cannot be opened as an image: "):
        data.shape(tmp_path / "broken.tiff")


# Truth and tables


def test_truth_of_a_union_and_ids_that_look_like_numbers(tmp_path: Path) -> None:
    rows = 'id,encoding\n00123,1 3 10 2\n1e5,\nNA,"24 1"\n'
    data = hubmap_tree(tmp_path, "\ufeff" + rows, "00123", "1e5", "NA")
    assert data.truth("00123") == [RLE.from_text("1 3 10 2", (4, 6))]
    assert data.truth("1e5") == [RLE.empty((4, 6))]
    assert data.truth("NA")[0].to_mask()[3, 5] == 1


def test_truth_that_is_not_there_or_not_valid(tmp_path: Path) -> None:
    data = hubmap_tree(tmp_path, "id,encoding\na,20 9\n", "a", "b")
    with pytest.raises(DataError, match=r"^`train\.csv` has no row for `b`$"):
        data.truth("b")
    with pytest.raises(DataError, match=r"^no train image `c`: no file of that id matches `train/"):
        data.truth("c")
    with pytest.raises(DataError, match=r"^the truth of `a` in `train\.csv` is not valid\n  - "):
        data.truth("a")


def test_groups_are_named_by_image_id(tmp_path: Path) -> None:
    data = hubmap_tree(tmp_path, "id,encoding\n", "a")
    info = "image_file,width_pixels,patient_number\n2f6ecfcdf.tiff,25794,68138\naaa.tiff,1,67177\n"
    (tmp_path / "HuBMAP-20-dataset_information.csv").write_text(info)
    assert data.groups() == {"2f6ecfcdf": "68138", "aaa": "67177"}


def bowl_masks(root: Path) -> dict[str, np.ndarray]:
    """One image with three masks, of which the second overlaps the first and hides the third."""
    dense = {name: np.zeros((6, 8), np.uint8) for name in "abc"}
    dense["a"][1:4, 1:4] = 255
    dense["b"][2:6, 2:6] = 255
    dense["c"][3:5, 3:5] = 255
    put_image(root / "stage1_train/x/images/x.png", (6, 8))
    for name, mask in dense.items():
        path = root / f"stage1_train/x/masks/{name}.png"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), mask)
    return dense


def expected_instances(dense: dict[str, np.ndarray]) -> list[list[list[int]]]:
    owner = np.zeros((6, 8), int)
    for number, mask in enumerate(dense.values(), 1):
        owner[(owner == 0) & (mask > 0)] = number
    return [(owner == number).astype(int).tolist() for number in (1, 2)]


def test_instances_from_masks_do_not_overlap(tmp_path: Path) -> None:
    dense = bowl_masks(tmp_path)
    truth = BOWL.find_data(tmp_path).truth("x")
    assert [rle.to_mask().tolist() for rle in truth] == expected_instances(dense)


def test_instances_from_the_table_do_not_overlap(tmp_path: Path) -> None:
    dense = bowl_masks(tmp_path)
    rows = [("x", RLE.from_mask(mask).to_text()) for mask in dense.values()]
    put_image(tmp_path / "stage1_train/y/images/y.png", (6, 8))
    table.write_table(
        tmp_path / "stage1_train_labels.csv", ("ImageId", "EncodedPixels"), [*rows, ("y", "")]
    )
    data = BOWL.find_data(tmp_path)
    assert [rle.to_mask().tolist() for rle in data.truth("x")] == expected_instances(dense)
    assert data.truth("y") == []


def test_neither_table_nor_masks(tmp_path: Path) -> None:
    put_image(tmp_path / "stage1_train/x/images/x.png", (6, 8))
    with pytest.raises(DataError, match=r"^no truth for `x`: no table and no masks in `"):
        BOWL.find_data(tmp_path).truth("x")


def test_a_cell_as_long_as_a_whole_slide(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    long = " ".join(f"{start} 1" for start in range(1, 80_000, 2))
    assert len(long) > 131_072
    table.write_table(tmp_path / "t.csv", ("id", "rle"), [("a", long)])
    assert table.columns(tmp_path / "t.csv", "rle", "id") == [(long, "a")]
    assert csv.field_size_limit() == limit


def test_tables_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    with pytest.raises(DataError, match=r"^`.*/t\.csv` cannot be read as CSV: "):
        table.columns(path, "id")
    path.write_bytes(b"id\xff\n")
    with pytest.raises(DataError, match=r"cannot be read as CSV: 'utf-8' codec"):
        table.columns(path, "id")
    path.write_text('id\n"a\n')
    with pytest.raises(DataError, match=r"cannot be read as CSV: unexpected end of data"):
        table.columns(path, "id")
    path.write_text("")
    with pytest.raises(DataError, match=r"no column `id`\n  - its columns are none$"):
        table.columns(path, "id")
    path.write_text("id,rle\na,\nb\n\nc\n")
    with pytest.raises(DataError) as caught:
        table.columns(path, "id", "rle")
    assert caught.value.problems == ("row 3", "row 5")
    with pytest.raises(DataError) as caught:
        table.columns(path, "id", "encoding", "area")
    assert str(caught.value) == (
        f"`{path}` has no column `encoding`, `area`\n  - its columns are `id`, `rle`"
    )
