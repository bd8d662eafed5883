"""Names of weights, what fits, what was damaged."""

import copy
from collections import OrderedDict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim.swa_utils import AveragedModel

from kagglekit.errors import CheckpointError
from kagglekit.models import Model, Recipe, build, load, save
from kagglekit.models._state import digest, first_names, load_strictly, without_prefixes

TINY = Recipe("unet", {"width": 2, "depth": 2}, window=64, stride=4)
NAMES = st.text("module_.orig", min_size=1, max_size=8)


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(OrderedDict(module=nn.Linear(2, 3), lodem=nn.BatchNorm1d(3)))


@given(
    st.lists(NAMES, min_size=2, max_size=5, unique=True),
    st.lists(st.sampled_from(["module.", "_orig_mod."]), max_size=3),
)
def test_whatever_wrappers_put_before_all_names_goes(names, wrappers):
    wanted = dict.fromkeys(names)
    stored = {"".join(wrappers) + name: None for name in names}
    assert without_prefixes(stored, wanted).keys() == (wanted if wrappers else stored).keys()


def test_letters_of_a_prefix_are_not_a_prefix():
    # str.lstrip("module.") turns "module.model.0" into "0".
    assert set(without_prefixes({"module.model.0": None, "module.led": None})) == {"model.0", "led"}


def test_the_attribute_of_a_class_goes_only_if_nothing_else_differs(tmp_path):
    net = nn.Linear(2, 3)
    weights = net.state_dict()
    kept = {f"model.{key}": value + 1 for key, value in weights.items()}
    load_strictly(net, kept, tmp_path)
    assert torch.equal(net.weight, kept["model.weight"])
    with pytest.raises(CheckpointError, match=r"not in the network: loss\.weight"):
        load_strictly(net, kept | {"loss.weight": torch.ones(1)}, tmp_path)


def test_a_prefix_that_not_all_have_stays():
    mixed = {"module.a": None, "b": None}
    assert without_prefixes(mixed, {"a": None, "b": None}) == mixed


def test_a_layer_that_is_really_called_module_stays():
    inner = nn.Sequential(OrderedDict(module=nn.Linear(2, 3)))
    wrapped = {f"_orig_mod.module.{key}": value for key, value in inner.state_dict().items()}
    assert without_prefixes(wrapped, inner.state_dict()).keys() == inner.state_dict().keys()


def compiled(network):
    """Wrapped as by `torch.compile`; the default backend's import warns, of its own code."""
    return torch.compile(network, backend="eager")


@pytest.mark.parametrize(
    "wrap",
    [nn.DataParallel, compiled, AveragedModel, lambda n: nn.DataParallel(compiled(n))],
    ids=["data parallel", "compiled", "averaged", "both"],
)
def test_weights_of_a_wrapped_network_fit_the_bare_one(wrap, tmp_path):
    bare, other = net(0), net(1)
    load_strictly(bare, wrap(other).state_dict(), tmp_path)
    assert digest(bare.state_dict()) == digest(other.state_dict())


def test_a_compiled_network_is_saved_as_the_bare_one(tmp_path):
    model = build(TINY)
    save(Model(compiled(model.net), TINY), tmp_path / "a.safetensors")
    assert digest(load(tmp_path / "a.safetensors").net.state_dict()) == digest(
        model.net.state_dict()
    )


def test_everything_that_does_not_fit_is_listed(tmp_path):
    weights = net().state_dict()
    del weights["lodem.bias"], weights["lodem.weight"]
    weights |= {"more": torch.zeros(1), "module.weight": torch.zeros(3, 4)}
    weights["module.bias"] = torch.zeros(3).to_sparse()
    with pytest.raises(CheckpointError) as raised:
        load_strictly(net(), weights, tmp_path)
    assert raised.value.problems == (
        "module.bias: (3,) sparse in the file, (3,) in the network",
        "module.weight: (3, 4) in the file, (3, 2) in the network",
        "missing: lodem.bias",
        "missing: lodem.weight",
        "not in the network: more",
    )


def test_a_wrong_network_is_said_in_a_page(tmp_path):
    big = build(Recipe("unet", {"width": 2}))
    with pytest.raises(CheckpointError) as raised:
        load_strictly(big.net, {"a": torch.zeros(1)}, tmp_path)
    count = len(big.net.state_dict())
    assert len(raised.value.problems) == 22
    assert raised.value.problems[20] == f"missing: {count - 20} more"


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = self.first


def test_weights_that_layers_share_are_stored_once_and_come_back(tmp_path):
    tied, again = Tied(), Tied()
    assert first_names(tied.state_dict()) == {
        "first.weight": "first.weight", "second.weight": "first.weight",
        "first.bias": "first.bias", "second.bias": "first.bias",
    }  # fmt: skip
    once = {key: value for key, value in tied.state_dict().items() if key.startswith("first")}
    load_strictly(again, once, tmp_path)
    assert torch.equal(again.second.weight, tied.first.weight)


def test_a_network_that_shares_weights_survives_its_checkpoint(tmp_path):
    model = build(Recipe("smp.FPN", {"encoder_name": "tu-coat_lite_tiny"}))
    save(model, tmp_path / "a.safetensors")
    again = load(tmp_path / "a.safetensors")
    assert digest(again.net.state_dict()) == digest(model.net.state_dict())


def test_the_digest_hears_of_every_change():
    def changed(change):
        weights = copy.deepcopy(dict(net().state_dict()))
        change(weights)
        return digest(weights)

    weight = net().state_dict()["module.weight"]
    found = [
        changed(lambda w: None),
        changed(lambda w: w["module.weight"][1, 1].add_(1e-7)),
        changed(lambda w: w.update({"module.weight": weight.reshape(2, 3)})),
        changed(lambda w: w.update({"module.weight": weight.view(torch.int32)})),
        changed(lambda w: w.update(renamed=w.pop("module.weight"))),
        changed(lambda w: w.pop("lodem.num_batches_tracked")),
    ]
    assert len(set(found)) == len(found)
    assert digest(dict(reversed(net().state_dict().items()))) == found[0]


def test_a_flipped_bit_anywhere_is_noticed(tmp_path):
    path = tmp_path / "a.safetensors"
    save(build(TINY), path)
    good = path.read_bytes()
    for place in range(8, len(good), len(good) // 200):
        bad = bytearray(good)
        bad[place] ^= 1
        path.write_bytes(bad)
        with pytest.raises(CheckpointError):
            load(path)
    for cut in range(0, len(good), len(good) // 20):
        path.write_bytes(good[:cut])
        with pytest.raises(CheckpointError):
            load(path)


def test_damage_is_called_damage(tmp_path):
    path = tmp_path / "a.safetensors"
    save(build(TINY), path)
    content = bytearray(path.read_bytes())
    content[-3] ^= 64
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as raised:
        load(path)
    assert str(raised.value) == (
        f"`{path}` is damaged: it does not hold what was saved\nhint: copy it once more"
    )
