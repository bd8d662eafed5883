"""Stretch, Combine and needed_rows against maps enlarged by torch, in memory, in float64."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from kagglekit.inference import _combine
from kagglekit.inference._combine import Combine, Stretch, needed_rows


@dataclass
class Case:
    size: tuple[int, int]
    axis: int
    rows: range
    factors: list[int]
    shares: list[float]
    maps: list[torch.Tensor]
    seed: int
    geometric: bool


@st.composite
def cases(draw):
    size = draw(st.tuples(st.integers(1, 50), st.integers(1, 50)))
    axis = draw(st.sampled_from([0, 1]))
    first = draw(st.integers(0, size[axis] - 1))
    rows = range(first, draw(st.integers(first + 1, size[axis])))
    factors = [1, *draw(st.lists(st.sampled_from([1, 2, 3, 4, 7]), min_size=1, max_size=2))]
    seed = draw(st.integers(0, 2**32))
    generator = np.random.default_rng(seed)
    shares = generator.dirichlet(np.ones(len(factors))).tolist()
    small = [[-(-side // factor) for side in size] for factor in factors]
    maps = [torch.from_numpy(generator.random((2, *one), np.float32)) for one in small]
    return Case(size, axis, rows, factors, shares, maps, seed, draw(st.booleans()))


def expected(case):
    height, width = case.size
    enlarged = [
        F.interpolate(
            one[None].double(), scale_factor=factor, mode="bilinear", align_corners=False
        )[0, :, :height, :width].numpy()
        for one, factor in zip(case.maps, case.factors, strict=True)
    ]
    mean = np.average(np.log(enlarged) if case.geometric else enlarged, axis=0, weights=case.shares)
    return torch.from_numpy(np.exp(mean) if case.geometric else mean).narrow(
        1 + case.axis, case.rows.start, len(case.rows)
    )


def combined(case, watch=lambda combine: None):
    """Feed only the rows that are needed, in pieces of random size, in random turns."""
    generator = np.random.default_rng(case.seed)
    needs = [needed_rows(case.rows, case.size[case.axis], factor) for factor in case.factors]
    stretches = [
        Stretch(case.axis, case.size, factor, need.start)
        for factor, need in zip(case.factors, needs, strict=True)
    ]
    combine = Combine(case.rows, stretches, case.shares, case.geometric)
    at, found = [need.start for need in needs], []
    while any(a < need.stop for a, need in zip(at, needs, strict=True)):
        which = int(generator.integers(len(at)))
        n = min(int(generator.integers(1, 8)), needs[which].stop - at[which])
        if n:
            found += combine.push(which, case.maps[which].narrow(1 + case.axis, at[which], n))
            at[which] += n
            watch(combine)
    return torch.cat(found, 1 + case.axis)


@given(cases())
def test_equals_the_mean_of_the_enlarged_maps(case):
    found = combined(case)
    assert found.dtype == torch.float32
    assert found.shape == expected(case).shape
    assert torch.allclose(found.double(), expected(case), rtol=0, atol=1e-6)


@given(cases())
def test_rows_handed_on_at_a_time_change_nothing(case):
    whole = combined(case)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_combine, "rows_at_once", lambda planes, length, device: 3)
        assert torch.equal(combined(case), whole)


def test_of_one_map_nothing_waits():
    prob = torch.rand(1, 5, 7)
    combine = Combine(range(20), [Stretch(0, (20, 7), 1, 0)], [1.0])
    [found] = combine.push(0, prob)
    assert found is prob


def test_what_waits_stays_small_however_long_the_sweep():
    rng = np.random.default_rng(0)
    size = (4000, 6)
    maps = [torch.from_numpy(rng.random((1, -(-4000 // f), 6), np.float32)) for f in (1, 4)]
    combine = Combine(range(4000), [Stretch(0, size, 1, 0), Stretch(0, size, 4, 0)], [0.5, 0.5])
    most, handed = 0, 0
    for at in range(0, 4000, 40):
        for which, step in ((1, 10), (0, 40)):
            first = at * step // 40
            for part in combine.push(which, maps[which][:, first : first + step]):
                handed += part.shape[1]
            most = max(
                most, sum(one.waiting.shape[1] for one in combine.maps if one.waiting is not None)
            )
    assert handed == 4000
    assert most <= 2 * 50 + 3


def test_rows_that_did_not_arrive_cannot_be_taken():
    stretch = Stretch(0, (20, 4), 2, 0)
    with pytest.raises(ValueError) as raised:
        stretch.take(0, 1)
    assert str(raised.value) == "rows up to 1 were asked for; 0 are known"
    stretch.push(torch.zeros(1, 3, 2))
    with pytest.raises(ValueError) as raised:
        stretch.take(0, 6)
    assert str(raised.value) == "rows up to 6 were asked for; 5 are known"


@given(st.integers(1, 60), st.integers(1, 8), st.data())
def test_needed_rows_are_those_that_matter_and_no_others(size, factor, data):
    """Enlarge marks: a small row is needed exactly if it changes a wanted row."""
    first = data.draw(st.integers(0, size - 1))
    rows = range(first, data.draw(st.integers(first + 1, size)))
    small = -(-size // factor)
    marks = torch.eye(small, dtype=torch.float64)[None, None]  # column k is 1 in row k
    enlarged = F.interpolate(marks, scale_factor=(factor, 1), mode="bilinear", align_corners=False)[
        0, 0, rows.start : rows.stop
    ]
    matter = enlarged.any(0).nonzero().flatten().tolist()
    needed = needed_rows(rows, size, factor)
    assert set(matter) <= set(needed)
    # At a centre the neighbour counts for nothing, and is asked for all the same.
    assert len(needed) <= len(matter) + 1
