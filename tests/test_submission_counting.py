"""Every metric a profile may name, over several images, against `slow_metrics`."""

import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kagglekit import competitions
from kagglekit.competitions.rules import MetricName
from kagglekit.rle import RLE
from kagglekit.submission.counting import RULES, Found, volumes
from tests import slow_metrics

SHAPE = (3, 4)
SLICES = ["case1_day2_slice_0002", "case1_day2_slice_0010", "case1_day20_slice_0001", "case3_0001"]
Dense = dict[str, tuple[list[np.ndarray], list[np.ndarray]]]


@st.composite
def answers(draw: st.DrawFn, rows: int) -> Dense:
    """Predictions and truths of four images: noise, alike, or empty."""
    masks = st.one_of(arrays(bool, SHAPE), st.just(np.zeros(SHAPE, bool)))
    found: Dense = {}
    for image in SLICES:
        truth = [draw(masks) for _ in range(rows)]
        pred = [draw(st.one_of(masks, st.just(mask))) for mask in truth]
        found[image] = pred, truth
    return found


def score(metric: str, dense: Dense, empty: float = 1.0, reading: str = "") -> float:
    rule = RULES[metric]
    counts = {
        image: rule.count(Found(*([RLE.from_mask(mask) for mask in side] for side in sides)), empty)
        for image, sides in dense.items()
    }
    total = rule.readings[reading] if reading else rule.total
    return total(counts, empty)


def mean(scores: list[float]) -> float:
    return sum(scores) / len(scores)


def stack(dense: Dense, images: list[str], row: int) -> tuple[np.ndarray, np.ndarray]:
    pred, truth = (np.stack([dense[image][side][row] for image in images]) for side in (0, 1))
    return pred, truth


VOLUMES = [SLICES[:2], SLICES[2:3], SLICES[3:]]


def expected(metric: str, dense: Dense, empty: float) -> float:
    pairs = [pair for sides in dense.values() for pair in zip(*sides, strict=True)]
    pooled = (np.stack([pair[side] for pair in pairs]) for side in (0, 1))
    match metric:
        case "mean_dice":
            return mean([slow_metrics.dice(*pair, empty) for pair in pairs])
        case "global_dice":
            return slow_metrics.dice(*pooled, empty)
        case "f_beta":
            return slow_metrics.f_beta(*pooled, 0.5, empty)
        case "iou_precision":
            return mean([slow_metrics.iou_precision(*pair, empty) for pair in pairs])
        case _:
            surfaces = [slow_metrics.surface(*stack(dense, images, 0)) for images in VOLUMES]
            return mean([shared / total if total else empty for shared, total in surfaces])


@pytest.mark.parametrize(
    "metric", ["mean_dice", "global_dice", "f_beta", "iou_precision", "surface_dice"]
)
@given(data=st.data(), empty=st.sampled_from([0.0, 1.0]))
@settings(max_examples=20)
def test_scores_of_several_images(metric: str, data: st.DataObject, empty: float) -> None:
    dense = data.draw(answers(3 if metric == "mean_dice" else 1))
    assert score(metric, dense, empty) == pytest.approx(expected(metric, dense, empty))


@given(answers(3), st.booleans(), st.sampled_from([0.0, math.nan]))
@settings(max_examples=15)
def test_uw_madison(dense: Dense, together: bool, empty: float) -> None:
    dices = [
        slow_metrics.dice(*pair, empty)
        for sides in dense.values()
        for pair in zip(*sides, strict=True)
    ]
    dices = [dice for dice in dices if not math.isnan(dice)]
    distances = []
    for images in VOLUMES:
        classes = [stack(dense, images, row) for row in range(3)]
        if together:
            classes = [tuple(np.logical_or.reduce(side) for side in zip(*classes, strict=True))]
        distances += [slow_metrics.hausdorff(*volume) for volume in classes]
    near = [1 - distance for distance in distances if distance is not None]
    wanted = 0.4 * (mean(dices) if dices else 1) + 0.6 * (mean(near) if near else 1)
    reading = "distances of all classes together" if together else ""
    assert score("dice_and_hausdorff", dense, empty, reading) == pytest.approx(wanted)
    if not together:
        read_as = score("dice_and_hausdorff", dense, math.nan, "Dice 0 where both are empty")
        assert read_as == score("dice_and_hausdorff", dense, 0.0)


@given(answers(1))
@settings(max_examples=20)
def test_vesuvius_by_the_other_reading(dense: Dense) -> None:
    each = [slow_metrics.f_beta(pred[0], true[0], 0.5, 1.0) for pred, true in dense.values()]
    assert score("f_beta", dense, reading="the mean of each image's F-beta") == pytest.approx(
        mean(each)
    )


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=4))
def test_instances_count_by_image(hits: list[list[bool]]) -> None:
    # Three instances in each image, some found exactly and nothing else.
    columns = [np.zeros(SHAPE, bool) for _ in range(3)]
    for place, column in enumerate(columns):
        column[:, place] = True
    dense = {
        str(number): ([column for column, hit in zip(columns, row, strict=True) if hit], columns)
        for number, row in enumerate(hits)
    }
    assert score("instance_precision", dense) == pytest.approx(mean([sum(row) / 3 for row in hits]))


def test_confidences_are_compared_over_all_images() -> None:
    rule, mask = RULES["average_precision"], RLE.from_text("1 3", SHAPE)
    counts = {
        "alarm": rule.count(Found([mask], [], [0.9]), 1.0),
        "hit": rule.count(Found([mask], [mask], [0.2]), 1.0),
        "nothing": rule.count(Found([], [], []), 1.0),
    }
    assert rule.total(counts, 1.0) == 0.5
    assert [rule.total({image: count}, 1.0) for image, count in counts.items()] == [0, 1, 1]


def test_slices_of_a_volume_are_sorted_by_their_number() -> None:
    assert volumes(["k_0010", "k_9", "other", "k_2_1", "case1_day2_slice_0001"]) == {
        "k": ["k_9", "k_0010"],
        "other": ["other"],
        "k_2": ["k_2_1"],
        "case1_day2": ["case1_day2_slice_0001"],
    }


def test_there_is_a_rule_for_each_metric_of_a_profile() -> None:
    assert set(RULES) == set(get_args(MetricName))
    assert {competitions.load(slug).metric.name for slug in competitions.slugs()} <= set(RULES)
