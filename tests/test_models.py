import json
import multiprocessing
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from kagglekit.errors import CheckpointError
from kagglekit.models import Model, Recipe, build, load, save

TINY = Recipe("unet", {"width": 2, "depth": 2}, window=64, stride=4)


class Raw(nn.Module):
    """Returns its input in whatever form a library might."""

    def __init__(self, wrap):
        super().__init__()
        self.wrap = wrap

    def forward(self, x):
        return self.wrap(x)


@pytest.mark.parametrize(
    "recipe",
    [
        TINY,
        replace(TINY, in_channels=1, classes=4, mean=(0.5,), std=(0.2,)),
        Recipe("smp.Unet", {"encoder_name": "resnet18"}, classes=2),
        Recipe("smp.FPN", {"encoder_name": "resnet18"}),
        Recipe("fcn_resnet50"),
    ],
    ids=lambda recipe: recipe.architecture,
)
def test_every_architecture_returns_plain_logits(recipe):
    model = build(recipe).eval()
    with torch.inference_mode():
        logits = model(torch.zeros(2, recipe.in_channels, 64, 96, dtype=torch.uint8))
    assert logits.shape == (2, recipe.classes, 64, 96)
    assert logits.dtype == torch.float32


@pytest.mark.parametrize(
    "wrap", [lambda x: x, lambda x: {"out": x, "aux": -x}, lambda x: (x, -x), lambda x: [x]]
)
def test_outputs_of_all_forms_become_one(wrap):
    recipe = Recipe(mean=(0.0,), std=(1.0,), max_value=1.0)
    x = torch.rand(1, 3, 4, 4)
    assert torch.equal(Model(Raw(wrap), recipe)(x), x)


def test_an_output_that_is_no_tensor_is_named():
    with pytest.raises(TypeError, match="^the network returned str; expected a tensor$"):
        Model(Raw(lambda x: "mask"), Recipe())(torch.rand(1, 3, 4, 4))


def test_a_model_begins_in_its_network_s_mode():
    assert not Model(nn.Conv2d(3, 1, 1).eval(), Recipe()).training
    assert Model(nn.Conv2d(3, 1, 1), Recipe()).training


def test_pixels_are_normalised_by_the_recipe():
    recipe = Recipe(mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0))
    x = torch.tensor([255, 0, 51], dtype=torch.uint8).reshape(1, 3, 1, 1)
    seen = Model(Raw(lambda x: x), recipe)(x).flatten().tolist()
    assert seen == pytest.approx([(1 - 0.1) / 0.5, -0.2, (0.2 - 0.3) / 2])


def test_others_may_read_a_checkpoint_as_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    save(build(TINY), tmp_path / "a.safetensors")
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_pixels_are_left_as_they_are_however_they_lie_in_memory(dtype):
    recipe = Recipe(in_channels=3, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4), max_value=255)
    model = Model(nn.Identity(), recipe)
    pixels = torch.randint(0, 256, (2, 3, 5, 7)).to(dtype)
    side_by_side = pixels.clone(memory_format=torch.channels_last)
    found = model(side_by_side)
    assert torch.equal(side_by_side, pixels)
    assert torch.allclose(found, model(pixels), atol=1e-5)


def test_a_grey_image_is_repeated_for_a_colour_model():
    recipe = Recipe(mean=(0.0,), std=(1.0,))
    grey = torch.full((1, 1, 2, 2), 51, dtype=torch.uint8)
    seen = Model(Raw(lambda x: x), recipe)(grey)
    assert seen.shape == (1, 3, 2, 2)
    assert torch.allclose(seen, torch.tensor(0.2))


def test_a_checkpoint_brings_back_weights_and_recipe(tmp_path):
    model = build(TINY).eval()
    save(model, tmp_path / "a.safetensors", threshold=0.35)
    again = load(tmp_path / "a.safetensors")
    x = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    with torch.inference_mode():
        assert torch.equal(model(x), again(x))
    assert again.recipe == replace(TINY, threshold=0.35)
    assert not again.training


def test_tuples_of_the_recipe_survive_the_checkpoint(tmp_path):
    recipe = replace(TINY, classes=2, threshold=(0.3, 0.6))
    save(build(recipe), tmp_path / "a.safetensors")
    assert load(tmp_path / "a.safetensors").recipe == recipe
    assert recipe.thresholds == (0.3, 0.6)
    assert replace(recipe, threshold=0.4).thresholds == (0.4, 0.4)


def test_folds_are_separate_models(tmp_path):
    for fold in range(2):
        torch.manual_seed(fold)
        save(build(TINY), tmp_path / f"{fold}.safetensors")
    one, two = (load(tmp_path / f"{fold}.safetensors") for fold in range(2))
    assert {p.data_ptr() for p in one.parameters()}.isdisjoint(
        p.data_ptr() for p in two.parameters()
    )
    assert not torch.equal(one.net.head.weight, two.net.head.weight)


def test_loading_never_asks_for_pretrained_weights(tmp_path):
    recipe = Recipe("smp.Unet", {"encoder_name": "resnet18", "encoder_weights": None})
    model = Model(
        build(recipe).net,
        replace(recipe, options={**recipe.options, "encoder_weights": "imagenet"}),
    )
    save(model, tmp_path / "a.safetensors")
    assert load(tmp_path / "a.safetensors").recipe.options == {"encoder_name": "resnet18"}


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (
            Recipe("resnet"),
            'architecture=\'resnet\' must be "unet", "fcn_resnet50" or "smp.<class>"; for a network of '
            "your own give make=, a function of the recipe that makes it",
        ),
        (
            Recipe("unet", {"widht": 3}),
            "architecture 'unet' cannot be built: "
            "UNet.__init__() got an unexpected keyword argument 'widht'",
        ),
        (
            Recipe("smp.Unet", {"encoder_weight": "imagenet"}),
            "architecture 'smp.Unet' cannot be built: "
            "no option 'encoder_weight': did you mean 'encoder_weights'?",
        ),
        (
            Recipe("smp.FPN", {"deep_supervison": True}),
            "architecture 'smp.FPN' cannot be built: "
            "no option 'deep_supervison': did you mean 'deep_supervision'?",
        ),
        (
            Recipe("fcn_resnet50", {"xyz": True}),
            "architecture 'fcn_resnet50' cannot be built: "
            "no option 'xyz': there are aux_loss, num_classes, progress, weights, weights_backbone",
        ),
        (
            Recipe("fcn_resnet50", in_channels=1, mean=(0.5,), std=(0.5,)),
            "fcn_resnet50 takes 3 channels, not in_channels=1",
        ),
    ],
)
def test_build_refuses(recipe, message):
    with pytest.raises(ValueError) as raised:
        build(recipe)
    assert str(raised.value).startswith(message)  # Python 3.13 adds what may have been meant


def test_build_refuses_what_smp_does_not_have():
    with pytest.raises(ValueError, match="has no `Unat`$"):
        build(Recipe("smp.Unat"))
    with pytest.raises(ValueError, match="has no `losses`$"):
        build(Recipe("smp.losses"))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "mean",
            (0.1, 0.2),
            "mean=(0.1, 0.2) must hold one number, or one for each of the 3 channels",
        ),
        ("std", (1.0, 0.0, 1.0), "std=(1.0, 0.0, 1.0) must be above 0, and finite"),
        ("std", float("nan"), "std=(nan,) must be above 0, and finite"),
        ("mean", float("inf"), "mean=(inf,) must be finite"),
        ("max_value", 0, "max_value=0 must be above 0, and finite"),
        ("window", 40, "window=40 must be a multiple of the network's stride, 32"),
        ("threshold", 2, "threshold=2 must be in [0, 1], as probabilities are"),
        ("threshold", float("nan"), "threshold=nan must be in [0, 1], as probabilities are"),
        ("threshold", "0.5", "threshold=0.5 must be in [0, 1], as probabilities are"),
        ("architecture", None, "architecture=None must be a name"),
        ("scale", 2.0, "scale=2.0 must be a whole number of at least 1"),
        ("window", 0, "window=0 must be a whole number of at least 1"),
        (
            "threshold",
            [0.5, 0.4],
            "threshold=(0.5, 0.4) must be one number, or one for each of 1 planes",
        ),
    ],
)
def test_recipe_refuses(field, value, message):
    with pytest.raises(ValueError) as raised:
        Recipe(**{field: value})
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("field", "given", "kept"),
    [
        ("mean", np.array([0.25, 0.5, 0.75], np.float32), (0.25, 0.5, 0.75)),
        ("mean", [0.25, 0.5, 0.75], (0.25, 0.5, 0.75)),
        ("std", 0.5, (0.5,)),
        ("std", torch.tensor(0.5), (0.5,)),
        ("threshold", np.array([0.25, 0.5]), (0.25, 0.5)),
        ("threshold", np.float32(0.25), 0.25),
        ("class_names", ["kidney", "lung"], ("kidney", "lung")),
        ("window", np.int64(96), 96),
        ("mean", tuple(np.array([0.25, 0.5, 0.75], np.float32)), (0.25, 0.5, 0.75)),
        ("max_value", np.float32(4095), 4095),
        (
            "options",
            {"width": np.int64(4), "a": {"b": (np.float32(1), np.array([2]))}},
            {"width": 4, "a": {"b": [1.0, [2]]}},
        ),
    ],
)
def test_a_recipe_of_arrays_is_the_one_that_is_loaded(field, given, kept):
    recipe = Recipe(classes=2, **{field: given})
    assert getattr(recipe, field) == kept
    assert Recipe.from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize("name", ["treshold", "classes", "options"])
def test_changes_that_make_another_network(tmp_path, name):
    model = build(Recipe("unet", {"width": 2, "depth": 2}, window=64, stride=4))
    with pytest.raises(ValueError) as raised:
        save(model, tmp_path / "a.safetensors", **{name: 3})
    assert str(raised.value) == (
        f"{name}: cannot be changed; a checkpoint's recipe may get another class_names, cuts, "
        "max_value, mean, scale, softmax, std, stride, threshold, window"
    )
    assert not list(tmp_path.iterdir())


def test_missing_checkpoint(tmp_path):
    path = tmp_path / "no.safetensors"
    with pytest.raises(CheckpointError) as raised:
        load(path)
    assert str(raised.value) == f"no checkpoint at `{path}`\nhint: is its dataset attached?"


@pytest.mark.parametrize("content", [b"", b"not a checkpoint at all"])
def test_a_file_that_is_no_checkpoint(tmp_path, content):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is not a readable safetensors file"):
        load(path)


def test_a_checkpoint_without_recipe(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"w": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError) as raised:
        load(path)
    assert str(raised.value) == (
        f"`{path}` carries no recipe\nhint: write checkpoints with kagglekit.models.save, or read it with load_foreign"
    )


def test_weights_that_do_not_fit_are_all_listed(tmp_path):
    path = tmp_path / "a.safetensors"
    weights = build(TINY).net.state_dict()
    del weights["head.bias"]
    weights["extra"] = torch.zeros(1)
    weights["head.weight"] = torch.zeros(1, 1, 1, 1)
    save_file(weights, path, metadata={"kagglekit": TINY.to_json()})
    with pytest.raises(CheckpointError) as raised:
        load(path)
    assert str(raised.value) == (
        f"`{path}` does not fit its network\n"
        "  - head.weight: (1, 1, 1, 1) in the file, (1, 2, 1, 1) in the network\n"
        "  - missing: head.bias\n"
        "  - not in the network: extra"
    )


def test_a_recipe_of_a_later_version_is_refused_by_name(tmp_path):
    path = tmp_path / "a.safetensors"
    recipe = json.loads(TINY.to_json()) | {"colour_space": "lab"}
    save_file({"w": torch.zeros(1)}, path, metadata={"kagglekit": json.dumps(recipe)})
    with pytest.raises(CheckpointError, match="its recipe cannot be built.*colour_space"):
        load(path)


def _save_for_ever(path):
    model = build(Recipe("unet", {"width": 16}))
    while True:
        save(model, path)


@pytest.mark.slow
def test_a_kill_while_saving_leaves_a_whole_checkpoint(tmp_path):
    path = tmp_path / "a.safetensors"
    save(build(Recipe("unet", {"width": 16})), path)
    for pause in (0.03, 0.11, 0.17):
        child = multiprocessing.get_context("spawn").Process(target=_save_for_ever, args=(path,))
        child.start()
        before = path.stat().st_mtime_ns
        deadline = time.monotonic() + 300
        while path.stat().st_mtime_ns == before and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(pause)
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        assert path.stat().st_mtime_ns > before  # it was saving, again and again
        load(path)


def test_saving_leaves_nothing_beside(tmp_path):
    save(build(TINY), tmp_path / "a.safetensors")
    assert [p.name for p in Path(tmp_path).iterdir()] == ["a.safetensors"]


@pytest.mark.parametrize("means", [1, 3])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_normalising_is_the_formula_however_pixels_lie(means, dtype):
    class Same(torch.nn.Module):
        def forward(self, x):
            return x

    mean, std = (0.2, 0.5, 0.7)[:means], (0.1, 0.3, 0.5)[:means]
    model = Model(Same(), Recipe(mean=mean, std=std, max_value=200.0))
    images = torch.randint(0, 200, (2, 3, 5, 7)).to(dtype)
    before = images.clone()
    per_channel = [torch.tensor(values).reshape(1, -1, 1, 1) for values in (mean, std)]
    expected = (images.float() / 200 - per_channel[0]) / per_channel[1]
    torch.testing.assert_close(model(images), expected)
    torch.testing.assert_close(
        model(images.contiguous(memory_format=torch.channels_last)), expected
    )
    assert torch.equal(images, before)  # the caller's pixels are not touched


@pytest.mark.parametrize(
    ("dtype", "max_value", "is_told"),
    [("uint8", 255, False), ("uint8", 1, False), ("uint8", 4095, True), ("uint16", 255, True),
     ("uint16", 65535, False), ("uint16", 1, False), ("float32", 255, False)],
)  # fmt: skip
def test_a_largest_value_that_is_hardly_meant(dtype, max_value, is_told):
    told = Recipe(max_value=max_value).mismatch(np.dtype(dtype))
    largest = np.iinfo(dtype).max if is_told else 0
    text = f"pixels are {dtype}, which go up to {largest}, and the recipe has max_value={max_value}"
    assert told == (text if is_told else "")
