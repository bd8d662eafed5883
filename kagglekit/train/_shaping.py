"""What a training cannot change when it goes on: settings, network, tiles, what judges it."""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from kagglekit.models import Recipe
from kagglekit.tiles import TileDataset, TileSampler
from kagglekit.train._settings import Settings, in_words, name_of
from kagglekit.train._validation import Validation

# What a network is, and how it sees a tile; of a recipe the rest is how masks are made.
_SEEN = (
    "architecture", "options", "in_channels", "classes", "mean", "std", "max_value", "scale",
    "window", "stride",
)  # fmt: skip
# Of the options of a prediction: what changes how it is made, and not what it finds.
_NO_MATTER = ("amp", "batch_size", "checkpoint", "compile", "progress")


def shaping_of(
    settings: Settings,
    recipe: Recipe,
    dataset: TileDataset,
    sampler: TileSampler,
    validation: Validation | None,
    devices: int,
) -> dict[str, Any]:
    """Return it as plain values, by the names that messages use; much is told by its checksum.

    Files are not among it, for another session has them elsewhere; nor are pixels.
    """
    index = dataset.index
    return settings.shaping() | {
        "seed": int(sampler.seed),
        "tiles": _sum([index.window, index.picture, index.tile, index.area]),
        "draws": _sum([*sampler.groups, *sampler.counts]),
        "augmentation": _augmentation(dataset.augment),
        **_judges(validation),
        "devices": devices,
        **{f"recipe.{name}": getattr(recipe, name) for name in _SEEN},
    }


def _judges(validation: Validation | None) -> dict[str, str]:
    """Return what validates: images, rules, and the options that change masks."""
    if validation is None:
        return {"validation": "none"}
    finish = name_of(validation.finish) if validation.finish else "none"
    images = f"{len(validation.images)} images of {validation.comp.slug}"
    found = {"validation": f"{images}, {_sum(sorted(validation.images))}"}
    options = {
        f"validation.{name}": in_words(value)
        for name, value in validation.options.items()
        if name not in _NO_MATTER and value is not None
    }
    return found | {"validation.finish": finish} | options


def _augmentation(augment: Any) -> str:
    """Tell augmentations apart by their steps and what these are set to, as far as that is told."""
    if augment is None:
        return "none"
    steps = getattr(augment, "steps", [augment])
    return _sum(f"{name_of(one)} {in_words(_kept(one))}" for one in steps)


def _kept(step: Any) -> object:
    return None if hasattr(step, "__name__") else getattr(step, "__dict__", None)


def _sum(parts: Iterable[Any]) -> str:
    """Return eight digits that tell one thing from another."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.tobytes() if isinstance(part, np.ndarray) else in_words(part).encode()
        digest.update(f"{len(raw)} ".encode() + raw)
    return digest.hexdigest()[:8]
