"""Networks by name, one output form, and checkpoints that carry their recipe.

A `Model` is a network plus everything needed to use it again: what it was built from, how its
input is normalised, at which scale it was trained, at which threshold it answers. It takes raw
pixel values and returns plain logits, so training and submission cannot normalise differently.

Building a network downloads nothing unless its options name pretrained weights, and loading a
checkpoint never does: its own weights replace them.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

import kagglekit
from kagglekit.errors import CheckpointError
from kagglekit.unet import UNet

_METADATA_KEY = "kagglekit"


@dataclass(frozen=True)
class Recipe:
    """How to build a network and how to feed it; saved inside every checkpoint.

    Attributes:
        architecture: "unet" (the tutorials'), "fcn_resnet50" (torchvision), or "smp." and a class
            of segmentation-models-pytorch: "smp.Unet", "smp.FPN", "smp.Segformer" ...
        options: keyword arguments of that network, JSON values only, e.g.
            {"encoder_name": "resnet18"}.
        in_channels: channels of the image. A grey image is repeated for a model of three.
        classes: number of output planes; each is an independent yes/no.
        mean: per channel, of pixel values scaled to [0, 1]; one number serves all channels.
        std: likewise, > 0.
        max_value: the pixel value that means 1.0: 255 for 8-bit images, 65535 for 16-bit ones.
        scale: image pixels per model pixel, an integer (2 = half resolution).
        window: side of a tile in model pixels, a multiple of `stride`.
        stride: total stride of the network in model pixels; windows are laid on it.
        threshold: probability above which a pixel is foreground, one for all planes or one each.
    """

    architecture: str = "unet"
    options: Mapping[str, Any] = field(default_factory=dict)
    in_channels: int = 3
    classes: int = 1
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    max_value: float = 255.0
    scale: int = 1
    window: int = 512
    stride: int = 32
    threshold: float | tuple[float, ...] = 0.5

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            if len(getattr(self, name)) not in (1, self.in_channels):
                raise ValueError(
                    f"{name}={getattr(self, name)} must hold one number, or one for each of the "
                    f"{self.in_channels} channels"
                )
        if min(self.std) <= 0:
            raise ValueError(f"std={self.std} must be above 0")

    @property
    def thresholds(self) -> tuple[float, ...]:
        """One threshold per plane."""
        if isinstance(self.threshold, tuple):
            return self.threshold
        return (self.threshold,) * self.classes

    def to_json(self) -> str:
        """Return the recipe as JSON, with the version of kagglekit that wrote it."""
        return json.dumps(asdict(self) | {"kagglekit_version": kagglekit.__version__})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote. Raises ValueError or TypeError if it is something else."""
        values = json.loads(text)
        values.pop("kagglekit_version", None)
        lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
        return cls(**(values | lists))


class Model(nn.Module):
    """A network with its recipe: raw pixels in, plain logits out.

    Args:
        net: any network of (N, in_channels, H, W) floats; its output may be a tensor, a dict with
            "out" (torchvision), or a tuple or list whose first item is the main output.
        recipe: what it was built from and how it is fed.
    """

    def __init__(self, net: nn.Module, recipe: Recipe) -> None:
        super().__init__()
        self.net = net
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

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Predict.

        Args:
            images: (N, C, H, W), uint8 or any real dtype, in [0, recipe.max_value]; H and W
                multiples of the stride. C is recipe.in_channels, or 1 to be repeated.

        Returns:
            (N, recipe.classes, H, W) float logits.
        """
        if images.shape[1] == 1 < self.recipe.in_channels:
            images = images.expand(-1, self.recipe.in_channels, -1, -1)
        pixels = images if images.dtype == torch.uint8 else images.float()
        output = self.net(self._normalised(pixels))
        if isinstance(output, Mapping):
            output = output["out"]
        elif isinstance(output, tuple | list):
            output = output[0]
        if not isinstance(output, torch.Tensor):
            raise TypeError(f"the network returned {type(output).__name__}; expected a tensor")
        return output

    def _normalised(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return (pixels / max_value - mean) / std, (N, C, H, W)."""
        if not pixels.is_contiguous(memory_format=torch.channels_last):
            return torch.addcmul(self.offset, pixels, self.factor)
        # Rows of interleaved colours as long vectors: a CPU takes a fifth of the time for them; and
        # changed in place, for what is not in its cache takes longer to fetch than to compute.
        n, channels, height, width = pixels.shape
        rows = pixels.permute(0, 2, 3, 1).reshape(n, height, width * channels)
        factor, offset = (
            values.expand(1, channels, 1, 1).flatten().repeat(width)
            for values in (self.factor, self.offset)
        )
        normalised = (rows * factor).add_(offset)
        return normalised.reshape(n, height, width, channels).permute(0, 3, 1, 2)


def build(recipe: Recipe) -> Model:
    """Build an untrained network.

    The libraries' defaults would download an encoder; here pretrained weights are used only when
    `recipe.options` names them, e.g. {"encoder_weights": "imagenet"}.

    Raises:
        ValueError: there is no such architecture, or it does not know one of the options.

    Example:
        >>> model = build(Recipe("unet", {"width": 4}))
        >>> model(torch.zeros(1, 3, 32, 64, dtype=torch.uint8)).shape
        torch.Size([1, 1, 32, 64])
    """
    name, channels, classes = recipe.architecture, recipe.in_channels, recipe.classes
    try:
        if name == "unet":
            return Model(UNet(channels, classes, **recipe.options), recipe)
        if name == "fcn_resnet50":
            return Model(_fcn_resnet50(channels, classes, **recipe.options), recipe)
        if name.startswith("smp."):
            return Model(_smp(name.removeprefix("smp."), recipe), recipe)
    except TypeError as error:
        raise ValueError(f"architecture {name!r} cannot be built: {error}") from error
    raise ValueError(f'architecture={name!r} must be "unet", "fcn_resnet50" or "smp.<class>"')


def save(model: Model, path: str | os.PathLike[str], **changes: Any) -> None:
    """Write a checkpoint: weights and recipe in one safetensors file, replaced atomically.

    Args:
        model: the model; its weights are saved as they are now.
        path: e.g. "unet-fold0.safetensors".
        changes: fields of the recipe to replace, e.g. `threshold=0.4` found by validation.
    """
    path = Path(path)
    # The weights below replace the pretrained ones, so loading must not ask for those again.
    options = {k: v for k, v in model.recipe.options.items() if k != "encoder_weights"}
    recipe = replace(model.recipe, options=options, **changes)
    metadata = {_METADATA_KEY: recipe.to_json()}
    weights = {key: value.detach().cpu() for key, value in model.net.state_dict().items()}
    # A kill while writing must leave the last good checkpoint: write beside, then rename.
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    try:
        save_file({k: v.contiguous() for k, v in weights.items()}, beside, metadata=metadata)
        with Path(beside).open("rb") as file:
            os.fsync(file.fileno())
        Path(beside).replace(path)
    finally:
        Path(beside).unlink(missing_ok=True)


def load(path: str | os.PathLike[str]) -> Model:
    """Read a checkpoint written by `save`: build its network, load its weights, ready to predict.

    A safetensors file holds numbers only, so a stranger's checkpoint cannot run code.

    Returns:
        The model on the CPU, in evaluation mode. Two calls give two separate models.

    Raises:
        CheckpointError: no such file, not a checkpoint of kagglekit, or weights that do not fit.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at `{path}`", hint="is its dataset attached?")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise CheckpointError(f"`{path}` is not a readable safetensors file: {error}") from error
    if _METADATA_KEY not in metadata:
        raise CheckpointError(
            f"`{path}` carries no recipe", hint="write checkpoints with kagglekit.models.save"
        )
    try:
        model = build(Recipe.from_json(metadata[_METADATA_KEY]))
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"`{path}`: its recipe cannot be built: {error}") from error
    _load_strictly(model.net, weights, path)
    return model.eval()


def _load_strictly(net: nn.Module, weights: dict[str, torch.Tensor], path: Path) -> None:
    wanted = net.state_dict()
    problems = [f"missing: {key}" for key in wanted.keys() - weights.keys()]
    problems += [f"not in the network: {key}" for key in weights.keys() - wanted.keys()]
    problems += [
        f"{key}: {tuple(weights[key].shape)} in the file, {tuple(wanted[key].shape)} in the network"
        for key in wanted.keys() & weights.keys()
        if weights[key].shape != wanted[key].shape
    ]
    if problems:
        raise CheckpointError(f"`{path}` does not fit its network", problems=sorted(problems))
    net.load_state_dict(weights)


def _per_channel(values: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(values).reshape(1, -1, 1, 1)


def _fcn_resnet50(in_channels: int, classes: int, **options: Any) -> nn.Module:
    from torchvision.models.segmentation import fcn_resnet50

    if in_channels != 3:
        raise ValueError(f"fcn_resnet50 takes 3 channels, not in_channels={in_channels}")
    # weights=None alone still downloads a backbone: its default is not None.
    net: nn.Module = fcn_resnet50(
        weights=None, weights_backbone=None, num_classes=classes, **options
    )
    return net


def _smp(name: str, recipe: Recipe) -> nn.Module:
    import segmentation_models_pytorch as smp

    architecture = getattr(smp, name, None)
    if not (isinstance(architecture, type) and issubclass(architecture, nn.Module)):
        raise ValueError(f"segmentation-models-pytorch {smp.__version__} has no `{name}`")
    options = {"encoder_weights": None} | dict(recipe.options)
    net: nn.Module = architecture(in_channels=recipe.in_channels, classes=recipe.classes, **options)
    return net
