"""Dice, F-beta and precision over IoU thresholds, against `slow_metrics`."""

import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kagglekit import metrics
from kagglekit.errors import RLEError
from kagglekit.instances import without_overlaps
from kagglekit.rle import RLE
from tests import slow_metrics

REAL = Path(__file__).parents[1].parent / "shared/data/dsb2018_stage1_train.tar"
SHAPE = (6, 9)
NONE = np.zeros(SHAPE, bool)


def label_maps() -> st.SearchStrategy[np.ndarray]:
    """Label images whose labels are neither consecutive nor sorted."""
    labels = st.lists(st.sampled_from([0, 0, 1, 2, 9, 40]), min_size=54, max_size=54)
    return labels.map(lambda values: np.array(values).reshape(SHAPE))


def dense(masks: list[RLE]) -> list[np.ndarray]:
    return [rle.to_mask().astype(bool) for rle in masks]


def instances(labels: np.ndarray, order: str = "F") -> list[RLE]:
    return [RLE.from_mask(labels == label, order=order) for label in np.unique(labels) if label]


@given(label_maps(), label_maps(), st.sampled_from([0.0, 1.0]))
def test_dice_is_that_of_the_pixels(pred: np.ndarray, truth: np.ndarray, empty: float) -> None:
    pred, truth = pred == 9, truth == 9
    expected = slow_metrics.dice(pred, truth, empty)
    assert metrics.dice(pred, truth, empty) == expected
    assert metrics.dice(pred * np.uint8(255), truth.astype(np.int64), empty) == expected
    rles = RLE.from_mask(pred), RLE.from_mask(truth, order="C")
    assert metrics.dice(*rles, empty) == expected


@given(st.lists(st.tuples(label_maps(), label_maps()), max_size=3), st.sampled_from([0.5, 1, 2]))
def test_pooled_metrics_are_those_of_all_pixels_in_one(pairs, beta: float) -> None:
    pairs = [(pred == 9, truth == 9) for pred, truth in pairs]
    sums = [metrics.dice_sums(RLE.from_mask(p), RLE.from_mask(t)) for p, t in pairs]
    pred, truth = (np.stack(side) for side in zip(*pairs, strict=True)) if pairs else (NONE, NONE)
    assert metrics.global_dice(sums) == slow_metrics.dice(pred, truth, 1.0)
    expected = slow_metrics.f_beta(pred, truth, beta, 1.0)
    assert metrics.f_beta(sums, beta) == pytest.approx(expected, abs=1e-12)


def test_f_half_punishes_a_false_alarm_more_than_a_miss() -> None:
    alarm, miss = metrics.DiceSums(10, 15, 10), metrics.DiceSums(10, 10, 15)
    assert metrics.f_beta([alarm]) < metrics.f_beta([miss])
    assert metrics.f_beta([alarm], 1) == metrics.dice_score(alarm)
    assert metrics.f_beta([metrics.DiceSums(10, 10, 10)]) == 1


@given(label_maps(), label_maps(), st.sampled_from([0.0, 1.0]))
def test_iou_precision_matches_the_definition(pred, truth, empty: float) -> None:
    for p, t in (
        (pred > 0, truth > 0),
        (pred > 0, (pred > 0) & (truth < 40)),
        (pred > 0, pred < 0),
    ):
        got = metrics.iou_precision(RLE.from_mask(p), RLE.from_mask(t, order="C"), empty)
        assert got == slow_metrics.iou_precision(p, t, empty)


@pytest.mark.parametrize("empty", [0.0, 1.0])
def test_empty_rule(empty: float) -> None:
    nothing, something = RLE.empty(SHAPE), RLE.from_text("4 2", SHAPE)
    assert metrics.dice(nothing, nothing, empty) == empty
    assert metrics.dice(something, nothing, empty) == 0
    assert metrics.dice(nothing, something, empty) == 0
    assert metrics.instance_precision([], [], empty=empty) == empty
    assert metrics.instance_precision([something], [], empty=empty) == 0
    assert metrics.instance_precision([], [something], empty=empty) == 0
    assert metrics.iou_precision(nothing, nothing, empty) == empty
    assert metrics.iou_precision(something, nothing, empty) == 0
    assert metrics.iou_precision(nothing, something, empty) == 0
    assert metrics.global_dice([], empty) == metrics.f_beta([], 0.5, empty) == empty
    # An RLE without a pixel is no instance.
    assert metrics.instance_precision([nothing], [], empty=empty) == empty


def test_mean_and_pooled_dice_differ() -> None:
    # One image perfect with 4 classes absent, one stray pixel: the pooled score hides it.
    sums = [metrics.DiceSums(100, 100, 100), metrics.DiceSums(0, 1, 0)]
    assert metrics.mean_dice(sums) == 0.5
    assert metrics.dice_score(sums[0] + sums[1]) == 200 / 201
    assert metrics.mean_dice([metrics.DiceSums(0, 0, 0)], empty=0.25) == 0.25


def test_mean_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^mean Dice of no images is not defined$"):
        metrics.mean_dice([])


def test_logits_are_refused() -> None:
    # A tutorial computed Dice on logits and printed 1.82.
    with pytest.raises(RLEError) as caught:
        metrics.dice(np.array([[10.0, -0.9]]), np.array([[1, 0]]))
    assert str(caught.value) == (
        "`pred` is an array of float64, expected bool or integers\n"
        "hint: threshold probabilities first: prob > 0.5"
    )


def test_masks_that_cannot_be_compared() -> None:
    with pytest.raises(RLEError, match=r"^prediction is \(2, 3\) pixels and truth \(3, 2\): they"):
        metrics.dice(np.ones((2, 3), bool), np.ones((3, 2), bool))
    with pytest.raises(RLEError, match="shape"):
        metrics.dice(RLE.empty((2, 3)), RLE.empty((3, 2)))
    with pytest.raises(RLEError, match=r"^prediction is \(3, 2\) pixels and truth \(2, 3\): they"):
        metrics.instance_precision([RLE.from_text("1 1", (2, 3))], [RLE.from_text("1 1", (3, 2))])
    with pytest.raises(RLEError, match=r"^one mask is an RLE and the other an array"):
        metrics.dice(RLE.empty((2, 3)), np.ones((2, 3), bool))


@given(label_maps(), label_maps(), st.randoms(use_true_random=False))
def test_instance_precision_matches_the_definition(pred, truth, random) -> None:
    masks = instances(pred, "C"), instances(truth)
    for each in masks:
        random.shuffle(each)
    expected = slow_metrics.instance_precision(*(dense(each) for each in masks))
    assert metrics.instance_precision(*masks) == pytest.approx(expected, abs=1e-12)


@given(st.lists(label_maps(), max_size=3), label_maps())
def test_predictions_may_overlap(preds, truth) -> None:
    # Each instance of the truth is found once, however many predictions lie on it.
    masks = [rle for pred in [*preds, truth] for rle in instances(pred)]
    expected = slow_metrics.instance_precision(dense(masks), dense(instances(truth)))
    assert metrics.instance_precision(masks, instances(truth)) == pytest.approx(expected)


def test_of_two_predictions_on_one_instance_one_is_a_false_alarm() -> None:
    a = RLE.from_text("1 20", (20, 2))
    most_of_it = RLE.from_text("1 19", (20, 2))
    assert metrics.instance_precision([a, most_of_it], [a]) == 1 / 2


def test_perfect_prediction_with_labels_1_2_9_scores_1() -> None:
    # The much-copied histogram implementation gives 0.2.
    labels = np.zeros(SHAPE, int)
    labels[0, :3], labels[2, :3], labels[4, :3] = 1, 2, 9
    assert metrics.instance_precision(instances(labels), instances(labels)) == 1


@pytest.mark.parametrize(
    ("shared", "hits"),
    [(10, 0), (11, 1), (12, 2), (13, 3), (14, 4), (15, 5), (16, 6), (17, 7), (18, 8), (19, 9)],
)
def test_iou_equal_to_a_threshold_is_no_match(shared: int, hits: int) -> None:
    # IoU is exactly shared / 20: .50 is beaten by nothing, .55 by .50 alone, …
    truth = RLE.from_text("1 20", (20, 2))
    pred = RLE.from_text(f"1 {shared}", (20, 2))
    assert metrics.instance_precision([pred], [truth]) == pytest.approx(hits / 10)
    assert metrics.iou_precision(pred, truth) == hits / 10


def test_overlapping_true_instances_are_refused() -> None:
    a, b = RLE.from_text("1 4", SHAPE), RLE.from_text("4 4", SHAPE)
    with pytest.raises(RLEError) as caught:
        metrics.instance_precision([a], [a, b])
    assert str(caught.value) == "masks 0 and 1 of `truth` overlap: instances may not"
    with pytest.raises(RLEError, match=r"^masks 1 and 2 of `truth`"):
        metrics.instance_precision([], [RLE.empty(a.shape), a, a])
    with pytest.raises(RLEError, match=r"^prediction is \(9, 9\) pixels and truth \(6, 9\)"):
        metrics.instance_precision([a], [RLE.empty((9, 9))])


@pytest.mark.parametrize("beta", [0, -1, float("nan")])
def test_a_beta_that_weighs_nothing(beta: float) -> None:
    with pytest.raises(ValueError, match=f"^beta={beta} must be above 0$"):
        metrics.f_beta([], beta)


def test_thresholds_may_be_an_array() -> None:
    a, b = RLE.from_text("1 6", (1, 20)), RLE.from_text("2 5", (1, 20))
    thresholds = np.array([0.5, 0.9])
    assert metrics.instance_precision([a], [b], thresholds) == 0.5


@pytest.mark.parametrize("thresholds", [(), (0.4, 0.5), (1.0,)])
def test_thresholds_where_a_match_would_not_be_unique(thresholds: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"^thresholds must be from 0\.5 to below 1, got \("):
        metrics.instance_precision([], [], thresholds)


@pytest.mark.skipif(not REAL.is_file(), reason=f"no real images at {REAL}")
def test_real_nuclei_moved_by_a_pixel() -> None:
    masks: dict[str, list[np.ndarray]] = {}
    with tarfile.open(REAL) as tar:
        for member in tar:
            parts = member.name.split("/")
            if len(parts) == 4 and parts[2] == "masks":
                if len(masks) > 1 and parts[1] not in masks:
                    break
                data = np.frombuffer(tar.extractfile(member).read(), np.uint8)
                mask = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)[:128, :128]
                masks.setdefault(parts[1], []).append(mask)
    for arrays in masks.values():
        truth = without_overlaps([RLE.from_mask(mask) for mask in arrays])
        moved = without_overlaps([RLE.from_mask(np.roll(mask, 1, axis=0)) for mask in arrays])
        expected = slow_metrics.instance_precision(dense(moved), dense(truth))
        assert metrics.instance_precision(moved, truth) == pytest.approx(expected, abs=1e-12)
        assert 0 < expected < 1
