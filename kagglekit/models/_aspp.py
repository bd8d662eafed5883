"""Atrous spatial pyramid pooling: one feature map seen through several sizes of view."""

import torch
from torch import nn

_RATES = (3, 6, 9)  # half of DeepLab's: its map has twice the resolution of a deepest one


class ASPP(nn.Module):
    """Views of a map through growing holes, side by side, and mixed to as many channels as came.

    The paper's pooling over the whole map is left out: it would make a pixel depend on where its
    window lies, so that a slide predicted in windows would not equal one predicted whole.

    Args:
        channels: of the map, before and after.

    Source: Chen et al., Rethinking atrous convolution (2017), section 3.3.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        width = max(1, channels // (1 + len(_RATES)))
        views = [_layer(channels, width, kernel=1)]
        views += [_layer(channels, width, kernel=3, rate=rate) for rate in _RATES]
        self.views = nn.ModuleList(views)
        self.mix = _layer(width * len(views), channels, kernel=1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (N, channels, h, w) to the same shape."""
        mixed: torch.Tensor = self.mix(torch.cat([view(features) for view in self.views], dim=1))
        return mixed


def _layer(inputs: int, outputs: int, kernel: int, rate: int = 1) -> nn.Sequential:
    padding = rate * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=rate, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
