import pytest
import timm
import torch

from kagglekit.models import Recipe, build
from kagglekit.models._coat import CoatEncoder


@pytest.fixture(scope="module", params=["coat_lite_tiny", "coat_mini"])
def encoder(request):
    """One without the parallel blocks, one with them."""
    return CoatEncoder(request.param).eval()


def test_maps_are_timms_at_the_size_that_timm_knows(encoder):
    outputs = ["x1_nocls", "x2_nocls", "x3_nocls", "x4_nocls"]
    theirs = timm.create_model(encoder.name, return_interm_layers=True, out_features=outputs)
    theirs.load_state_dict(encoder.net.state_dict())
    x = torch.randn(1, 3, 224, 224)
    with torch.inference_mode():
        maps, expected = encoder(x), theirs.eval()(x)
    assert torch.equal(maps[0], x)
    for ours, name in zip(maps[2:], outputs, strict=True):
        torch.testing.assert_close(ours, expected[name])


@pytest.mark.parametrize("size", [(32, 32), (64, 160)])
def test_maps_have_their_strides_at_any_size(encoder, size):
    with torch.inference_mode():
        maps = encoder(torch.zeros(2, 3, *size))
    assert [m.shape[1] for m in maps] == encoder.out_channels
    strides = [1, 2, 4, 8, 16, 32]
    assert [tuple(m.shape[2:]) for m in maps] == [(size[0] // s, size[1] // s) for s in strides]


def test_windows_of_another_size_in_between_change_nothing(encoder):
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        before = encoder(x)
        encoder(torch.zeros(1, 3, 32, 96))
        after = encoder(x)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_every_weight_learns(encoder):
    encoder.train()
    encoder.zero_grad()
    sum(values.square().sum() for values in encoder(torch.randn(2, 3, 64, 64))).backward()
    encoder.eval()
    assert [name for name, weight in encoder.named_parameters() if weight.grad is None] == []


def test_images_of_other_than_three_channels():
    recipe = Recipe(
        "smp.Unet", {"encoder_name": "tu-coat_lite_tiny"}, in_channels=1, mean=(0.5,), std=(0.5,)
    )
    model = build(recipe).eval()
    with torch.inference_mode():
        assert model(torch.zeros(1, 1, 32, 64)).shape == (1, 1, 32, 64)
