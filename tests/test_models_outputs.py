import pytest
import torch
from torch import nn

from kagglekit.models import Model, Outputs, Recipe
from kagglekit.models._outputs import unified

A, B, C = torch.zeros(1), torch.ones(1), torch.full((1,), 2.0)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (A, Outputs(A)),
        ({"out": A}, Outputs(A)),
        ({"aux": B, "out": A}, Outputs(A, (B,))),
        ((A, B, C), Outputs(A, (B, C))),
        ([A, [B, C]], Outputs(A, (B, C))),
        ((A, {"deep": [B], "image": C}), Outputs(A, (B, C))),
        ((A, None), Outputs(A)),
        (Outputs(A, (B,)), Outputs(A, (B,))),
    ],
    ids=["tensor", "dict", "dict with more", "tuple", "nested", "mixed", "left out", "ours"],
)
def test_all_forms_become_one(output, expected):
    found = unified(output)
    assert found.logits is expected.logits
    assert [id(a) for a in found.auxiliary] == [id(a) for a in expected.auxiliary]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("mask", "the network returned str; expected a tensor"),
        ((), "the network returned tuple; expected a tensor"),
        ((A, "mask"), "the network returned str; expected a tensor"),
        ((None, A), "the network returned NoneType; expected a tensor"),
        (
            {"logits": A, "loss": B},
            "the network returned a dict with ['logits', 'loss']; expected \"out\" in it",
        ),
    ],
)
def test_what_holds_no_tensor_is_named(output, message):
    with pytest.raises(TypeError) as raised:
        unified(output)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("end", "more"),
    [
        (nn.Sigmoid(), ""),
        (nn.Softmax(1), ", and Recipe(softmax=True)"),
        (nn.LogSoftmax(1), ", and Recipe(softmax=True)"),
    ],
)
def test_a_network_that_ends_in_probabilities_is_told_of(end, more):
    with pytest.warns(UserWarning, match="last layer") as warned:
        Model(nn.Sequential(nn.Conv2d(3, 1, 1), end), Recipe())
    assert [str(one.message) for one in warned] == [
        f"the network's last layer is a {type(end).__name__}: if its answer comes from there, "
        f"leave it out; logits are expected{more}"
    ]
    Model(nn.Sequential(nn.Conv2d(3, 1, 1), end, nn.Conv2d(1, 1, 1)), Recipe())
    Model(nn.Conv2d(3, 1, 1), Recipe())
