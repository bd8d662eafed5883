import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kagglekit.tune._plateau import choose, explore


def test_the_middle_of_a_plateau_and_not_the_spike():
    values = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    scores = [0.901, 0.5, 0.9, 0.9, 0.9, 0.9, 0.9, 0.1]
    curve = choose(values, scores, 0.01)
    assert (curve.chosen, curve.best, curve.plateau) == (0.5, 0.1, (0.3, 0.7))
    assert curve.score == 0.9
    assert choose(values, scores, 0.0005).chosen == 0.1  # less than it costs to leave the spike


def test_what_does_not_help_is_left_out():
    assert choose([0, 4, 16, 64], [0.700, 0.701, 0.701, 0.2], 0.002).chosen == 0
    gained = choose([0, 4, 16, 64], [0.600, 0.701, 0.701, 0.701], 0.002)
    assert (gained.chosen, gained.plateau) == (16, (4, 64))


def test_no_number_is_worse_than_any():
    assert choose([0.1, 0.2, 0.3], [math.nan, 0.1, math.nan], 0.5).chosen == 0.2
    assert choose([0.1, 0.2], [math.nan, math.nan], 0.5).plateau == (0.1, 0.2)


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=12),
    st.sampled_from([0.0, 0.002, 0.1]),
    st.booleans(),
)
def test_a_plateau_holds_only_what_is_good_and_what_is_chosen(scores, tolerance, can_go):
    values = [float(i if can_go else i + 1) for i in range(len(scores))]
    curve = choose(values, scores, tolerance)
    low, high = (values.index(value) for value in curve.plateau)
    assert low <= values.index(curve.chosen) <= high
    assert all(score >= max(scores) - tolerance for score in scores[low : high + 1])
    if can_go and scores[0] >= max(scores) - tolerance:
        assert curve.chosen == 0
    elif not can_go:
        # No other stretch of good values is wider.
        good = "".join("x" if score >= max(scores) - tolerance else " " for score in scores)
        assert high - low + 1 == max(map(len, good.split()))


def test_looks_closer_only_around_the_best():
    asked = []

    def score(values):
        asked.append(list(values))
        return [-abs(value - 33) for value in values]

    curve = explore([0, 10, 20, 30, 40, 50], score, lambda a, b: [(a + b) / 2], 0.5)
    assert asked == [[0, 10, 20, 30, 40, 50], [25, 35]]
    assert curve.values == (0, 10, 20, 25, 30, 35, 40, 50)
    assert (curve.best, curve.chosen) == (35, 35)


@pytest.mark.parametrize("values", [[0.0], [0.5]])
def test_a_single_value(values):
    assert explore(values, lambda v: [0.3] * len(v), lambda a, b: [], 0.1).chosen == values[0]


@pytest.mark.parametrize(
    ("peak", "seen"), [(3, [5, 15]), (10, [5, 15]), (42, [35, 45]), (97, [85])]
)
def test_looks_below_the_first_where_that_is_the_best(peak, seen):
    asked = []

    def score(values):
        asked.append(list(values))
        return [-abs(value - peak) for value in values]

    def halves(one, two):
        return [(one + two) // 2]

    explore([10, 20, 30, 40, 50, 60, 70, 80, 90], score, halves, 0.0, below=0)
    assert asked[1] == seen
