"""The map that a track hands on: the same however many rows at a time, and never too many."""

import pytest
import torch

from kagglekit.inference import _track
from kagglekit.inference._network import Network
from kagglekit.inference._track import Track, rows_at_once
from kagglekit.models import Model, Recipe
from kagglekit.tiling import plan_grid
from kagglekit.tta import views

SHAPE = (150, 90)


def parts_of(axis):
    """Blend windows of noise; return what is handed on."""
    model = Model(torch.nn.Conv2d(3, 2, 1), Recipe(classes=2, window=32, stride=8)).eval()
    grid = plan_grid(SHAPE, 32, 8, stride=8)
    along, across = grid.axes[axis], grid.axes[1 - axis]
    strips = range(len(along.starts))
    network = Network([model], [1.0], views("none"), "prob", True, 1, False)
    track = Track(
        1, grid, axis, strips, range(along.size), network, "trapezoid", torch.device("cpu")
    )
    noise = torch.Generator().manual_seed(axis)
    parts = []
    for i in strips:
        for j in range(len(across.starts)):
            prob = torch.rand(1, 2, 32, 32, generator=noise)
            track.add(j, track.weigh(i, [j], prob)[0])
        parts += track.finish(i)
    return parts


@pytest.mark.parametrize("axis", [0, 1])
def test_rows_handed_on_at_a_time_change_nothing(axis, monkeypatch):
    whole = torch.cat(parts_of(axis), 1 + axis)
    assert whole.shape == (2, *SHAPE)
    for values in (1, 1000, 2000):
        monkeypatch.setattr(_track, "VALUES_AT_ONCE", values)
        parts = parts_of(axis)
        assert torch.equal(torch.cat(parts, 1 + axis), whole)
        a_row = 2 * SHAPE[1 - axis]
        assert max(part.numel() for part in parts) == a_row * max(1, values // a_row)


@pytest.mark.parametrize(
    ("planes", "length", "rows"),
    [(1, 1 << 20, 1), (1, 50_000, 20), (4, 50_000, 5), (9, 1 << 20, 1)],
)
def test_long_rows_come_one_by_one_and_short_ones_many_at_a_time(planes, length, rows):
    assert rows_at_once(planes, length, torch.device("cpu")) == rows
    assert rows_at_once(planes, 16 * length, torch.device("cuda")) == rows


@pytest.mark.parametrize(("axis", "what"), [(0, "rows 24-56"), (1, "columns 24-56")])
def test_what_is_no_number_is_refused_and_its_place_told(axis, what):
    model = Model(torch.nn.Conv2d(3, 1, 1), Recipe(window=32, stride=8)).eval()
    grid = plan_grid(SHAPE, 32, 8, stride=8)
    network = Network([model], [1.0], views("none"), "prob", True, 1, False)
    device, along = torch.device("cpu"), grid.axes[axis]
    strips = range(len(along.starts))
    track = Track(1, grid, axis, strips, range(along.size), network, "trapezoid", device)
    prob = torch.rand(2, 1, 32, 32)
    track.weigh(0, [0, 1], prob.clone())
    prob[1, 0, 7, 31] = torch.nan
    track.weigh(1, [0, 1], prob)  # by another core, before the first strip is done
    list(track.finish(0))
    with pytest.raises(FloatingPointError) as raised:
        list(track.finish(1))
    assert str(raised.value) == (
        f"the network answered nan or infinity somewhere in the {what} of the image: "
        "are its weights, and the image's pixels, all numbers? "
        "On a GPU, try amp=False: half precision ends at 65,504"
    )
