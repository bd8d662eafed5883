import pytest
import torch

from kagglekit.models import UNet


@pytest.mark.parametrize("size", [(16, 16), (32, 48), (17, 35), (100, 20)])
def test_output_has_the_size_of_the_input(size):
    net = UNet(2, 3, width=4).eval()
    with torch.inference_mode():
        assert net(torch.zeros(1, 2, *size)).shape == (1, 3, *size)


def test_the_tutorials_size_by_default():
    net = UNet(3, 1)
    assert [block[0].out_channels for block in net.down] == [64, 128, 256, 512, 1024]


def test_depth_sets_the_number_of_halvings():
    assert len(UNet(1, 1, width=2, depth=2).up) == 2
