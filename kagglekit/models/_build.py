"""A network by its name, with nothing downloaded that was not asked for."""

from collections.abc import Callable
from typing import Any, TypeAlias

from torch import nn

from kagglekit.models._model import Model
from kagglekit.models._recipe import Recipe
from kagglekit.models._smp import check_options, smp_network
from kagglekit.models._unet import UNet

Make: TypeAlias = Callable[[Recipe], nn.Module]
"""Makes a network of one's own, with any weights: (N, in_channels, H, W) float in, logits out."""

PRETRAINED = ("encoder_weights", "weights", "weights_backbone")
"""Options that name weights to start from; a checkpoint's own replace them."""


def build(recipe: Recipe, make: Make | None = None) -> Model:
    """Build an untrained network.

    The libraries' defaults would download an encoder; here pretrained weights are used only when
    `recipe.options` names them, e.g. {"encoder_weights": "imagenet"}.

    Args:
        recipe: what to build.
        make: makes the network, if it is one of your own; `recipe.architecture` is then a name.

    Raises:
        ValueError: there is no such architecture, or it does not know one of the options.
        TypeError: `make` is no function that returns a network.

    Example:
        >>> import torch
        >>> model = build(Recipe("unet", {"width": 4}))
        >>> model(torch.zeros(1, 3, 32, 64, dtype=torch.uint8)).shape
        torch.Size([1, 1, 32, 64])
    """
    if make is not None:
        return Model(_made(make, recipe), recipe)
    name = recipe.architecture
    maker = _maker(name)
    try:
        return Model(maker(recipe), recipe)
    except TypeError as error:
        raise ValueError(f"architecture {name!r} cannot be built: {error}") from error


def _made(make: Make, recipe: Recipe) -> nn.Module:
    """Call `make`, unless it is the network itself, which would take the recipe for images."""
    net: Any = None if isinstance(make, nn.Module) else make(recipe)
    if not isinstance(net, nn.Module):
        raise TypeError("make= must be a function that returns a network: lambda recipe: MyNet()")
    return net


def _maker(name: str) -> Make:
    if name == "unet":
        return lambda recipe: UNet(recipe.in_channels, recipe.classes, **recipe.options)
    if name == "fcn_resnet50":
        return lambda recipe: _fcn_resnet50(recipe.in_channels, recipe.classes, **recipe.options)
    if name.startswith("smp."):
        return smp_network
    raise ValueError(
        f'architecture={name!r} must be "unet", "fcn_resnet50" or "smp.<class>"; '
        "for a network of your own give make=, a function of the recipe that makes it"
    )


def _fcn_resnet50(in_channels: int, classes: int, **options: Any) -> nn.Module:
    from torchvision.models.segmentation import fcn_resnet50

    if in_channels != 3:
        raise ValueError(f"fcn_resnet50 takes 3 channels, not in_channels={in_channels}")
    check_options(options, fcn_resnet50)
    # weights=None alone still downloads a backbone: its default is not None.
    options = {"weights": None, "weights_backbone": None} | options
    net: nn.Module = fcn_resnet50(num_classes=classes, **options)
    return net
