import pytest
import torch

from kagglekit import losses, train
from kagglekit.models import Recipe, build


@pytest.fixture
def clock(monkeypatch):
    """A minute has 60 steps, whatever the machine."""
    now = iter(range(10**6))
    monkeypatch.setattr("kagglekit.train._arrays.time.monotonic", lambda: float(next(now)))


def stripes(n=12, size=32):
    """Bright stripes on dark ground: what is bright is to be found."""
    torch.manual_seed(0)
    masks = (torch.rand(n, 1, 1, size) > 0.5).expand(n, 1, size, size).float()
    images = (60 + 120 * masks + 10 * torch.randn(n, 1, size, size)).clamp(0, 255)
    return images.expand(n, 3, size, size).byte(), masks


def model():
    torch.manual_seed(0)
    return build(Recipe("unet", {"width": 4, "depth": 2}, window=32, stride=4))


def test_a_model_learns(clock):
    images, masks = stripes()
    net = model()
    train.fit_arrays(net, images, masks, minutes=2, say=lambda line: None)
    with torch.inference_mode():
        right = (net(images) > 0) == (masks > 0)
    assert right.float().mean() > 0.95
    assert not net.training


def test_progress_is_told_ten_times(clock):
    images, masks = stripes()
    lines = []
    train.fit_arrays(model(), images, masks, minutes=1, batch_size=2, say=lines.append)
    assert len(lines) == 10
    assert lines[0].startswith(" 10%  step 6  loss ")
    assert lines[-1].startswith("100%  step 60  loss ")


def test_a_tile_of_weight_zero_is_never_drawn(clock):
    images, masks = stripes()
    masks = masks.clone()
    masks[0] = torch.nan  # one look at it would spoil the weights
    weights = torch.ones(len(images))
    weights[0] = 0
    net = model()
    train.fit_arrays(net, images, masks, minutes=1, weights=weights, say=lambda line: None)
    assert all(p.isfinite().all() for p in net.parameters())


def test_the_loss_given_is_what_is_learnt(clock):
    images, masks = stripes()
    net = model()

    def upside_down(logits, target):
        return losses.bce_loss(logits, 1 - target.float())

    train.fit_arrays(net, images, masks, minutes=2, loss=upside_down, say=lambda line: None)
    with torch.inference_mode():
        right = (net(images) > 0) == (masks > 0)
    assert right.float().mean() < 0.05


def test_the_same_seed_gives_the_same_model(clock):
    images, masks = stripes()
    nets = [model(), model()]
    for net in nets:
        torch.manual_seed(5)
        train.fit_arrays(net, images, masks, minutes=0.2, say=lambda line: None)
    assert all(
        torch.equal(a, b) for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True)
    )


@pytest.mark.parametrize(
    ("images", "masks", "weights", "message"),
    [
        ((3, 3, 8, 8), (2, 1, 8, 8), None, "3 images, 2 masks and 3 weights do not pair up"),
        ((3, 3, 8, 8), (3, 1, 8, 8), 4, "3 images, 3 masks and 4 weights do not pair up"),
        ((3, 3, 8, 9), (3, 1, 8, 9), None, "tiles of (8, 9) pixels are not square"),
    ],
)
def test_refuses(images, masks, weights, message):
    weights = None if weights is None else torch.ones(weights)
    with pytest.raises(ValueError) as raised:
        train.fit_arrays(
            model(), torch.zeros(images), torch.zeros(masks), minutes=1, weights=weights
        )
    assert str(raised.value) == message
