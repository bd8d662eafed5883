"""Every name builds, answers in one form, and downloads nothing."""

import socket

import pytest
import segmentation_models_pytorch as smp
import torch

from kagglekit import models
from kagglekit.errors import CheckpointError
from kagglekit.models import Outputs, Recipe, build

SWIN = {
    "encoder_name": "tu-swin_tiny_patch4_window7_224",
    "embed_dim": 24,
    "depths": [1, 1, 1, 1],
    "num_heads": [1, 1, 2, 2],
}
NETWORKS = ["Unet", "UnetPlusPlus", "FPN", "DeepLabV3Plus", "UPerNet", "Segformer"]
ENCODERS = ["resnet18", "tu-test_efficientnet"]


def recipe_of(network, encoder, **more):
    return Recipe(f"smp.{network}", {"encoder_name": encoder} | more, classes=2)


COMBINED = [recipe_of(network, encoder) for network in NETWORKS for encoder in ENCODERS] + [
    recipe_of("Unet", "efficientnet-b0"),
    recipe_of("Segformer", "mit_b0"),
    Recipe("smp.UPerNet", SWIN, classes=2),
    recipe_of("FPN", "tu-coat_lite_tiny"),
    Recipe("fcn_resnet50", classes=2),
    Recipe("unet", {"width": 4, "aspp": True}, classes=2),
]


def name_of(value):
    if isinstance(value, Recipe):
        return f"{value.architecture} {value.options.get('encoder_name', '')}".strip()
    return ""


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("something wants the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize("recipe", COMBINED, ids=name_of)
def test_every_name_gives_logits_and_wants_no_network(recipe, no_network):
    model = build(recipe).eval()
    with torch.inference_mode():
        logits = model(torch.zeros(1, 3, 64, 96, dtype=torch.uint8))
    assert logits.shape == (1, 2, 64, 96)
    assert logits.dtype == torch.float32


@pytest.mark.parametrize("size", [(32, 32), (96, 224), (256, 64)])
def test_swin_takes_windows_of_any_size(size):
    model = build(Recipe("smp.UPerNet", SWIN)).eval()
    with torch.inference_mode():
        assert model(torch.zeros(1, 3, *size)).shape == (1, 1, *size)


def test_false_is_no_request_to_download(no_network):
    build(recipe_of("Unet", "tu-test_resnet", encoder_weights=False))


def test_pretrained_weights_are_had_by_naming_them(monkeypatch):
    asked = []

    def refuse(repo, filename, **options):
        asked.append(repo)
        raise ConnectionError

    monkeypatch.setattr(smp.encoders, "hf_hub_download", refuse)
    with pytest.raises(ConnectionError):
        build(recipe_of("Unet", "resnet18", encoder_weights="imagenet"))
    assert asked == ["smp-hub/resnet18.imagenet"]


def trained_once(model):
    """The outputs in training mode, after checking that every weight gets a slope."""
    model.train()
    outputs = model(255 * torch.rand(2, 3, 64, 64), auxiliary=True)
    sum(values.square().sum() for values in (outputs.logits, *outputs.auxiliary)).backward()
    idle = [name for name, weight in model.named_parameters() if weight.grad is None]
    assert not idle
    return outputs


@pytest.mark.parametrize(
    ("recipe", "sides"),
    [
        (Recipe("unet", {"width": 4}, classes=2), [8, 16, 32]),
        (recipe_of("Unet", "resnet18"), [32, 16, 8, 4, 2]),
        (recipe_of("FPN", "tu-test_convnext"), [16, 8, 4, 2]),  # no map at stride 2
    ],
    ids=name_of,
)
def test_deep_supervision_adds_outputs_while_training(recipe, sides):
    options = {**recipe.options, "deep_supervision": True, "aspp": True}
    torch.manual_seed(0)
    plain = build(recipe)
    deep = build(Recipe(recipe.architecture, options, classes=2))
    outputs = trained_once(deep)
    assert outputs.logits.shape == (2, 2, 64, 64)
    assert [tuple(a.shape) for a in outputs.auxiliary] == [(2, 2, s, s) for s in sides]
    with torch.inference_mode():
        assert deep.eval()(torch.zeros(1, 3, 64, 64), auxiliary=True).auxiliary == ()
        assert plain(torch.zeros(2, 3, 64, 64), auxiliary=True).auxiliary == ()


def test_the_extended_network_answers_as_the_plain_one_would():
    plain = build(recipe_of("Unet", "resnet18")).eval()
    deep = build(recipe_of("Unet", "resnet18", deep_supervision=True)).eval()
    deep.net.net.load_state_dict(plain.net.state_dict())
    x = 255 * torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(plain(x), deep(x))


def test_aspp_changes_the_deepest_map_only():
    model = build(recipe_of("Unet", "resnet18", aspp=True)).eval()
    seen = []
    model.net.aspp.register_forward_hook(lambda _, given, made: seen.extend([*given, made]))
    with torch.inference_mode():
        model(torch.zeros(1, 3, 64, 64))
    assert [tuple(value.shape) for value in seen] == [(1, 512, 2, 2)] * 2
    assert not torch.equal(*seen)


def test_aspp_sees_a_pixel_alike_wherever_the_map_ends():
    aspp = build(Recipe("unet", {"width": 2, "depth": 2, "aspp": True})).eval().net.aspp
    features = torch.randn(1, 8, 60, 60)
    with torch.inference_mode():
        whole, part = aspp(features), aspp(features[..., 10:50, 10:50])
    torch.testing.assert_close(part[..., 9:-9, 9:-9], whole[..., 19:41, 19:41])


def test_outputs_per_image_and_maps_come_together():
    head = {"classes": 2, "activation": None}
    for options in ({}, {"deep_supervision": True}):
        model = build(recipe_of("Unet", "resnet18", aux_params=head, **options)).train()
        outputs = model(torch.rand(2, 3, 64, 64), auxiliary=True)
        assert isinstance(outputs, Outputs)
        assert outputs.auxiliary[-1].shape == (2, 2)


def test_torchvisions_auxiliary_output():
    model = build(Recipe("fcn_resnet50", {"aux_loss": True})).eval()
    with torch.inference_mode():
        outputs = model(torch.zeros(1, 3, 64, 64), auxiliary=True)
    assert [a.shape for a in outputs.auxiliary] == [(1, 1, 64, 64)]


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (
            recipe_of("Unet", "resnet81"),
            "encoder_name='resnet81' is no encoder of smp; did you mean "
            "`resnet18` or `resnet152` or `resnet101`?",
        ),
        (
            recipe_of("Unet", "tu-coat_lite_tinny"),
            "encoder_name='tu-coat_lite_tinny' is no encoder of timm; did you mean "
            "`tu-coat_lite_tiny` or `tu-coat_lite_mini` or `tu-coat_tiny`?",
        ),
        (recipe_of("Unet", "qqq"), "encoder_name='qqq' is no encoder of smp"),
        (
            recipe_of("Unet", "resnet18", activation="sigmoid"),
            "activation='sigmoid': networks answer logits here, and what predicts or computes a loss "
            "takes their sigmoid; leave it out, and of a softmax say Recipe(softmax=True)",
        ),
        (
            recipe_of("DeepLabV3Plus", "tu-coat_lite_tiny"),
            "DeepLabV3Plus dilates its encoder, which 'tu-coat_lite_tiny' cannot do: take a "
            'convolutional encoder, or "smp.UPerNet"',
        ),
    ],
    ids=name_of,
)
def test_names_that_do_not_build(recipe, message):
    with pytest.raises(ValueError) as raised:
        build(recipe)
    assert str(raised.value) == message


def made(recipe):
    return torch.nn.Conv2d(recipe.in_channels, recipe.classes, 3, padding=1)


def test_a_network_of_ones_own_is_built_saved_and_loaded(tmp_path):
    recipe = models.Recipe("mine", classes=2, window=64, stride=1)
    folds = [models.build(recipe, made).eval() for _ in range(2)]
    paths = [tmp_path / f"{k}.safetensors" for k in range(2)]
    for model, path in zip(folds, paths, strict=True):
        models.save(model, path)
    torch.save(folds[0].net.state_dict(), tmp_path / "0.pth")
    images = torch.randint(0, 256, (1, 3, 9, 8), dtype=torch.uint8)
    with torch.inference_mode():
        expected = [model(images) for model in folds]
        for found in (models.load(paths[0], made), models.load_folds(paths, made)[0]):
            assert torch.equal(found(images), expected[0])
            assert found.recipe == recipe
        assert torch.equal(models.load_folds(paths, made)[1](images), expected[1])
        foreign = models.load_foreign(tmp_path / "0.pth", recipe, make=made)
        assert torch.equal(foreign(images), expected[0])
    with pytest.raises(CheckpointError) as raised:
        models.load(paths[0])
    assert str(raised.value) == (
        f"`{paths[0]}`: its recipe cannot be built: architecture='mine' must be \"unet\", "
        '"fcn_resnet50" or "smp.<class>"; for a network of your own give make=, a function of the '
        "recipe that makes it"
    )
    with pytest.raises(CheckpointError):
        models.load(paths[0], lambda recipe: torch.nn.Conv2d(3, 2, 5))
    for wrong in (folds[0].net, lambda recipe: None):
        with pytest.raises(CheckpointError) as raised:
            models.load(paths[0], wrong)
        assert str(raised.value) == (
            f"`{paths[0]}`: its recipe cannot be built: make= must be a function that returns a "
            "network: lambda recipe: MyNet()"
        )
