"""What holds for all losses."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kagglekit import losses
from kagglekit.losses import (
    auxiliary_loss,
    bce_dice_loss,
    bce_loss,
    boundary_loss,
    focal_loss,
    lovasz_loss,
    soft_dice_loss,
    tversky_loss,
)
from tests.make_believe import a_gpu

SHAPE = (2, 3, 4, 5)
BOUNDED = {
    "dice": soft_dice_loss,
    "dice per batch": lambda x, t: soft_dice_loss(x, t, per="batch"),
    "dice skipping": lambda x, t: soft_dice_loss(x, t, empty="skip"),
    "tversky": tversky_loss,
    "boundary": boundary_loss,
}
ALL = BOUNDED | {
    "bce": bce_loss,
    "bce and dice": bce_dice_loss,
    "focal": focal_loss,
    "focal, gamma 0.5": lambda x, t: focal_loss(x, t, 0.5, 0.25),
    "lovasz": lovasz_loss,
    "lovasz per batch": lambda x, t: lovasz_loss(x, t, per="batch"),
    "lovasz, symmetric": lambda x, t: lovasz_loss(x, t, symmetric=True),
    "auxiliary": lambda x, t: auxiliary_loss(bce_dice_loss, x, [x[..., 1::2, 1::2]], t),
}
every = pytest.mark.parametrize("loss", ALL.values(), ids=ALL)


def some(seed, scale=3.0, share=0.4):
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(SHAPE, generator=generator, dtype=torch.float64)
    target = (torch.rand(SHAPE, generator=generator) < share).double()
    return logits, target


def target_of(kind):
    return {"some": some(7)[1].float(), "empty": torch.zeros(SHAPE), "full": torch.ones(SHAPE)}[
        kind
    ]


@every
@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_slopes_agree_with_finite_differences(loss, share):
    logits, target = some(2, share=share)
    assert torch.autograd.gradcheck(lambda x: loss(x, target), logits.requires_grad_())


@every
@pytest.mark.parametrize("kind", ["some", "empty", "full"])
@pytest.mark.parametrize("size", [40.0, 60000.0])
def test_a_perfect_prediction_costs_nothing(loss, kind, size):
    target = target_of(kind)
    assert loss(size * (2 * target - 1), target).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("loss", BOUNDED.values(), ids=BOUNDED)
@given(seed=st.integers(0, 10**6), scale=st.floats(0, 1e30), share=st.sampled_from([0, 0.1, 1]))
def test_losses_of_overlap_stay_between_0_and_1(loss, seed, scale, share):
    logits, target = (values.float() for values in some(seed, scale, share))
    assert 0 <= loss(logits, target).item() <= 1


@every
@pytest.mark.parametrize("kind", ["some", "empty", "full"])
@pytest.mark.parametrize(
    ("dtype", "most"),
    [(torch.float16, 65504.0), (torch.bfloat16, 1e30), (torch.float32, 1e30)],
    ids=["float16", "bfloat16", "float32"],
)
def test_extreme_logits_give_numbers_and_slopes_that_are_numbers(loss, kind, dtype, most):
    values = torch.tensor([most, -most, 0.0, 30.0, -30.0, 1e-3])
    logits = values.repeat(20).reshape(SHAPE).to(dtype).requires_grad_()
    value = loss(logits, target_of(kind))
    value.backward()
    assert value.dtype == torch.float32
    assert math.isfinite(value.item())
    assert value.item() >= 0
    assert logits.grad.dtype == dtype
    assert logits.grad.isfinite().all()


@every
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_under_autocast_nothing_is_lost(loss, dtype):
    logits, target = some(3)
    logits = logits.to(dtype)
    with torch.autocast("cpu", dtype):
        value = loss(logits, target.to(dtype))
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(loss(logits.double(), target).item(), rel=1e-5)


@every
def test_is_computed_where_the_logits_lie(loss, monkeypatch):
    logits, target = some(3)
    with torch.inference_mode(), a_gpu(monkeypatch):
        value = loss(logits.to("cuda"), target.to("cuda"))
        assert value.device.type == "cuda"
        assert value.item() == pytest.approx(loss(logits, target).item())


def test_counts_beyond_what_half_precision_can_hold():
    target = torch.ones(1, 1, 512, 512, dtype=torch.float16)
    half_found = target.clone()
    half_found[..., :256] = -1
    assert soft_dice_loss(60 * half_found, target).item() == pytest.approx(1 / 3, abs=1e-3)


def test_cost_of_an_empty_tile_does_not_depend_on_its_size():
    # p = 0.001 everywhere: the HuBMAP tutorial's smooth=1 gives 0.99 at 256 pixels and 0.5 at 32.
    logit = math.log(0.001 / 0.999)
    costs = [
        soft_dice_loss(torch.full((1, 1, s, s), logit), torch.zeros(1, 1, s, s)).item()
        for s in (32, 256)
    ]
    assert costs == pytest.approx([0.5, 0.5], abs=1e-4)


def test_dice_is_averaged_over_samples_not_pooled_over_the_batch():
    logits = torch.full((2, 1, 10, 10), -60.0)
    logits[0, 0, :, :5] = 60.0
    target = (logits > 0).float()
    logits[1, 0, 0, 0] = 60.0  # one false pixel on the empty sample
    pooled = 1 - (2 * 50 + 0.2) / (51 + 50 + 0.2)
    per_sample = (0 + (1 - 0.1 / 1.1)) / 2
    assert soft_dice_loss(logits, target).item() == pytest.approx(per_sample, abs=1e-5)
    assert soft_dice_loss(logits, target, per="batch").item() == pytest.approx(pooled, abs=1e-5)


def test_all_public_losses_are_tested_here():
    assert set(losses.__all__) == {
        "auxiliary_loss", "bce_dice_loss", "bce_loss", "boundary_loss", "focal_loss",
        "lovasz_loss", "soft_dice_loss", "tversky_loss",
    }  # fmt: skip


ZEROS = torch.zeros(SHAPE)


@every
@pytest.mark.parametrize("value", [-0.1, 1.1, 255])
def test_targets_that_are_no_masks_are_refused(loss, value):
    target = torch.zeros(SHAPE, dtype=torch.uint8 if value == 255 else torch.float32)
    target[1, 2, 3, 4] = value
    with pytest.raises(ValueError, match=r"^target is in .*, expected \[0, 1\]"):
        loss(ZEROS, target)


@every
def test_masks_that_were_resized_are_no_mistake(loss):
    loss(ZEROS, torch.full(SHAPE, 1 + 2.4e-7))


@every
def test_shapes_that_differ_are_refused(loss):
    with pytest.raises(ValueError) as raised:
        loss(ZEROS, torch.zeros(2, 1, 4, 5))
    assert str(raised.value) == (
        "logits (2, 3, 4, 5) and target (2, 1, 4, 5) must both be (N, K, H, W) with equal sizes"
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: soft_dice_loss(torch.zeros(1, 1, 2, 2), torch.zeros(1, 2, 2)),
            "logits (1, 1, 2, 2) and target (1, 2, 2) must both be (N, K, H, W) with equal sizes",
        ),
        (
            lambda: soft_dice_loss(ZEROS, ZEROS + 255),
            "target is in [255, 255], expected [0, 1]: a mask of 0 and 255 is to be divided by 255, a "
            "map of class numbers to be made one plane per class",
        ),
        (
            lambda: soft_dice_loss(ZEROS, ZEROS, smooth=0),
            "smooth=0 must be above 0: an empty tile would divide 0 by 0",
        ),
        (
            lambda: boundary_loss(ZEROS, ZEROS, smooth=-1),
            "smooth=-1 must be above 0: an empty tile would divide 0 by 0",
        ),
        (
            lambda: soft_dice_loss(ZEROS, ZEROS, per="image"),
            'per=\'image\' must be "sample" or "batch"',
        ),
        (
            lambda: lovasz_loss(ZEROS, ZEROS, per="image"),
            'per=\'image\' must be "sample" or "batch"',
        ),
        (
            lambda: tversky_loss(ZEROS, ZEROS, empty="drop"),
            'empty=\'drop\' must be "count" or "skip"',
        ),
        (
            lambda: tversky_loss(ZEROS, ZEROS, alpha=-1),
            "alpha=-1 and beta=0.7 must not be below 0",
        ),
        (lambda: focal_loss(ZEROS, ZEROS, gamma=-1), "gamma=-1 must not be below 0"),
        (lambda: focal_loss(ZEROS, ZEROS, alpha=2), "alpha=2 must be in [0, 1]"),
        (lambda: bce_dice_loss(ZEROS, ZEROS, bce_weight=1.5), "bce_weight=1.5 must be in [0, 1]"),
        (
            lambda: auxiliary_loss(bce_loss, ZEROS, [], ZEROS, weight=-1),
            "weight=-1 must not be below 0",
        ),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ValueError) as raised:
        call()
    assert str(raised.value) == message
