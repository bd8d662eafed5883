"""How to build a network and how to feed it."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from numbers import Integral
from typing import Any, Self

import kagglekit


@dataclass(frozen=True)
class Recipe:
    """How to build a network and how to feed it; saved inside every checkpoint.

    Where several numbers are kept as a tuple, a list, an array, or one number alone will do.

    Attributes:
        architecture: "unet" (the tutorials'), "fcn_resnet50" (torchvision), or "smp." and a class
            of segmentation-models-pytorch: "smp.Unet", "smp.FPN", "smp.Segformer" ...
        options: keyword arguments of that network, JSON values only, e.g.
            {"encoder_name": "resnet18"}.
        in_channels: channels of the image. A grey image is repeated for a model of three.
        classes: number of output planes.
        softmax: the network's planes exclude each other, background being one of them, and their
            softmax is the probability, as of one trained by cross-entropy over classes. By default
            each plane is an independent yes/no, and its sigmoid the probability.
        class_names: of the planes, in their order; empty if nobody named them.
        mean: per channel, of pixel values scaled to [0, 1]; one number serves all channels.
        std: likewise, > 0.
        max_value: the pixel value that means 1.0: 255 for 8-bit images, 65535 for 16-bit ones.
        scale: image pixels per model pixel, an integer (2 = half resolution).
        window: side of a tile in model pixels, a multiple of `stride`.
        stride: total stride of the network in model pixels; windows are laid on it.
        threshold: probability above which a pixel is foreground, in [0, 1], one for all planes or
            one each.
        cuts: what else `tune.search` found out about making masks, by group of images; "" for all.
    """

    architecture: str = "unet"
    options: Mapping[str, Any] = field(default_factory=dict)
    in_channels: int = 3
    classes: int = 1
    softmax: bool = False
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    max_value: float = 255.0
    scale: int = 1
    window: int = 512
    stride: int = 32
    threshold: float | tuple[float, ...] = 0.5
    class_names: tuple[str, ...] = ()
    cuts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.architecture, str):
            raise ValueError(f"architecture={self.architecture!r} must be a name")
        for name in ("in_channels", "classes", "scale", "window", "stride"):
            self._keep(name, _whole(name, getattr(self, name)))
        if not isinstance(self.softmax, bool):
            raise ValueError(f"softmax={self.softmax!r} must be True or False")
        if self.softmax and self.classes == 1:
            raise ValueError(
                "softmax=True needs at least 2 classes, background among them: the softmax of a "
                "single plane is 1 everywhere"
            )
        for name in ("mean", "std", "class_names"):
            self._keep(name, _tuple(getattr(self, name)))
        for name in ("threshold", "max_value"):
            self._keep(name, _plain(getattr(self, name)))
        self._keep("options", _jsonable(dict(self.options)))
        for name in ("mean", "std"):
            if len(getattr(self, name)) not in (1, self.in_channels):
                raise ValueError(
                    f"{name}={getattr(self, name)} must hold one number, or one for each of the "
                    f"{self.in_channels} channels"
                )
        if not all(map(math.isfinite, self.mean)):
            raise ValueError(f"mean={self.mean} must be finite")
        if not all(0 < std < math.inf for std in self.std):
            raise ValueError(f"std={self.std} must be above 0, and finite")
        if not 0 < self.max_value < math.inf:
            raise ValueError(f"max_value={self.max_value} must be above 0, and finite")
        if self.window % self.stride:
            raise ValueError(
                f"window={self.window} must be a multiple of the network's stride, {self.stride}"
            )
        if len(self.thresholds) != self.classes:
            raise ValueError(
                f"threshold={self.threshold} must be one number, or one for each of "
                f"{self.classes} planes"
            )
        if not all(isinstance(each, (int, float)) and 0 <= each <= 1 for each in self.thresholds):
            raise ValueError(f"threshold={self.threshold} must be in [0, 1], as probabilities are")
        names = self.class_names
        if names and (len(names) != self.classes or len(set(names)) != len(names)):
            raise ValueError(
                f"class_names={names} must be {self.classes} different names, one for each plane"
            )

    def _keep(self, name: str, value: Any) -> None:
        """Set a field to what it is after saving and loading, for JSON knows no arrays."""
        object.__setattr__(self, name, value)

    @property
    def thresholds(self) -> tuple[float, ...]:
        """One threshold per plane."""
        if isinstance(self.threshold, tuple):
            return self.threshold
        return (self.threshold,) * self.classes

    def mismatch(self, dtype: Any) -> str:
        """Say why pixels of a dtype are hardly those that `max_value` is meant for; "" if not.

        Example:
            >>> Recipe().mismatch("uint16")
            'pixels are uint16, which go up to 65535, and the recipe has max_value=255'
            >>> Recipe(max_value=4095).mismatch("uint16")
            ''
        """
        largest = {"uint8": 255, "uint16": 65535}.get(str(dtype))
        if largest and (self.max_value > largest or 255 == self.max_value < largest):
            return (
                f"pixels are {dtype}, which go up to {largest}, and the recipe has "
                f"max_value={self.max_value:g}"
            )
        return ""

    def to_json(self) -> str:
        """Return the recipe as JSON, with the version of kagglekit that wrote it."""
        return json.dumps(asdict(self) | {"kagglekit_version": kagglekit.__version__})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote. Raises ValueError or TypeError if it is something else."""
        values = json.loads(text)
        version = values.pop("kagglekit_version", "of an unknown version")
        unknown = values.keys() - {known.name for known in fields(cls)}
        if unknown:
            raise ValueError(
                f"kagglekit {version} wrote {', '.join(sorted(unknown))}, "
                f"which kagglekit {kagglekit.__version__} does not know"
            )
        lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
        return cls(**(values | lists))


def _plain(value: Any) -> Any:
    """Return lists, arrays and tensors as tuples, and NumPy's numbers as Python's."""
    plain = value.tolist() if hasattr(value, "tolist") else value
    return tuple(map(_plain, plain)) if isinstance(plain, list | tuple) else plain


def _jsonable(value: Any) -> Any:
    """Return what JSON would give back: lists for arrays, Python's numbers for NumPy's."""
    plain = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(plain, Mapping):
        return {key: _jsonable(each) for key, each in plain.items()}
    return list(map(_jsonable, plain)) if isinstance(plain, list | tuple) else plain


def _tuple(value: Any) -> tuple[Any, ...]:
    plain = _plain(value)
    return plain if isinstance(plain, tuple) else (plain,)


def _whole(name: str, value: Any) -> int:
    if not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name}={value!r} must be a whole number of at least 1")
    return int(value)
