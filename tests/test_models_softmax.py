"""Networks of classes that exclude each other."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from kagglekit.inference import predict_masks, predict_prob
from kagglekit.models import Model, Recipe, load, load_foreign, save
from kagglekit.models._softmax import one_against_rest
from kagglekit.rle import RLE
from kagglekit.slides import open_slide

THREE = Recipe("mine", classes=3, softmax=True, window=64, stride=32, mean=0.5, std=0.2)


@given(
    planes=st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=7),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
)
def test_their_sigmoids_are_the_softmax(planes, dtype):
    logits = torch.tensor(planes, dtype=dtype).reshape(1, -1, 1, 1)
    found = one_against_rest(logits)
    wide = logits.to(torch.promote_types(dtype, torch.float32))
    assert found.dtype == wide.dtype
    torch.testing.assert_close(found.sigmoid(), wide.softmax(1))
    torch.testing.assert_close(F.logsigmoid(found), wide.log_softmax(1))


def test_a_plane_that_is_certain_stays_a_number():
    logits = torch.tensor([[1e4, 0.0, -1e4]])
    (found,) = one_against_rest(logits)
    assert found.tolist() == pytest.approx([87.336545, -1e4, -2e4])
    assert torch.autograd.functional.jacobian(one_against_rest, logits).isfinite().all()


def test_cross_entropy_can_be_had_of_them():
    torch.manual_seed(0)
    logits = torch.randn(2, 4, 5, 7, requires_grad=True)
    labels = torch.randint(0, 4, (2, 5, 7))
    expected = F.cross_entropy(logits, labels)
    found = F.nll_loss(F.logsigmoid(one_against_rest(logits)), labels)
    torch.testing.assert_close(found, expected)
    (slope,) = torch.autograd.grad(expected, logits)
    torch.testing.assert_close(torch.autograd.grad(found, logits)[0], slope)


class Three(nn.Module):
    """Maps at two sizes, and of the whole image."""

    def __init__(self):
        super().__init__()
        self.head = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        logits = self.head(x)
        return {"out": logits, "deep": logits[..., ::2, ::2], "image": logits.mean((2, 3))}


def made(recipe):
    torch.manual_seed(3)
    return Three().eval()


def test_a_model_answers_logits_of_each_plane_also_in_its_auxiliary_maps():
    net, images = made(THREE), torch.rand(2, 3, 32, 64)
    raw, plain = (
        Model(net, Recipe("mine", classes=3, softmax=softmax, max_value=1))(images, auxiliary=True)
        for softmax in (False, True)
    )
    assert torch.equal(plain.logits, one_against_rest(raw.logits))
    deep, image = plain.auxiliary
    assert torch.equal(deep, one_against_rest(raw.auxiliary[0]))
    assert torch.equal(image, raw.auxiliary[1])


@pytest.fixture
def slide(tmp_path):
    rng = np.random.default_rng(5)
    np.save(tmp_path / "image.npy", rng.integers(0, 256, (131, 203, 3), np.uint8))
    with open_slide(tmp_path / "image.npy") as slide:
        yield slide


def test_masks_are_those_of_argmax(tmp_path, slide):
    model = Model(made(THREE), THREE).eval()
    pixels = torch.from_numpy(np.load(tmp_path / "image.npy").transpose(2, 0, 1).copy())[None]
    raw = model.net((pixels / 255 - 0.5) / 0.2)["out"][0]
    prob = predict_prob(model, slide, tmp_path / "prob.npy", progress=False)
    np.testing.assert_allclose(prob, raw.softmax(0).detach(), atol=3e-4)  # of 16 bits
    masks = predict_masks(
        model, slide, planes=(1, 2), exclusive=True, threshold=0, tta="d4", progress=False
    )
    labels = raw.argmax(0).numpy()
    assert {*np.unique(labels)} == {0, 1, 2}
    for place, mask in enumerate(masks, 1):
        assert mask == RLE.from_mask(labels == place)


def test_checkpoints_keep_it_and_those_before_it_are_read(tmp_path):
    save(Model(made(THREE), THREE), tmp_path / "ours.safetensors")
    assert load(tmp_path / "ours.safetensors", made).recipe.softmax
    values = json.loads(Recipe("mine", classes=3).to_json())
    del values["softmax"]
    assert Recipe.from_json(json.dumps(values)) == Recipe("mine", classes=3)


@pytest.mark.filterwarnings("ignore:torch .* can be tricked")
def test_a_file_of_others_is_read_by_its_own_names(tmp_path):
    torch.save(made(THREE).state_dict(), tmp_path / "theirs.pth")
    model = load_foreign(tmp_path / "theirs.pth", THREE, make=lambda recipe: Three())
    images = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    torch.testing.assert_close(model(images), Model(made(THREE), THREE)(images))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"softmax": 1, "classes": 2}, "softmax=1 must be True or False"),
        (
            {"softmax": True},
            "softmax=True needs at least 2 classes, background among them: the softmax of a single "
            "plane is 1 everywhere",
        ),
    ],
)
def test_what_cannot_be_is_refused(values, message):
    with pytest.raises(ValueError) as raised:
        Recipe(**values)
    assert str(raised.value) == message
