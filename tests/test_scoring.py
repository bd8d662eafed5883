"""`kagglekit score`: where the truth comes from, what is printed and drawn."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from kagglekit import cli, competitions, plots, scoring, submission
from kagglekit.competitions import fake, template
from kagglekit.errors import DataError
from kagglekit.instances import union
from kagglekit.rle import RLE
from kagglekit.thumbnails import thumbnail

BOWL = competitions.load("data-science-bowl-2018")
SHAPE = (20, 30)
Output = pytest.CaptureFixture[str]


def box(y0: int, y1: int, x0: int, x1: int) -> RLE:
    mask = np.zeros(SHAPE, np.uint8)
    mask[y0:y1, x0:x1] = 1
    return RLE.from_mask(mask)


A, B = box(2, 8, 3, 20), box(10, 15, 3, 9)
TRUTH = {"a": [A, B], "b": [], "c": [A]}


def draw(root: Path, where: str, ids: list[str]) -> None:
    for image_id in ids:
        path = root / template.fill(where, id=image_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((*SHAPE, 3), 90, np.uint8))


def write(path: Path, rows: dict[str, list[RLE]]) -> Path:
    submission.write_truth(path, BOWL, rows)
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with three test images, two others to train on, and their table."""
    draw(tmp_path, BOWL.tree.test_images, list(TRUTH))
    draw(tmp_path, BOWL.tree.train_images, ["t1", "t2"])
    write(tmp_path / "stage1_train_labels.csv", {"t1": [A], "t2": [B]})
    return tmp_path


def run(tree: Path, rows: dict[str, list[RLE]], truth: Path, *more: str) -> int:
    path = write(tree / "submission.csv", rows)
    return cli.main(["score", str(path), "--competition", BOWL.slug, "--truth", str(truth), *more])


def test_against_the_answer(tree: Path, capsys: Output) -> None:
    answer = write(tree / "answer.csv", TRUTH)
    assert run(tree, {"a": [A], "b": [B], "c": [A]}, answer, "--data", str(tree)) == 0
    assert capsys.readouterr() == (
        "score 0.5000 (instance precision, 3 images)\n"
        "\n"
        "worst images  score\n"
        "b             0.0000\n"
        "a             0.5000\n"
        "c             1.0000\n",
        "",
    )


def test_against_a_folder_s_own_train_images(tree: Path, capsys: Output) -> None:
    assert run(tree, {"t1": [A], "t2": [A]}, tree) == 0
    assert capsys.readouterr().out.startswith("score 0.5000 (instance precision, 2 images)\n")


def test_pictures_of_the_worst(tree: Path, capsys: Output) -> None:
    out = tree / "worst"
    rows = {"a": [A], "b": [B], "c": [A]}
    answer = write(tree / "answer.csv", TRUTH)
    assert run(tree, rows, answer, "--data", str(tree), "--out", str(out)) == 0
    assert capsys.readouterr().out.endswith(
        f"\n\n{out}: 3 pictures, green: predicted and true, vermilion: predicted only, "
        "blue: true only\n"
    )
    assert [path.name for path in sorted(out.iterdir())] == [
        "01-0.0000-b.png", "02-0.5000-a.png", "03-1.0000-c.png",
    ]  # fmt: skip
    picture = cv2.imread(str(out / "02-0.5000-a.png")).astype(int)
    green, red, blue = (picture[y, x] for y, x in ((4, 5), (0, 0), (12, 5)))
    assert green.argmax() == 1  # found
    assert np.ptp(red) == 0  # nothing there: grey as it was
    assert blue.argmax() == 0  # missed; OpenCV's order is BGR


def test_only_ten_are_shown() -> None:
    per_image = {f"i{number:02}": number / 20 for number in range(20)}
    lines = scoring.table(submission.Score(0.475, "mean_dice", per_image, per_image)).splitlines()
    assert lines[0] == "score 0.4750 (mean dice, 20 images)"
    assert [line.split()[0] for line in lines[3:]] == [f"i{number:02}" for number in range(10)]


def test_classes_groups_and_other_readings() -> None:
    score = submission.Score(
        0.5, "dice_and_hausdorff", {"a": 0.5}, {"a": 0.5}, {"case1": 0.25}, {"stomach": 0.75},
        {"classes together": 0.625},
    )  # fmt: skip
    assert scoring.table(score) == (
        "score 0.5000 (dice and hausdorff, 1 image)\n"
        "  by another reading, classes together: 0.6250\n"
        "\n"
        "class    score\n"
        "stomach  0.7500\n"
        "\n"
        "group  score\n"
        "case1  0.2500\n"
        "\n"
        "worst images  score\n"
        "a             0.5000"
    )


def test_a_folder_and_another_test(tree: Path) -> None:
    with pytest.raises(DataError) as caught:
        scoring.find_truth(tree, BOWL, tree / "other")
    assert str(caught.value) == (
        f"`{tree}` is a folder: its own train images are scored, not those of `{tree / 'other'}`\n"
        "hint: leave out --data, or give the answer to that test as a CSV file"
    )


def test_an_answer_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        scoring.find_truth(tmp_path / "answer.csv", BOWL)
    assert str(caught.value) == (
        f"there is no answer `{tmp_path / 'answer.csv'}`\n"
        "hint: give a CSV file in the form of a submission, or a folder with labelled images"
    )


def test_what_kaggle_refuses_is_not_scored(tree: Path, capsys: Output) -> None:
    answer = write(tree / "answer.csv", TRUTH)
    assert run(tree, {"a": [A], "b": [B]}, answer, "--data", str(tree)) == 6
    assert "`c`: no row" in capsys.readouterr().err


def test_an_image_of_layers_is_drawn_too(tmp_path: Path) -> None:
    comp = competitions.load("google-research-identify-contrails-reduce-global-warming")
    truth = fake.make(comp, tmp_path, test=1)
    data = comp.find_data(tmp_path)
    path = tmp_path / "submission.csv"
    submission.write_truth(path, comp, truth, data)
    score = submission.score(path, comp, data, truth)
    (image_id,) = truth
    (drawn,) = scoring.draw_worst(path, data, truth, score, tmp_path / "out")
    assert drawn.name == f"01-{score.per_image[image_id]:.4f}-{image_id}.png"
    picture = cv2.cvtColor(cv2.imread(str(drawn)), cv2.COLOR_BGR2RGB)
    plain, scale = thumbnail(data, data.test_images()[image_id])
    found = plots.sampled(union(truth[image_id], data.shape(data.test_images()[image_id])), scale)
    assert (picture == plots.differences(plain, [found], [found])).all()
