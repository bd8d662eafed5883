"""Pictures of every kind of competition: bands, 16 bits, classes, instances, wide images."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from kagglekit import competitions, plots, submission
from kagglekit.competitions import fake
from kagglekit.rehearsal import pictures
from kagglekit.rehearsal.stage import Test
from kagglekit.submission import Score

KINDS = {
    "google-research-identify-contrails-reduce-global-warming": (64, 80),
    "vesuvius-challenge-ink-detection": (60, 90),
    "uw-madison-gi-tract-image-segmentation": (80, 90),
    "severstal-steel-defect-detection": (64, 400),
    "hubmap-hacking-the-human-vasculature": (128, 128),
    "data-science-bowl-2018": (96, 96),
    "blood-vessel-segmentation": (96, 120),
}


def decode(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))[..., ::-1]


@pytest.mark.parametrize("slug", KINDS)
def test_every_kind_of_competition(slug: str, tmp_path: Path) -> None:
    comp = competitions.load(slug)
    truth = fake.make(comp, tmp_path, seed=3, train=2, test=2, size=KINDS[slug])
    data = comp.find_data(tmp_path)
    submission.write_truth(tmp_path / "submission.csv", comp, truth, data)
    scores = {image: 0.9 - 0.1 * place for place, image in enumerate(truth)}
    score = Score(0.5, comp.metric.name, scores, scores)
    test = Test("hidden", tmp_path, truth)
    drawn = pictures.draw(tmp_path / "submission.csv", comp, test, score)
    assert [picture.score for picture in drawn] == sorted(scores.values())
    for picture in drawn:
        height, width = data.shape(data.test_images()[picture.image])
        panels = {name: decode(panel) for name, panel in picture.panels.items()}
        assert list(panels) == ["image", "prediction", "truth", "differences"]
        assert {panel.shape for panel in panels.values()} == {(height, width, 3)}
        assert np.ptp(panels["image"].astype(int)) > 20  # something is to be seen
        # The truth was handed in: both panels are alike, and show every true pixel.
        assert (panels["prediction"] == panels["truth"]).all()
        there = np.any([mask.to_mask() for mask in truth[picture.image]] or [0], axis=0)
        assert ((panels["truth"].max(axis=2) > 0) == there).all()
        assert picture.wide == (width > 2.5 * height)


def test_a_class_taken_for_another_is_wrong() -> None:
    there, nothing = np.ones((1, 1), bool), np.zeros((1, 1), bool)
    black = np.zeros((1, 1, 3), np.uint8)

    def colour(predicted: list[bool], true: list[bool]) -> tuple[int, ...]:
        sides = [[there if one else nothing for one in side] for side in (predicted, true)]
        return tuple(plots.differences(black, *sides)[0, 0])

    def dimmed(rgb: tuple[int, int, int]) -> tuple[int, ...]:
        return tuple(int(0.6 * part) for part in rgb)

    assert colour([True, False], [True, False]) == dimmed(plots.BOTH)
    assert colour([True, False], [False, True]) == dimmed(plots.ONLY_PREDICTED)
    assert colour([False, False], [False, True]) == dimmed(plots.ONLY_TRUE)
    assert colour([False, False], [False, False]) == (0, 0, 0)


def test_of_many_images_the_worst_and_the_best(tmp_path: Path) -> None:
    comp = competitions.load("tgs-salt-identification-challenge")
    truth = fake.make(comp, tmp_path, seed=1, train=1, test=5)
    submission.write_truth(tmp_path / "s.csv", comp, truth, comp.find_data(tmp_path))
    scores = {image: place / 10 for place, image in enumerate(truth)}
    score = Score(0.5, "iou_precision", scores, scores)
    drawn = pictures.draw(tmp_path / "s.csv", comp, Test("hidden", tmp_path, truth), score, 2)
    assert [picture.score for picture in drawn] == [0.0, 0.4]
