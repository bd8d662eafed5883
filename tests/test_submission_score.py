"""The score of whole files, for every competition: perfect, all empty, by class and by group."""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from kagglekit import competitions, submission
from kagglekit.competitions import fake, template
from kagglekit.competitions.data import Data
from kagglekit.errors import DataError
from kagglekit.rle import RLE, Dialect

SEVERSTAL = competitions.load("severstal-steel-defect-detection")
ALL = pytest.mark.parametrize("slug", competitions.slugs())


def is_empty(masks: list[RLE]) -> bool:
    return not any(mask.area for mask in masks)


def all_empty_score(metric: str, truth: dict[str, list[RLE]]) -> float:
    """What a file without a mask scores: where a row counts for itself, the share of empty ones."""
    if metric == "mean_dice":
        rows = [not mask.area for masks in truth.values() for mask in masks]
        return sum(rows) / len(rows)
    if metric in ("instance_precision", "iou_precision"):
        return sum(map(is_empty, truth.values())) / len(truth)
    return 0.0


@ALL
def test_perfect_and_all_empty(slug: str, tmp_path: Path) -> None:
    comp = competitions.load(slug)
    tree, path = tmp_path / "tree", tmp_path / "submission.csv"
    truth = fake.make(comp, tree, seed=3, train=0, test=6, size=(64, 96))
    data = comp.find_data(tree)
    assert not all(map(is_empty, truth.values()))
    submission.write_truth(path, comp, truth, data)
    perfect = submission.score(path, comp, data, truth)
    assert perfect.value == pytest.approx(1.0)
    assert set(perfect.per_image) == set(truth)
    for image_id, masks in truth.items():
        wanted = comp.metric.empty if is_empty(masks) else 1.0
        alone = perfect.per_image[image_id]
        assert alone == pytest.approx(1.0 if comp.slug.startswith("uw-") else wanted, nan_ok=True)
    assert set(perfect.per_class) == set(comp.submission.classes)
    with submission.Writer(comp, data, path):
        pass  # the file that is there before the first prediction
    empty = submission.score(path, comp, data, truth).value
    assert empty == pytest.approx(all_empty_score(comp.metric.name, truth))


def test_severstal_s_all_empty_score(tmp_path: Path) -> None:
    # 2,139 of 2,500 rows are empty, as 85.56 % of the competition's are.
    shape, images = (256, 1600), 625
    plate = tmp_path / "plate.jpg"
    cv2.imwrite(str(plate), np.zeros((*shape, 3), np.uint8))
    defect, nothing = RLE.from_text("1000 50", shape), RLE.empty(shape)
    rows = [[nothing] * 4 for _ in range(images)]
    for number in range(2500 - 2139):
        rows[number % images][number % 4] = defect
    for number in range(images):
        where = tmp_path / template.fill(SEVERSTAL.tree.test_images, id=f"{number:05}")
        where.parent.mkdir(exist_ok=True)
        where.symlink_to(plate)
    data = SEVERSTAL.find_data(tmp_path)
    truth = dict(zip(data.test_images(), rows, strict=True))
    with submission.Writer(SEVERSTAL, data, tmp_path / "submission.csv") as writer:
        path = writer.path
    score = submission.score(path, SEVERSTAL, data, truth)
    assert score.value == pytest.approx(0.8556, abs=1e-12)
    assert sum(score.per_class.values()) / 4 == pytest.approx(0.8556, abs=1e-12)
    # One false alarm on an empty row costs all of that row.
    lines = path.read_text().splitlines()
    image, place = next((i, m.index(nothing)) for i, m in truth.items() if nothing in m)
    key = template.fill(SEVERSTAL.submission.key, id=image, **{"class": str(place + 1)})
    lines[lines.index(f"{key},")] += "7 1"
    path.write_text("\n".join(lines) + "\n")
    worse = submission.score(path, SEVERSTAL, data, truth)
    assert score.value - worse.value == pytest.approx(1 / 2500)
    assert worse.per_image[image] == pytest.approx(score.per_image[image] - 1 / 4)


def kidneys(tmp_path: Path) -> Data:
    comp = competitions.load("hubmap-kidney-segmentation")
    for image_id in "abc":
        path = tmp_path / template.fill(comp.tree.test_images, id=image_id)
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), np.zeros((20, 30, 3), np.uint8))
    return comp.find_data(tmp_path)


def test_groups(tmp_path: Path) -> None:
    data = kidneys(tmp_path)
    comp = data.profile
    groups, mask = comp.groups, RLE.from_text("1 9", (20, 30))
    truth, path = {image_id: [mask] for image_id in "abc"}, tmp_path / "submission.csv"
    submission.write_truth(path, comp, truth | {"b": []}, data)
    assert submission.score(path, comp, data, truth).per_group == {}  # no table of them
    names = {"a": "p1", "b": "p1", "z": "p2"}  # c is in no group, z is no test image
    rows = "".join(f"{image}.tiff,{group}\n" for image, group in names.items())
    (tmp_path / groups.path).write_text(f"{groups.image},{groups.column}\n{rows}")
    score = submission.score(path, comp, data, truth)
    assert score.per_group == {"p1": 0.5}
    assert score.value == pytest.approx(2 / 3)


def test_confidences_decide(tmp_path: Path) -> None:
    comp = competitions.load("hubmap-hacking-the-human-vasculature")
    path = tmp_path / template.fill(comp.tree.test_images, id="a")
    path.parent.mkdir()
    cv2.imwrite(str(path), np.zeros((20, 30, 3), np.uint8))
    data, rules = comp.find_data(tmp_path), comp.submission
    hit, alarm = RLE.from_text("1 60", (20, 30)), RLE.from_text("301 60", (20, 30))
    write, csv = Dialect("open-images").write, tmp_path / "submission.csv"
    for sure, unsure, wanted in ((hit, alarm, 1.0), (alarm, hit, 0.5)):
        # The surer one stands last: it is the number that counts.
        cell = f"0 0.25 {write(unsure)} 0 0.75 {write(sure)}"
        csv.write_text(f"{','.join(rules.columns)}\na,20,30,{cell}\n")
        assert submission.score(csv, comp, data, {"a": [hit]}).value == wanted
    found = [(alarm, 0.9999996), (hit, 0.9999999), (alarm, 0.0), (alarm, 1.0)]
    with submission.Writer(comp, data, csv) as out:
        out["a"] = found[:2]  # equal, were they rounded
    assert submission.score(csv, comp, data, {"a": [hit]}).value == 1.0
    with submission.Writer(comp, data, csv) as out:
        out["a"] = found
    written = " ".join(f"0 {number} {write(mask)}" for mask, number in found)
    written = written.replace("0 0.0 ", "0 0 ").replace("0 1.0 ", "0 1 ")
    assert csv.read_text().splitlines()[1].endswith(written)


def test_uw_madison_s_other_readings(tmp_path: Path) -> None:
    comp = competitions.load("uw-madison-gi-tract-image-segmentation")
    assert math.isnan(comp.metric.empty)
    tree, path = tmp_path / "tree", tmp_path / "submission.csv"
    truth = fake.make(comp, tree, seed=3, train=0, test=6, size=(64, 96))
    data = comp.find_data(tree)
    # Each class where the next one is: united they are right, apart they are not.
    turned = {image: [*masks[1:], masks[0]] for image, masks in truth.items()}
    submission.write_truth(path, comp, turned, data)
    score = submission.score(path, comp, data, truth)
    assert score.readings["distances of all classes together"] > score.value
    assert score.readings["Dice 0 where both are empty"] <= score.value


@pytest.mark.parametrize("count", [0, 1, 3, 5])
def test_a_truth_of_other_than_the_classes(count: int, tmp_path: Path) -> None:
    data_truth = fake.make(SEVERSTAL, tmp_path / "tree", seed=3, train=0, test=2, size=(64, 96))
    data, path = SEVERSTAL.find_data(tmp_path / "tree"), tmp_path / "submission.csv"
    submission.write_truth(path, SEVERSTAL, data_truth, data)
    wrong = {image_id: [RLE.empty((64, 96))] * count for image_id in data_truth}
    with pytest.raises(DataError) as caught:
        submission.score(path, SEVERSTAL, data, wrong)
    assert str(caught.value) == (
        f"the truth of an image is {count} masks, `severstal-steel-defect-detection` has 4 classes: one "
        "for each, RLE.empty(shape) where there is nothing"
    )


def test_the_truth_of_train_images_has_their_sizes(tmp_path: Path) -> None:
    comp = competitions.load("hubmap-hacking-the-human-vasculature")
    fake.make(comp, tmp_path / "tree", seed=3)
    data, path = comp.find_data(tmp_path / "tree"), tmp_path / "submission.csv"
    submission.write_truth(path, comp, dict.fromkeys(data.train_images(), ()), data)
    sizes = {row.split(",")[1:3] != ["0", "0"] for row in path.read_text().splitlines()[1:]}
    assert sizes == {True}


def test_the_truth_where_there_is_no_test(tmp_path: Path) -> None:
    comp = competitions.load("uw-madison-gi-tract-image-segmentation")
    fake.make(comp, tmp_path / "tree", seed=3)
    data = comp.find_data(tmp_path / "tree")
    name = next(iter(data.train_images()))
    submission.write_truth(tmp_path / "s.csv", comp, {name: data.truth(name)}, data)
    assert name in (tmp_path / "s.csv").read_text()
