"""A stranger's file: numbers come out of it, or a message; nothing of it runs."""

import argparse
import ast
import contextlib
import os
import random
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import kagglekit
from kagglekit.errors import CheckpointError
from kagglekit.models import Recipe, build, load_foreign
from kagglekit.models._state import digest

# What torch before 2.10 is warned of, in each test.
pytestmark = pytest.mark.filterwarnings("ignore:torch .* can be tricked")

TINY = Recipe("unet", {"width": 2, "depth": 2}, window=64, stride=4)


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(5)
    return build(TINY).net.state_dict()


def wrapped(weights):
    return {f"module.{key}": value for key, value in weights.items()}


@pytest.mark.parametrize(
    "content",
    [
        lambda w: w,
        wrapped,
        lambda w: {"state_dict": {f"model.{k}": v for k, v in w.items()}, "epoch": 3},
        lambda w: {"epoch": 3, "best": 0.9, "model": wrapped(w), "optimizer": {"state": {}}},
        lambda w: {k: v.half() for k, v in w.items()},
    ],
    ids=["bare", "of a wrapper", "of a class", "beside other things", "in half precision"],
)
@pytest.mark.parametrize("as_zip", [True, False])
def test_state_dicts_as_people_write_them(tmp_path, weights, content, as_zip):
    path = tmp_path / "best.pth"
    torch.save(content(weights), path, _use_new_zipfile_serialization=as_zip)
    model = load_foreign(path, TINY)
    for key, value in model.net.state_dict().items():
        torch.testing.assert_close(value, weights[key], rtol=1e-3, atol=1e-4)
    assert model.recipe == TINY
    assert not model.training


def test_a_bare_safetensors_file(tmp_path, weights):
    save_file(weights, tmp_path / "best.safetensors")
    model = load_foreign(tmp_path / "best.safetensors", TINY)
    assert digest(model.net.state_dict()) == digest(weights)


def test_of_several_sets_one_has_to_be_named(tmp_path, weights):
    path = tmp_path / "best.pth"
    zeros = {key: torch.zeros_like(value) for key, value in weights.items()}
    torch.save({"model": zeros, "ema": weights, "step": 7, "lr": [1.0]}, path)
    assert digest(load_foreign(path, TINY, "ema").net.state_dict()) == digest(weights)
    count = len(weights)
    found = f"  - model: weights ({count})\n  - ema: weights ({count})\n  - step: int\n  - lr: list (1)\n"
    with pytest.raises(CheckpointError) as raised:
        load_foreign(path, TINY)
    assert str(raised.value) == (
        f"`{path}` holds a dict; expected one set of weights in it\n{found}"
        "hint: say which: key='model' or 'ema'"
    )
    with pytest.raises(CheckpointError) as raised:
        load_foreign(path, TINY, "swa")
    assert str(raised.value) == (
        f"`{path}` holds a dict; expected weights under key='swa' in it\n{found}"
        "hint: say which: key='model' or 'ema'"
    )


def test_a_single_tensor_is_no_set_of_weights(tmp_path):
    path = tmp_path / "best.pth"
    torch.save(torch.zeros(3), path)
    with pytest.raises(CheckpointError) as raised:
        load_foreign(path, TINY)
    assert str(raised.value) == f"`{path}` holds a Tensor; expected one set of weights in it"


class Payload:
    def __init__(self, call, *args):
        self.what = (call, args)

    def __reduce__(self):
        return self.what


@pytest.mark.parametrize("as_zip", [True, False])
@pytest.mark.parametrize("place", ["alone", "in a dict", "nested", "as a key", "beside weights"])
def test_nothing_of_a_file_runs(tmp_path, weights, place, as_zip):
    path, proof = tmp_path / "best.pth", tmp_path / "proof"
    evil = Payload(os.mkdir, str(proof))
    content = {
        "alone": evil,
        "in a dict": {"model": evil},
        "nested": {"model": {"a": [({"b": evil},)]}},
        "as a key": {evil: torch.zeros(1)},
        "beside weights": weights | {"hook": evil},
    }[place]
    torch.save(content, path, _use_new_zipfile_serialization=as_zip)
    with pytest.raises(CheckpointError):
        load_foreign(path, TINY)
    assert not proof.exists()


def test_what_a_file_wanted_is_named(tmp_path, weights):
    path = tmp_path / "best.pth"
    torch.save(
        {"model": weights, "args": argparse.Namespace(lr=1), "run": Payload(os.getcwd)}, path
    )
    with pytest.raises(CheckpointError) as raised:
        load_foreign(path, TINY)
    assert str(raised.value) == (
        f"`{path}` holds more than weights; loading it would run code that it names\n"
        "  - argparse.Namespace\n"
        "  - posix.getcwd\n"
        "hint: if you trust it, load it where it was made and save model.state_dict() only"
    )


def test_a_whole_pickled_model_is_refused_by_the_names_of_its_classes(tmp_path):
    path = tmp_path / "best.pth"
    torch.save(build(TINY).net, path)
    with pytest.raises(CheckpointError) as raised:
        load_foreign(path, TINY)
    assert "kagglekit.models._unet.UNet" in raised.value.problems


def test_numbers_of_numpy_are_more_than_weights(tmp_path, weights):
    path = tmp_path / "best.pth"
    torch.save({"model": weights, "best": np.float64(0.9)}, path)
    with pytest.raises(CheckpointError, match="holds more than weights"):
        load_foreign(path, TINY)


def test_a_torchscript_program_is_named(tmp_path):
    path = tmp_path / "best.pth"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)
    with pytest.raises(CheckpointError) as raised:
        load_foreign(path, TINY)
    assert str(raised.value) == (
        f"`{path}` is a TorchScript program, not a file of weights\n"
        "hint: save model.state_dict() where it was made"
    )


@pytest.mark.parametrize("as_zip", [True, False])
def test_damaged_files_are_errors_that_name_the_file(tmp_path, weights, as_zip):
    path = tmp_path / "best.pth"
    torch.save(weights, path, _use_new_zipfile_serialization=as_zip)
    good = path.read_bytes()
    draw = random.Random(3)
    unnoticed = 0
    for _ in range(150):
        bad = bytearray(good)
        bad[draw.randrange(len(good))] ^= 1 << draw.randrange(8)
        path.write_bytes(bad[: draw.choice([len(bad), draw.randrange(len(bad))])])
        with contextlib.suppress(CheckpointError):  # any other error fails the test
            unnoticed += digest(load_foreign(path, TINY).net.state_dict()) != digest(weights)
    if as_zip:  # the older files have no checksums
        assert unnoticed == 0


@pytest.mark.parametrize("name", ["no.pth", "no.safetensors"])
def test_missing_file(tmp_path, name):
    with pytest.raises(CheckpointError) as raised:
        load_foreign(tmp_path / name, TINY)
    assert str(raised.value) == (
        f"no checkpoint at `{tmp_path / name}`\nhint: is its dataset attached?"
    )


def test_a_torch_that_can_be_tricked_is_warned_of(tmp_path, weights, monkeypatch):
    torch.save(weights, tmp_path / "best.pth")
    monkeypatch.setattr(torch, "__version__", "2.9.1+cu128")
    with pytest.warns(UserWarning, match="can be tricked") as warned:
        load_foreign(tmp_path / "best.pth", TINY)
    assert [str(w.message) for w in warned] == [
        "torch 2.9.1+cu128 can be tricked into running a file's code: load only what you trust, "
        "or use torch 2.10 or later"
    ]


def test_no_line_of_kagglekit_reads_a_pickle_otherwise():
    calls = [
        node
        for path in Path(kagglekit.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith(("torch.load", "pickle.load", "pickle.loads"))
    ]
    assert {ast.unparse(call.func) for call in calls} == {"torch.load"}
    for call in calls:
        assert {k.arg: ast.unparse(k.value) for k in call.keywords}["weights_only"] == "True"
