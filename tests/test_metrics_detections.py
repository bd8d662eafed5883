"""Average precision against a walk down the list of detections."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kagglekit import metrics
from kagglekit.errors import RLEError
from kagglekit.rle import RLE
from tests import slow_metrics

SHAPE = (4, 5)
CONFIDENCES = st.sampled_from([0.1, 0.5, 0.5, 0.9, 1.0])


@st.composite
def bars(draw) -> np.ndarray:
    """A run of pixels: bars often overlap well, which noise never does."""
    start = draw(st.integers(0, 15))
    flat = np.zeros(20, bool)
    flat[start : start + draw(st.integers(1, 6))] = True
    return flat.reshape(SHAPE)


@st.composite
def images(draw):
    masks = draw(st.lists(bars(), max_size=4))
    return masks, [draw(CONFIDENCES) for _ in masks], draw(st.lists(bars(), max_size=3))


def rles(masks) -> list[RLE]:
    return [RLE.from_mask(mask) for mask in masks]


@given(st.lists(images(), max_size=3), st.sampled_from([Fraction(3, 5), Fraction(1, 4)]))
@settings(max_examples=200)
def test_it_is_the_area_under_the_curve(cases, threshold) -> None:
    got = metrics.average_precision(
        metrics.match_detections(rles(masks), confidences, rles(truth), float(threshold))
        for masks, confidences, truth in cases
    )
    expected = slow_metrics.average_precision(cases, threshold, 1.0)
    assert got == pytest.approx(expected, abs=1e-12)


A, B = RLE.from_text("1 10", (1, 40)), RLE.from_text("21 10", (1, 40))


def test_iou_equal_to_the_threshold_is_a_match() -> None:
    six, five = RLE.from_text("1 6", (1, 40)), RLE.from_text("1 5", (1, 40))
    assert metrics.match_detections([six], [1], [A]).hit.tolist() == [True]
    assert metrics.match_detections([five], [1], [A]).hit.tolist() == [False]


def test_the_second_on_the_same_instance_is_a_false_alarm() -> None:
    found = metrics.match_detections([A, A, B], [0.1, 0.8, 0.5], [B, A])
    assert found.confidence.tolist() == [0.8, 0.5, 0.1]
    assert found.hit.tolist() == [True, True, False]
    assert found.truths == 2
    assert metrics.average_precision([found]) == 1  # what comes after all are found costs nothing


def test_confidence_is_compared_over_all_images() -> None:
    right = metrics.match_detections([A], [0.2], [A])
    wrong = metrics.match_detections([B], [0.9], [A])
    assert metrics.average_precision([right, wrong]) == pytest.approx(1 / 2 * 1 / 2)


@pytest.mark.parametrize("empty", [0.0, 1.0])
def test_empty_rule(empty: float) -> None:
    nothing = metrics.match_detections([], [], [])
    alarm, missed = metrics.match_detections([A], [1], []), metrics.match_detections([], [], [A])
    perfect = metrics.match_detections([A, B], [0.4, 0.7], [A, B])
    assert metrics.average_precision([], empty) == empty
    assert metrics.average_precision([nothing], empty) == empty
    assert metrics.average_precision([alarm], empty) == 0
    assert metrics.average_precision([missed], empty) == 0
    assert metrics.average_precision([perfect, nothing], empty) == 1
    # Two instances, both found, the second after a false alarm on an image without any.
    assert metrics.average_precision([perfect, alarm]) == pytest.approx(2 / 3)


def test_a_detection_without_a_pixel_is_a_false_alarm() -> None:
    found = metrics.match_detections([RLE.empty((1, 40)), A], [0.9, 0.1], [A, RLE.empty((1, 40))])
    assert (found.hit.tolist(), found.truths) == ([False, True], 1)


@pytest.mark.parametrize("threshold", [0, -0.5, 1.1, float("nan")])
def test_thresholds_that_are_refused(threshold) -> None:
    with pytest.raises(ValueError) as caught:
        metrics.match_detections([A], [0.5], [A], threshold)
    assert str(caught.value) == f"threshold={threshold} must be above 0, and at most 1"


@pytest.mark.parametrize("confidence", [[], [0.5, 0.5], [float("nan")], [float("inf")]])
def test_confidences_that_are_refused(confidence) -> None:
    with pytest.raises(ValueError) as caught:
        metrics.match_detections([A], confidence, [A])
    assert str(caught.value) == f"1 detections need as many finite confidences, got {confidence}"


def test_shapes_that_differ() -> None:
    with pytest.raises(
        RLEError, match=r"^prediction is \(4, 10\) pixels and truth \(1, 40\): they"
    ):
        metrics.match_detections([A], [1.0], [RLE.from_text("1 1", (4, 10))])
