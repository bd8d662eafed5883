"""A running average of a network's weights, which predicts better than any single moment."""

import copy
from typing import Any

import torch
from torch import nn

from kagglekit.models import Model


class Average:
    """The exponential moving average of a model's weights.

    The first steps count more than later ones, so that the weights a network began with are soon
    forgotten: after n steps a share of min(decay, (1 + n) / (10 + n)) is kept. Buffers, such as the
    statistics of batch normalisation, are copied as they are.

    Args:
        model: whose weights are averaged; the average begins as a copy.
        decay: in (0, 1).

    Source: TensorFlow, `tf.train.ExponentialMovingAverage`, for the rule of the first steps.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, steps: int) -> None:
        """Take in the weights after a step.

        Args:
            model: as it is now.
            steps: how many had been made before.
        """
        keep = min(self.decay, (1 + steps) / (10 + steps))
        mine: list[Any] = list(self.model.parameters())
        torch._foreach_lerp_(mine, list(model.parameters()), 1 - keep)
        for own, now in zip(self.model.buffers(), model.buffers(), strict=True):
            own.copy_(now)
