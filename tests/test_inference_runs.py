"""RunSink, Cells and Decision against the enlarged map as torch makes it, in memory, in float64."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from kagglekit.inference import _cells
from kagglekit.inference._cells import Cells
from kagglekit.inference._decide import Decision
from kagglekit.inference._runs import RunSink, assemble

ROUNDING = 1e-5  # nearer to a cut, or two planes nearer to each other, float32 may say either


@dataclass
class Case:
    shape: tuple[int, int]
    scale: int
    axis: int
    prob: torch.Tensor
    decide: Decision
    seed: int

    @property
    def size(self):
        return self.prob.shape[1 + self.axis]


@st.composite
def cases(draw, exact=False):
    """`exact`: values and scales with which float32 makes no rounding error, so ties are ties."""
    shape = draw(st.tuples(st.integers(1, 60), st.integers(1, 60)))
    scale = draw(st.sampled_from([1, 2, 4, 8] if exact else [1, 2, 3, 4, 5, 8]))
    planes, seed = draw(st.integers(1, 3)), draw(st.integers(0, 2**32))
    generator = np.random.default_rng(seed)
    small = [-(-side // scale) for side in shape]
    if exact:
        prob = generator.integers(0, 5, (planes, *small)) / 4
        cuts = generator.choice([0.25, 0.5, 0.75], planes)
    else:
        prob = generator.random((planes, *small))
        cuts = generator.uniform(0.3, 0.7, planes)
        if draw(st.booleans()):
            padded = F.pad(torch.from_numpy(prob)[None], (2, 2, 2, 2), mode="replicate")
            prob = F.avg_pool2d(padded, 5, 1)[0].numpy()
    decide = Decision(tuple(range(planes)), tuple(cuts.tolist()), draw(st.booleans()))
    prob = torch.from_numpy(prob).float()
    return Case(shape, scale, draw(st.sampled_from([0, 1])), prob, decide, seed)


def expected(case):
    """Return the masks, and where rounding may make others: (masks, H, W) and (H, W) bool."""
    height, width = case.shape
    big = F.interpolate(
        case.prob[None].double(), scale_factor=case.scale, mode="bilinear", align_corners=False
    )[0, :, :height, :width].numpy()
    planes, cuts = case.decide.planes, np.array(case.decide.cuts)[:, None, None]
    masks = big[list(planes)] > cuts
    unsure = (np.abs(big[list(planes)] - cuts) < ROUNDING).any(0)
    if case.decide.exclusive:
        masks &= big.argmax(0) == np.array(planes)[:, None, None]
        ranked = np.sort(big, 0)
        unsure |= (np.diff(ranked[-2:], axis=0) < ROUNDING).any(0)
    return masks, unsure


def pieces(prob, axis, start, stop, generator):
    """Cut rows (or columns) start to stop into parts of random thickness."""
    while start < stop:
        n = min(int(generator.integers(1, 9)), stop - start)
        yield prob.narrow(1 + axis, start, n)
        start += n


def masks_by(case, edges):
    """Make the masks of a map cut into bands, and each into random parts."""
    generator, parts = np.random.default_rng(case.seed), None
    for start, stop in pairwise(edges):
        sink = RunSink(case.shape, case.scale, case.axis, case.decide, start)
        for piece in pieces(case.prob, case.axis, max(0, start - sink.lead), stop, generator):
            sink.add(piece)
        if parts is None:
            parts = sink.parts
        else:
            for part, following in zip(parts, sink.parts, strict=True):
                part.extend(following, case.axis, case.shape[0])
    return np.stack([mask.to_mask() for mask in assemble(parts, case.shape)]).astype(bool)


def random_edges(case):
    generator = np.random.default_rng(case.seed + 1)
    return sorted({0, case.size, *generator.integers(0, case.size + 1, 3).tolist()})


@given(cases())
def test_equals_the_enlarged_map_thresholded(case):
    masks, unsure = expected(case)
    assert (masks_by(case, [0, case.size]) == masks)[:, ~unsure].all()
    assert unsure.mean() < 0.2 or unsure.size < 100


@given(cases(exact=True))
def test_a_value_exactly_at_the_cut_is_background_and_of_equals_the_first_plane_wins(case):
    masks, _ = expected(case)
    assert np.array_equal(masks_by(case, [0, case.size]), masks)


@given(cases())
def test_bands_put_together_equal_the_whole(case):
    whole = masks_by(case, [0, case.size])
    assert np.array_equal(masks_by(case, random_edges(case)), whole)


@given(cases())
def test_both_ways_of_the_sweep_give_the_same(case):
    other = Case(case.shape, case.scale, 1 - case.axis, case.prob, case.decide, case.seed)
    assert np.array_equal(masks_by(case, [0, case.size]), masks_by(other, [0, other.size]))


@pytest.mark.parametrize("at_once", [1, 7])
def test_how_many_cells_are_interpolated_at_a_time_changes_nothing(monkeypatch, at_once):
    generator = torch.Generator().manual_seed(0)
    prob = torch.rand(2, 12, 9, generator=generator)
    cells = Cells(prob, 3, Decision((0, 1), (0.4, 0.6)))
    whole = cells.changes()
    monkeypatch.setattr(_cells, "_AT_ONCE", at_once)
    found = cells.changes()
    assert whole.shape[1] > 100
    assert sorted(found.T.tolist()) == sorted(whole.T.tolist())


def test_a_smooth_map_is_interpolated_along_outlines_only():
    y, x = torch.meshgrid(torch.arange(200.0), torch.arange(200.0), indexing="ij")
    prob = torch.sigmoid((50 - torch.hypot(y - 100, x - 90)) / 4)[None]
    mixed = Cells(prob, 4, Decision((0,), (0.5,))).mixed
    outline = 2 * torch.pi * 50
    assert outline < int(mixed.sum()) < 1.5 * outline


def test_without_a_winner_at_four_corners_there_may_be_one_between_them():
    # At the left corners plane 1 is over its cut and loses to plane 0, which is below its own; at
    # the right ones nothing is over. Between, plane 0 falls fast and plane 1 wins, still over 0.5.
    left, right = torch.tensor([0.8, 0.7]), torch.tensor([0.0, 0.45])
    prob = torch.stack([left, right], 1)[:, None].expand(2, 2, 2).contiguous()
    case = Case((16, 16), 8, 0, prob, Decision((0, 1), (0.9, 0.5), exclusive=True), 0)
    assert not case.decide.masks(prob).any()
    masks, unsure = expected(case)
    assert masks[1].nonzero()[1].tolist() == [5, 6, 7, 8, 9] * 16  # of every row
    assert not unsure.any()
    assert np.array_equal(masks_by(case, [0, 2]), masks)


def test_where_four_corners_decide_alike_rounding_between_them_changes_nothing():
    # Plane 1 wins by the last bit everywhere but in the first row; interpolated, it often only ties.
    low = torch.rand((1, 9, 9), generator=torch.Generator().manual_seed(0))
    prob = torch.cat([low, torch.nextafter(low, torch.tensor(2.0))])
    prob[:, 0] = torch.tensor([[0.9], [0.1]])
    decide = Decision((1,), (-1.0,), exclusive=True)
    case = Case((36, 36), 4, 0, prob, decide, 0)
    [mask] = masks_by(case, [0, case.size])
    assert mask[6:].all()  # from the centres of the map's second row on
    cells = Cells(prob, 4, decide)
    assert not cells.mixed[1:].any()
    assert cells.row(4).all()


def test_high_and_low_masks_of_one_plane_are_exclusive_each_for_itself():
    prob = torch.rand(2, 11, 13, generator=torch.Generator().manual_seed(3))
    decide = Decision((0, 1, 0, 1), (0.4, 0.4, 0.7, 0.7), exclusive=True)
    case = Case((31, 37), 3, 1, prob, decide, 0)
    masks, unsure = expected(case)
    assert (masks_by(case, [0, case.size]) == masks)[:, ~unsure].all()


@given(cases(), st.integers(0, 60))
def test_another_process_goes_on_from_state_and_changes(case, cut):
    generator = np.random.default_rng(case.seed)
    parts = list(pieces(case.prob, case.axis, 0, case.size, generator))
    cut = min(cut, len(parts))
    one = RunSink(case.shape, case.scale, case.axis, case.decide)
    for piece in parts[:cut]:
        one.add(piece)
    changes = [[np.concatenate(arrays)] for arrays in one.changes]
    two = RunSink(case.shape, case.scale, case.axis, case.decide)
    two.restore(one.state(), changes)
    for piece in parts[cut:]:
        two.add(piece)
    found = np.stack([mask.to_mask() for mask in two.finish()])
    assert np.array_equal(found, masks_by(case, [0, case.size]))


def test_positions_beyond_32_bits():
    # 70,000 x 70,000 pixels: the last ones have positions above 2**32.
    shape, scale = (70_000, 70_000), 700
    prob = torch.zeros(1, 100, 100)
    prob[0, -1, -1] = 1.0
    sink = RunSink(shape, scale, 1, Decision((0,), (0.5,)))
    sink.add(prob)
    [part] = sink.parts
    assert part.changes[0].dtype == np.int64
    assert part.changes[0].max() > 2**32
