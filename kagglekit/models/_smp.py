"""Networks of segmentation-models-pytorch, and what we add to them."""

import difflib
from collections.abc import Callable, Iterable
from inspect import signature
from typing import Any

import torch
from torch import nn

from kagglekit.models._aspp import ASPP
from kagglekit.models._coat import CoatEncoder
from kagglekit.models._recipe import Recipe

_OURS = ("aspp", "deep_supervision")
_DILATING = ("DeepLabV3", "DeepLabV3Plus", "PAN")


def smp_network(recipe: Recipe) -> nn.Module:
    """Build "smp.<class>" of a recipe.

    Beside smp's own options there are `aspp` and `deep_supervision`, both False by default.

    Raises:
        ValueError: smp has no such network or encoder, or they do not go together.
        TypeError: smp does not know one of the options.
    """
    import segmentation_models_pytorch as smp

    name = recipe.architecture.removeprefix("smp.")
    architecture = getattr(smp, name, None)
    if not (isinstance(architecture, type) and issubclass(architecture, nn.Module)):
        raise ValueError(f"segmentation-models-pytorch {smp.__version__} has no `{name}`")
    options = dict(recipe.options)
    # What smp does not know itself it hands to timm's encoders, and of others it takes no notice.
    if not str(options.get("encoder_name", "")).startswith("tu-"):
        check_options(options, architecture.__init__, _OURS)
    if options.get("activation") is not None:
        raise ValueError(
            f"activation={options['activation']!r}: networks answer logits here, and what predicts "
            "or computes a loss takes their sigmoid; leave it out, and of a softmax say "
            "Recipe(softmax=True)"
        )
    aspp, deep = options.pop("aspp", False), options.pop("deep_supervision", False)
    # smp takes False for a request to download.
    options["encoder_weights"] = options.get("encoder_weights") or None
    if "encoder_name" in options:
        _check_encoder(options["encoder_name"], name)
        options |= _fitting(options, recipe.in_channels)
    net: nn.Module = architecture(in_channels=recipe.in_channels, classes=recipe.classes, **options)
    return _Extended(net, recipe.classes, aspp, deep) if aspp or deep else net


def check_options(
    options: Iterable[str], function: Callable[..., Any], more: Iterable[str] = ()
) -> None:
    """Refuse options that a function would take and do nothing with.

    Args:
        options: their names.
        function: to which they go; what it only calls `**kwargs` does not count.
        more: names that are options, too.

    Raises:
        TypeError: there is no such option; the nearest one is told.
    """
    named = (p.name for p in signature(function).parameters.values() if p.kind is not p.VAR_KEYWORD)
    known = {*named, *more} - {"self"}
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
            raise TypeError(f"no option {name!r}: {hint}")


def _check_encoder(encoder: str, architecture: str) -> None:
    import segmentation_models_pytorch as smp
    import timm

    if encoder.startswith("tu-"):
        known, given = timm.list_models(), encoder.removeprefix("tu-").split(".")[0]
        whose, prefix = "timm", "tu-"
    else:
        known, given, whose, prefix = smp.encoders.get_encoder_names(), encoder, "smp", ""
    if given not in known and not encoder.startswith("timm-"):
        near = [f"`{prefix}{name}`" for name in difflib.get_close_matches(given, known)]
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"encoder_name={encoder!r} is no encoder of {whose}{meant}")
    if architecture in _DILATING and encoder.startswith(("tu-swin", "tu-coat_")):
        raise ValueError(
            f"{architecture} dilates its encoder, which {encoder!r} cannot do: take a "
            'convolutional encoder, or "smp.UPerNet"'
        )


def _fitting(options: dict[str, Any], in_channels: int) -> dict[str, Any]:
    """Return the options that make an encoder take windows of any size."""
    encoder = options["encoder_name"]
    if encoder.startswith("tu-swin"):
        return {"strict_img_size": False} | options
    if not encoder.startswith("tu-coat_"):
        return {}
    import segmentation_models_pytorch as smp

    # Where smp looks encoders up; its own way to timm knows neither of CoaT's two difficulties.
    name = encoder.removeprefix("tu-")
    pretrained = options["encoder_weights"] is not None
    smp.encoders.encoders[name] = {
        "encoder": CoatEncoder,
        "pretrained_settings": {},
        "params": {"name": name, "in_channels": in_channels, "pretrained": pretrained},
    }
    return {"encoder_name": name, "encoder_weights": None}


class _Extended(nn.Module):
    """A network of smp with ASPP between encoder and decoder, and outputs of the encoder's maps.

    The maps are the encoder's because every encoder has them in one form, whatever the decoder.
    """

    def __init__(self, net: Any, classes: int, aspp: bool, deep: bool) -> None:
        super().__init__()
        self.net = net
        channels: list[int] = net.encoder.out_channels
        self.aspp = ASPP(channels[-1]) if aspp else nn.Identity()
        # The first is the image itself, or has no channels at all.
        self.levels = [i for i, count in enumerate(channels) if deep and i > 0 and count > 0]
        self.side_heads = nn.ModuleList(nn.Conv2d(channels[i], classes, 1) for i in self.levels)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return the logits; in training mode, then those of the coarser maps, the finest first."""
        self.net.check_input_shape(images)
        features = list(self.net.encoder(images))
        features[-1] = self.aspp(features[-1])
        outputs = [self.net.segmentation_head(self.net.decoder(features))]
        if self.training:
            pairs = zip(self.side_heads, self.levels, strict=True)
            outputs += [head(features[i]) for head, i in pairs]
        if self.net.classification_head is not None:
            outputs.append(self.net.classification_head(features[-1]))
        return outputs
