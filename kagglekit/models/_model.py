"""A network with its recipe: raw pixels in, plain logits out."""

import warnings

import torch
from torch import nn

from kagglekit.models._outputs import Outputs, unified
from kagglekit.models._recipe import Recipe
from kagglekit.models._softmax import one_against_rest
from kagglekit.models._state import digest

_SOFTMAX = nn.Softmax | nn.Softmax2d | nn.LogSoftmax


class Model(nn.Module):
    """A network with its recipe: raw pixels in, plain logits out; in the network's mode at first.

    Args:
        net: any network of (N, in_channels, H, W) floats; its output may be a tensor, a dict with
            "out" (torchvision), or a tuple or list whose first item is the main output: logits.
        recipe: what it was built from and how it is fed.

    Warns:
        UserWarning: the network seems to end in a sigmoid or a softmax.
    """

    def __init__(self, net: nn.Module, recipe: Recipe) -> None:
        super().__init__()
        *_, last = (part for part in net.modules() if not any(part.children()))
        if isinstance(last, nn.Sigmoid | _SOFTMAX):
            told = ", and Recipe(softmax=True)" if isinstance(last, _SOFTMAX) else ""
            warnings.warn(
                f"the network's last layer is a {type(last).__name__}: if its answer comes from "
                f"there, leave it out; logits are expected{told}",
                stacklevel=2,
            )
        self.net = net
        self.training = net.training  # a network in evaluation mode makes a model in that mode
        self.recipe = recipe
        # Buffers, so they move to the device with the model; not saved: the recipe has them.
        mean, std = _per_channel(recipe.mean), _per_channel(recipe.std)
        self.factor: torch.Tensor
        self.offset: torch.Tensor
        self.register_buffer("factor", 1 / (recipe.max_value * std), persistent=False)
        self.register_buffer("offset", -mean / std, persistent=False)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.offset.device

    def digest(self) -> str:
        """Return the SHA-256 of the network's numbers, also of buffers that are not saved."""
        return digest(dict(self.net.named_buffers()) | self.net.state_dict())

    def forward(self, images: torch.Tensor, auxiliary: bool = False) -> torch.Tensor | Outputs:
        """Predict.

        Args:
            images: (N, C, H, W), uint8 or any real dtype, in [0, recipe.max_value]; H and W
                multiples of the stride. C is recipe.in_channels, or 1 to be repeated.
            auxiliary: return the auxiliary outputs, too, for a training that uses them.

        Returns:
            (N, recipe.classes, H, W) float logits of independent planes, also where the recipe says
            softmax: the sigmoid of each is a probability. With `auxiliary`, `Outputs`; those that
            the option "deep_supervision" adds are computed in training mode only.

        Raises:
            TypeError: the network returned something that holds no tensor.
        """
        if images.shape[1] == 1 < self.recipe.in_channels:
            images = images.expand(-1, self.recipe.in_channels, -1, -1)
        pixels = images if images.dtype == torch.uint8 else images.float()
        outputs = unified(self.net(self._normalised(pixels)))
        if self.recipe.softmax:
            outputs = _independent(outputs)
        return outputs if auxiliary else outputs.logits

    def _normalised(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return (pixels / max_value - mean) / std, (N, C, H, W)."""
        if not pixels.is_contiguous(memory_format=torch.channels_last):
            return torch.addcmul(self.offset, pixels, self.factor)
        # Rows of interleaved colours as long vectors: a CPU takes a fifth of the time for them; and
        # changed in place, for what is not in its cache takes longer to fetch than to compute.
        n, channels, height, width = pixels.shape
        rows = pixels.permute(0, 2, 3, 1).reshape(n, height, width * channels)
        factor, offset = (
            each.reshape(1, -1).expand(width, channels).flatten()
            for each in (self.factor, self.offset)
        )
        values = rows.to(torch.float32, copy=True)
        normalised = torch.addcmul(offset, values, factor, out=values)
        return normalised.reshape(n, height, width, channels).permute(0, 3, 1, 2)


def _independent(outputs: Outputs) -> Outputs:
    """Make planes independent; what is said of whole images is so: there may be several classes."""
    maps = (one_against_rest(each) if each.ndim == 4 else each for each in outputs.auxiliary)
    return Outputs(one_against_rest(outputs.logits), tuple(maps))


def _per_channel(values: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(values).reshape(1, -1, 1, 1)
