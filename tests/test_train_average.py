import pytest
import torch

from kagglekit.models import Model, Recipe
from kagglekit.train._average import Average


def model():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 1, 1), torch.nn.BatchNorm2d(1))
    return Model(net, Recipe(window=32))


def test_the_average_of_weights_by_hand():
    net = model()
    average = Average(net, decay=0.3)
    first = net.net[0].weight[0, 0, 0, 0]
    expected = first.item()
    for steps, value in enumerate([1.0, 5.0, -2.0, 4.0, 0.5]):
        with torch.no_grad():
            first.fill_(value)
        average.update(net, steps)
        keep = min(0.3, (1 + steps) / (10 + steps))
        expected = keep * expected + (1 - keep) * value
        found = average.model.net[0].weight[0, 0, 0, 0].item()
        assert found == pytest.approx(expected, rel=1e-5)


def test_statistics_are_copied_and_the_model_is_left_alone():
    net = model()
    average = Average(net, decay=0.5)
    net.train()(torch.rand(4, 3, 8, 8) * 255)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    average.update(net, 0)
    for own, now in zip(average.model.buffers(), net.buffers(), strict=True):
        assert torch.equal(own, now)
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert not average.model.training
    assert not any(weight.requires_grad for weight in average.model.parameters())
