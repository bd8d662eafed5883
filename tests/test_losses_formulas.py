"""Each loss against slow loops written from its definition, and against smp where smp agrees."""

import math

import pytest
import segmentation_models_pytorch as smp
import torch
from hypothesis import given
from hypothesis import strategies as st

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

SHAPE = (2, 3, 4, 5)
SEEDS = st.integers(0, 10**6)


def some(seed, scale=3.0, share=0.4):
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(SHAPE, generator=generator, dtype=torch.float64)
    target = (torch.rand(SHAPE, generator=generator) < share).double()
    return logits, target


def planes(logits, target):
    """(logits, truth) of every sample and class, as nested lists."""
    n, k = logits.shape[:2]
    return [(logits[i, j].tolist(), target[i, j].tolist()) for i in range(n) for j in range(k)]


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def flat(rows):
    return [value for row in rows for value in row]


def tversky_by_loops(logits, target, alpha, beta, smooth):
    tp = fp = fn = 0.0
    for x, t in zip(flat(logits), flat(target), strict=True):
        p = sigmoid(x)
        tp, fp, fn = tp + p * t, fp + p * (1 - t), fn + (1 - p) * t
    s = smooth / 2 * len(flat(logits))
    return 1 - (tp + s) / (tp + alpha * fp + beta * fn + s)


def dice_by_loops(logits, target, smooth):
    both = sum_p = sum_t = 0.0
    for x, t in zip(flat(logits), flat(target), strict=True):
        both, sum_p, sum_t = both + sigmoid(x) * t, sum_p + sigmoid(x), sum_t + t
    extra = smooth * len(flat(logits))
    return 1 - (2 * both + extra) / (sum_p + sum_t + extra)


def jaccard_loss(wrong, truth):
    """One minus intersection over union when the pixels in `wrong` are mistaken."""
    predicted = {i for i, t in enumerate(truth) if bool(t) != (i in wrong)}
    true = {i for i, t in enumerate(truth) if t}
    union = predicted | true
    return 1 - len(predicted & true) / len(union) if union else 0.0


def lovasz_by_sets(logits, target):
    """The definition: errors, largest first, times what each adds to the set function."""
    truth = flat(target)
    errors = [max(0.0, 1 - (2 * t - 1) * x) for x, t in zip(flat(logits), truth, strict=True)]
    total, wrong = 0.0, set()
    for i in sorted(range(len(errors)), key=lambda i: -errors[i]):
        before = jaccard_loss(wrong, truth)
        wrong.add(i)
        total += errors[i] * (jaccard_loss(wrong, truth) - before)
    return total


def boundary_by_loops(logits, target, smooth):
    height, width = len(target), len(target[0])
    size = rim = 0
    z = y = both = 0.0
    for i in range(height):
        for j in range(width):
            p, t = sigmoid(logits[i][j]), target[i][j]
            z, y, both, size = z + p * p, y + t, both + p * t, size + t
            around = [(i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)]
            inside = [target[a][b] for a, b in around if 0 <= a < height and 0 <= b < width]
            rim += bool(t and not all(inside))
    share = min(0.8, 1 - 2 * rim / size) if size else 0.8
    return (z + y - 2 * both) / (z + y - (1 + share) * both + smooth * height * width)


def mean(values):
    values = list(values)
    return sum(values) / len(values)


@given(SEEDS, st.sampled_from([1e-4, 1e-3, 0.1]))
def test_soft_dice_equals_the_definition(seed, smooth):
    logits, target = some(seed)
    expected = mean(dice_by_loops(x, t, smooth) for x, t in planes(logits, target))
    assert soft_dice_loss(logits, target, smooth).item() == pytest.approx(expected, abs=1e-9)


@given(SEEDS, st.floats(0, 2), st.floats(0, 2))
def test_tversky_equals_the_definition(seed, alpha, beta):
    logits, target = some(seed)
    expected = mean(tversky_by_loops(x, t, alpha, beta, 0.01) for x, t in planes(logits, target))
    found = tversky_loss(logits, target, alpha, beta, smooth=0.01).item()
    assert found == pytest.approx(expected, abs=1e-9)


@given(SEEDS)
def test_per_batch_is_the_loss_of_one_tall_image(seed):
    logits, target = some(seed)
    tall = [values.transpose(0, 1).reshape(1, 3, 8, 5) for values in (logits, target)]
    for loss in (soft_dice_loss, lovasz_loss):
        assert loss(logits, target, per="batch").item() == pytest.approx(loss(*tall).item())


@given(SEEDS)
def test_per_batch_without_smoothing_is_smps_dice(seed):
    logits, target = some(seed)
    target[0, :, 0, 0] = 1  # smp calls an empty class perfect
    theirs = smp.losses.DiceLoss("multilabel")(logits, target).item()
    ours = soft_dice_loss(logits, target, smooth=1e-12, per="batch").item()
    assert ours == pytest.approx(theirs, abs=1e-6)


@given(SEEDS)
def test_skip_averages_only_where_there_is_foreground(seed):
    logits, target = some(seed, share=0.08)
    expected = [dice_by_loops(x, t, 1e-3) for x, t in planes(logits, target) if any(flat(t))]
    found = soft_dice_loss(logits, target, empty="skip").item()
    assert found == pytest.approx(mean(expected) if expected else 0, abs=1e-9)


def test_a_batch_with_nothing_to_count_costs_nothing_and_has_slopes_of_zero():
    logits = torch.randn(SHAPE, requires_grad=True)
    loss = soft_dice_loss(logits, torch.zeros(SHAPE), empty="skip")
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


@given(SEEDS, st.sampled_from([0.02, 0.5, 1.0]))
def test_lovasz_equals_the_definition(seed, share):
    logits, target = some(seed, share=share)
    expected = mean(lovasz_by_sets(x, t) for x, t in planes(logits, target))
    assert lovasz_loss(logits, target).item() == pytest.approx(expected, abs=1e-9)
    mirrored = mean(lovasz_by_sets(x, t) for x, t in planes(-logits, 1 - target))
    both = lovasz_loss(logits, target, symmetric=True).item()
    assert both == pytest.approx((expected + mirrored) / 2, abs=1e-9)


@given(SEEDS)
def test_lovasz_of_one_class_is_smps(seed):
    logits, target = (values[:, :1].float() for values in some(seed))
    theirs = smp.losses.LovaszLoss("binary", per_image=True)(logits, target).item()
    assert lovasz_loss(logits, target).item() == pytest.approx(theirs, rel=1e-5)


@given(SEEDS, st.sampled_from([0.02, 0.5, 0.95]))
def test_boundary_equals_the_definition(seed, share):
    logits, target = some(seed, share=share)
    expected = mean(boundary_by_loops(x, t, 0.01) for x, t in planes(logits, target))
    assert boundary_loss(logits, target, 0.01).item() == pytest.approx(expected, abs=1e-9)


def test_boundary_hears_the_rim_of_a_large_object_more_than_dice_does():
    target = torch.zeros(1, 1, 64, 64)
    target[..., 8:56, 8:56] = 1
    grown = torch.full_like(target, -30)
    grown[..., 7:57, 7:57] = 30  # one pixel too far all around
    assert boundary_loss(grown, target) > 3 * soft_dice_loss(grown, target)


@given(SEEDS, st.sampled_from([0.0, 1.0, 2.0, 3.5]), st.sampled_from([None, 0.25]))
def test_focal_is_smps_where_theirs_is_defined(seed, gamma, alpha):
    logits, target = some(seed)
    theirs = smp.losses.FocalLoss("multilabel", alpha=alpha, gamma=gamma)(logits, target).item()
    assert focal_loss(logits, target, gamma, alpha).item() == pytest.approx(theirs, rel=1e-9)


@given(SEEDS, st.sampled_from([0.5, 1.0, 2.0]))
def test_focal_equals_the_definition(seed, gamma):
    logits, target = some(seed)
    losses = []
    for x, t in zip(logits.flatten().tolist(), target.flatten().tolist(), strict=True):
        q = sigmoid(x) if t else 1 - sigmoid(x)
        losses.append(-((1 - q) ** gamma) * math.log(q))
    assert focal_loss(logits, target, gamma).item() == pytest.approx(mean(losses), rel=1e-9)


@given(SEEDS)
def test_bce_equals_the_definition(seed):
    logits, target = some(seed)
    losses = [
        -math.log(sigmoid(x) if t else 1 - sigmoid(x))
        for x, t in zip(logits.flatten().tolist(), target.flatten().tolist(), strict=True)
    ]
    assert bce_loss(logits, target).item() == pytest.approx(mean(losses), rel=1e-9)


def test_mix_uses_the_tutorials_share():
    logits, target = some(1)
    expected = 0.8 * bce_loss(logits, target) + 0.2 * soft_dice_loss(logits, target)
    assert bce_dice_loss(logits, target).item() == pytest.approx(expected.item())


def test_mix_can_leave_the_dice_of_empty_planes_out():
    logits, target = some(1)
    target[0] = 0
    dice = soft_dice_loss(logits, target, empty="skip")
    assert dice != soft_dice_loss(logits, target)
    expected = 0.5 * bce_loss(logits, target) + 0.5 * dice
    mixed = bce_dice_loss(logits, target, 0.5, empty="skip")
    assert mixed.item() == pytest.approx(expected.item())


def test_a_coarser_output_is_judged_by_the_pixel_at_its_centre():
    target = torch.zeros(1, 1, 6, 9)
    target[..., 1, 4] = 1  # the centre of the upper middle block of three by three
    logits = torch.full((1, 1, 6, 9), -60.0) + 120 * target
    coarse = torch.full((1, 1, 2, 3), -60.0)
    coarse[..., 0, 1] = 60
    assert auxiliary_loss(bce_loss, logits, [coarse], target).item() == pytest.approx(0, abs=1e-6)
    assert auxiliary_loss(bce_loss, logits, [-coarse], target).item() == pytest.approx(0.4 * 60)


def test_auxiliary_outputs_are_averaged_and_weighed():
    logits, target = some(4)
    parts = [logits[..., ::2, :] * 0, logits + 1]
    whole = auxiliary_loss(bce_loss, logits, parts, target, weight=0.3)
    second = bce_loss(logits + 1, target).item()
    expected = bce_loss(logits, target).item() + 0.3 * (math.log(2) + second) / 2
    assert whole.item() == pytest.approx(expected, rel=1e-6)
    assert auxiliary_loss(bce_loss, logits, (), target) == bce_loss(logits, target)


def test_an_output_per_image_says_whether_there_is_foreground():
    target = torch.zeros(2, 1, 4, 4)
    target[1, 0, 3, 3] = 1
    logits = 120 * target - 60
    says = torch.tensor([[-60.0], [60.0]])
    assert auxiliary_loss(soft_dice_loss, logits, [says], target).item() < 1e-6
    wrong = auxiliary_loss(soft_dice_loss, logits, [-says], target).item()
    assert wrong == pytest.approx(0.4 * 60)
