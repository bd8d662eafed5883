from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kagglekit import tiles


def index_of(areas):
    count = len(areas)
    return tiles.Index(
        64,
        np.zeros(count, np.int64),
        np.zeros((count, 4), np.int64),
        np.array(areas, np.int64).reshape(count, -1),
        np.zeros(count, np.float32),
    )


def test_every_tile_once_an_epoch_in_another_order_each_time():
    sampler = tiles.shuffled(index_of(range(20)), seed=1)
    first = list(sampler)
    assert sorted(draw.tile for draw in first) == list(range(20))
    assert [draw.sample for draw in first] == list(range(20))
    assert list(sampler) == first
    sampler.set_epoch(1)
    assert [draw.tile for draw in sampler] != [draw.tile for draw in first]
    other = tiles.shuffled(index_of(range(20)), seed=2)
    assert [draw.tile for draw in other] != [draw.tile for draw in first]


def test_what_is_left_of_an_epoch_is_its_end():
    sampler = tiles.balanced(index_of([0, 1, 5, 9, 9]), length=30, seed=1)
    sampler.set_epoch(4)
    whole = list(sampler)
    sampler.start = 11
    assert len(sampler) == 19
    assert list(sampler) == whole[11:]
    sampler.set_epoch(5)
    assert len(sampler) == 30


def test_bins_of_area_and_empty_tiles_are_drawn_by_their_shares():
    areas = [0] * 50 + [10] * 200 + [30] * 4 + [100] * 2  # bins of 25: 200, 4, 0 and 2 tiles
    sampler = tiles.balanced(index_of(areas), length=400, negatives=0.1, bins=4)
    drawn = Counter(areas[draw.tile] for draw in sampler)
    assert drawn == {0: 40, 10: 120, 30: 120, 100: 120}
    tile = Counter(draw.tile for draw in sampler)
    assert max(tile.values()) - min(tile[i] for i in range(254, 256)) == 0  # rounds, not luck
    assert {tile[i] for i in range(250, 254)} == {30}


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=30),
    st.integers(1, 60),
    st.sampled_from([0, 0.25, 1]),
    st.integers(1, 6),
)
def test_an_epoch_has_its_length_whatever_there_is(areas, length, negatives, bins):
    sampler = tiles.balanced(index_of(areas), length, negatives, bins)
    drawn = [areas[draw.tile] for draw in sampler]
    assert len(drawn) == len(sampler) == length
    if 0 < areas.count(0) < len(areas):
        assert drawn.count(0) == round(negatives * length)


def test_areas_of_several_masks_are_added():
    sampler = tiles.balanced(index_of([[0, 0], [0, 3], [3, 0]]), length=4, negatives=0)
    assert {draw.tile for draw in sampler} == {1, 2}


def test_shares_that_are_none_are_refused():
    with pytest.raises(
        ValueError,
        match=r"^2 tiles, length=2, bins=4, negatives=1.5: expected at least one of each of the first three, and a share in \[0, 1\]$",
    ):
        tiles.balanced(index_of([0, 1]), negatives=1.5)


@given(st.lists(st.integers(0, 8), min_size=2, max_size=40), st.integers(2, 5), st.data())
def test_folds_never_split_a_group_and_none_is_empty(groups, k, data):
    if len(set(groups)) < k:
        return
    amounts = data.draw(st.lists(st.integers(0, 9), min_size=len(groups), max_size=len(groups)))
    fold = tiles.folds(groups, k, np.array(amounts))
    assert set(fold) == set(range(k))
    assert all(len({fold[i] for i, g in enumerate(groups) if g == one}) == 1 for one in groups)


def test_folds_are_even_in_number_and_in_every_amount():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), rng.integers(1, 6, 60))
    amounts = np.stack([rng.integers(0, 50, len(groups)), groups % 7 == 0], axis=1)
    fold = tiles.folds(groups.tolist(), 4, amounts)
    for column in (np.ones(len(groups)), amounts[:, 0], amounts[:, 1]):
        loads = np.bincount(fold, column)
        assert loads.max() < 1.15 * loads.mean()
    assert not np.array_equal(fold, tiles.folds(groups.tolist(), 4, amounts, seed=1))
    assert np.array_equal(fold, tiles.folds(groups.tolist(), 4, amounts))


def test_folds_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match=r"^k=3 folds of 2 groups: expected 2 to 2$"):
        tiles.folds(["a", "b", "a"], 3)
    with pytest.raises(ValueError, match=r"^amounts for 1 images, groups for 2$"):
        tiles.folds(["a", "b"], 2, np.ones(1))


def test_evenly_draws_each_label_as_often_as_another():
    labels = np.array(["kidney"] * 90 + ["lung"] * 9 + ["spleen"])
    sampler = tiles.evenly(labels, length=30, seed=1)
    drawn = labels[[draw.tile for draw in sampler]]
    assert {name: int((drawn == name).sum()) for name in set(labels)} == {
        "kidney": 10, "lung": 10, "spleen": 10,
    }  # fmt: skip
    first = sampler.order()
    sampler.set_epoch(1)
    assert sorted(labels[first]) == sorted(labels[sampler.order()])
    assert (first != sampler.order()).any()
    assert len(tiles.evenly(labels)) == 100


def test_evenly_wants_one_label_for_each_tile():
    with pytest.raises(ValueError) as raised:
        tiles.evenly(np.zeros((5, 4)))
    assert str(raised.value) == "labels (5, 4): expected one for each tile"


@pytest.mark.parametrize(("labels", "length"), [([], 3), (["lung"], 0)])
def test_evenly_needs_tiles_and_draws(labels, length):
    with pytest.raises(ValueError) as raised:
        tiles.evenly(labels, length)
    assert str(raised.value) == (
        f"{len(labels)} tiles, length={length}: expected at least one of each"
    )
