"""What users write for an option, and what counts as the same."""

import numpy as np
import pytest
import torch
from torch import nn

from kagglekit.inference import predict_masks
from kagglekit.inference._options import Options, given, numbers, planes_of
from kagglekit.models import Model, Recipe
from kagglekit.slides import open_slide
from tests.array_slide import smooth_picture


@pytest.mark.parametrize(
    "value",
    [
        0.25,
        (0.25, 0.25),
        [0.25, 0.25],
        np.float32(0.25),
        np.array([0.25, 0.25], np.float32),
        np.array(0.25),
        torch.tensor([0.25, 0.25]),
    ],
)
def test_numbers_come_as_one_as_a_list_or_as_an_array(value):
    assert numbers(value, 2, "threshold", "masks") == (0.25, 0.25)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ([0.1], "[0.1]"),
        ("ab", "'ab'"),
        ([0.1, None], "[0.1, None]"),
        (np.array([[0.5], [0.25]]), "[[0.5], [0.25]]"),
        (None, "None"),
    ],
)
def test_what_are_no_numbers_is_shown(value, shown):
    with pytest.raises(ValueError) as raised:
        numbers(value, 2, "threshold", "masks")
    assert str(raised.value) == f"threshold={shown} must be one number or one for each of 2 masks"


def test_nan_is_named():
    with pytest.raises(ValueError, match=r"^threshold=\[0.1, nan\]: nan is no number$"):
        numbers([0.1, float("nan")], 2, "threshold", "masks")


@pytest.mark.parametrize("planes", [(0, 0, 2), [0, 0, 2], np.array([0, 0, 2])])
def test_planes_come_as_a_list_or_as_an_array(planes):
    assert planes_of({"planes": planes}, 3) == (0, 0, 2)


def test_by_default_each_plane_once():
    assert planes_of({}, 3) == (0, 1, 2)


def test_a_name_that_is_near_none_gets_the_whole_list():
    with pytest.raises(TypeError) as raised:
        given({"xyz": 1})
    assert str(raised.value) == f"no option 'xyz': there are {', '.join(Options.__annotations__)}"


def test_thresholds_found_by_numpy_are_those_of_a_list(tmp_path):
    np.save(tmp_path / "a.npy", smooth_picture((60, 90)))
    net = nn.Conv2d(3, 2, 1)
    model = Model(net, Recipe(classes=2, window=64, stride=1)).eval()
    with open_slide(tmp_path / "a.npy") as slide:

        def found(threshold):
            # `checkpoint=None` is what a notebook gives where nothing has to survive.
            masks = predict_masks(
                model, slide, threshold=threshold, checkpoint=None, progress=False
            )
            return [mask.to_text() for mask in masks]

        listed = found([0.4, 0.6])
        assert found(np.array([0.4, 0.6])) == listed
        assert found(np.array([0.6, 0.4])) != listed


def test_none_is_as_if_left_out():
    assert given({"threshold": None, "window": 64, "checkpoint": None}) == {"window": 64}


def plain_model():
    return Model(nn.Conv2d(3, 1, 1), Recipe(window=64, stride=1)).eval()


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (nn.Conv2d(3, 1, 1), "Conv2d"),
        ([plain_model(), nn.Identity()], "Identity"),
    ],
)
def test_a_network_without_a_recipe_is_refused(tmp_path, models, message):
    np.save(tmp_path / "a.npy", smooth_picture((60, 90)))
    with open_slide(tmp_path / "a.npy") as slide, pytest.raises(TypeError) as raised:
        predict_masks(models, slide)
    assert str(raised.value) == (
        f"a model is of type {message}: give models.Model(net, Recipe(...)), which knows how the "
        "network is fed"
    )


@pytest.mark.parametrize("slide", ["a.tiff", np.zeros((60, 90, 3), np.uint8)])
def test_what_is_no_slide_is_refused(slide):
    with pytest.raises(TypeError) as raised:
        predict_masks(plain_model(), slide)
    assert str(raised.value) == (
        f"slide is of type {type(slide).__name__}: open the image with open_slide"
    )


def test_a_network_in_training_mode_is_seen_within_its_model(tmp_path):
    np.save(tmp_path / "a.npy", smooth_picture((60, 90)))
    model = Model(nn.Sequential(nn.Conv2d(3, 1, 1), nn.BatchNorm2d(1)), Recipe(window=64)).eval()
    model.net.train()
    with open_slide(tmp_path / "a.npy") as slide, pytest.raises(ValueError, match="training mode"):
        predict_masks(model, slide)
