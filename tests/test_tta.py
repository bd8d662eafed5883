import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kagglekit.tta import VIEWS, views


@given(st.sampled_from(sorted(VIEWS)), st.integers(1, 7), st.integers(1, 7))
def test_undo_is_the_exact_inverse_on_any_size(name, height, width):
    images = torch.rand(2, 3, height, width)
    for view in views(name):
        assert torch.equal(view.undo(view.apply(images)), images)


def test_the_views_of_d4_are_the_eight_symmetries():
    image = torch.tensor([[[[1, 2], [3, 4]]]])
    seen = {tuple(view.apply(image).flatten().tolist()) for view in views("d4")}
    turned = {tuple(image.rot90(k, (2, 3)).flatten().tolist()) for k in range(4)}
    mirrored = {tuple(image.flip(3).rot90(k, (2, 3)).flatten().tolist()) for k in range(4)}
    assert seen == turned | mirrored
    assert len(seen) == 8


def test_hflip_leaves_up_where_it_is():
    image = torch.tensor([[[[1, 2], [3, 4]]]])
    seen = [view.apply(image).flatten().tolist() for view in views("hflip")]
    assert seen == [[1, 2, 3, 4], [2, 1, 4, 3]]


def test_flips_are_left_right_up_down_and_both():
    image = torch.tensor([[[[1, 2], [3, 4]]]])
    seen = [view.apply(image).flatten().tolist() for view in views("flips")]
    assert seen == [[1, 2, 3, 4], [2, 1, 4, 3], [3, 4, 1, 2], [4, 3, 2, 1]]


def test_unknown_set():
    for name, shown in ((["flips"], "['flips']"), ("d5", "'d5'")):
        with pytest.raises(ValueError) as raised:
            views(name)
        assert str(raised.value) == f"tta={shown} must be one of 'none', 'hflip', 'flips', 'd4'"
