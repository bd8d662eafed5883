import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from kagglekit.losses import bce_dice_loss, soft_dice_loss

SHAPE = (2, 3, 4, 5)


def dice_by_loops(logits, target, smooth):
    """The definition, pixel by pixel."""
    losses = []
    n, k, h, w = logits.shape
    for i in range(n):
        for j in range(k):
            both = sum_p = sum_t = 0.0
            for y in range(h):
                for x in range(w):
                    p = 1 / (1 + math.exp(-float(logits[i, j, y, x])))
                    t = float(target[i, j, y, x])
                    both, sum_p, sum_t = both + p * t, sum_p + p, sum_t + t
            extra = smooth * h * w
            losses.append(1 - (2 * both + extra) / (sum_p + sum_t + extra))
    return sum(losses) / len(losses)


def some(seed, scale=3.0):
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(SHAPE, generator=generator)
    target = (torch.rand(SHAPE, generator=generator) > 0.6).float()
    return logits, target


@given(st.integers(0, 10**6), st.sampled_from([1e-4, 1e-3, 0.1]))
def test_soft_dice_equals_the_definition(seed, smooth):
    logits, target = some(seed)
    expected = dice_by_loops(logits, target, smooth)
    assert soft_dice_loss(logits, target, smooth).item() == pytest.approx(expected, abs=1e-5)


@given(st.integers(0, 10**6), st.floats(0, 100), st.sampled_from(["as is", "empty", "full"]))
def test_losses_are_never_negative_nor_undefined(seed, scale, kind):
    logits, target = some(seed, scale)
    target = {"as is": target, "empty": 0 * target, "full": 0 * target + 1}[kind]
    assert 0 <= soft_dice_loss(logits, target).item() <= 1
    assert bce_dice_loss(logits, target).item() >= 0


def test_empty_target_and_empty_prediction_cost_nothing():
    # The Data Science Bowl tutorial's loss is -1 here.
    empty = torch.zeros(SHAPE)
    assert soft_dice_loss(empty - 60, empty).item() == 0


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
    pooled = 1 - 2 * 50 / (51 + 50)
    per_sample = (0 + (1 - 0.1 / 1.1)) / 2
    assert soft_dice_loss(logits, target).item() == pytest.approx(per_sample, abs=1e-5)
    assert abs(per_sample - pooled) > 0.4


def test_mix_uses_the_tutorials_share():
    logits, target = some(1)
    bce = F.binary_cross_entropy_with_logits(logits, target)
    expected = 0.8 * bce + 0.2 * soft_dice_loss(logits, target)
    assert bce_dice_loss(logits, target).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("loss", [soft_dice_loss, bce_dice_loss])
def test_gradients_agree_with_finite_differences(loss):
    logits, target = some(2)
    # The losses compute in float32, so the check runs on slopes that float32 resolves.
    logits = logits.requires_grad_()
    loss(logits, target).backward()
    eps = 1e-2
    for index in [(0, 0, 0, 0), (1, 2, 3, 4), (0, 1, 2, 3)]:
        up, down = logits.detach().clone(), logits.detach().clone()
        up[index] += eps
        down[index] -= eps
        slope = (loss(up, target) - loss(down, target)) / (2 * eps)
        assert logits.grad[index].item() == pytest.approx(slope.item(), rel=0.02, abs=2e-5)


def test_half_precision_logits_are_computed_in_float32():
    logits, target = some(3)
    loss = soft_dice_loss(logits.half(), target.half())
    assert loss.dtype == torch.float32


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: soft_dice_loss(torch.zeros(1, 1, 2, 2), torch.zeros(1, 2, 2)),
            "logits (1, 1, 2, 2) and target (1, 2, 2) must both be (N, K, H, W) with equal sizes",
        ),
        (
            lambda: soft_dice_loss(torch.zeros(SHAPE), torch.zeros(SHAPE), smooth=0),
            "smooth=0 must be above 0: an empty tile would divide 0 by 0",
        ),
        (
            lambda: bce_dice_loss(torch.zeros(SHAPE), torch.zeros(SHAPE), bce_weight=1.5),
            "bce_weight=1.5 must be in [0, 1]",
        ),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ValueError) as raised:
        call()
    assert str(raised.value) == message
