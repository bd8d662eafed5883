"""What the user wants, checked and made whole: models, slide and options become a `Job`."""

import math
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from kagglekit.inference._answers import batch_for, cores_for
from kagglekit.inference._decide import Decision
from kagglekit.inference._network import Mean
from kagglekit.inference._options import Options, cuts, given, numbers, planes_of
from kagglekit.models import Model, Recipe
from kagglekit.slides import Slide
from kagglekit.tiling import Blend, Grid, plan_grid
from kagglekit.tta import View, views

_MOST_THREADS = 4  # what Kaggle's machines have; more of them would hold more blocks in memory


@dataclass(frozen=True)
class Member:
    """Models that see the same windows.

    Attributes:
        models: one or more, of one scale and window.
        weights: how much each counts, beside all models of the job.
        scale: image pixels per model pixel.
        grid: the windows over the image at that scale.
    """

    models: tuple[Model, ...]
    weights: tuple[float, ...]
    scale: int
    grid: Grid


@dataclass(frozen=True)
class Job:
    """Everything that is to be done.

    Attributes:
        slide: the image.
        members: the models, grouped by windows.
        axis: along which the sweep goes: 0 down the image, 1 to the right.
        classes: planes of the probability map.
        planes: of each mask, which it is cut from.
        thresholds: one per mask.
        high_thresholds: one per mask, or none.
        device: of the models.
        views: how each window is looked at.
        threads: how many decode at a time.
        cores: how many batches are predicted at a time.
        blend, mean, exclusive, skip_background, batch_size, amp, compile, progress, checkpoint: as
            in `Options`.
    """

    slide: Slide
    members: tuple[Member, ...]
    axis: Literal[0, 1]
    classes: int
    planes: tuple[int, ...]
    thresholds: tuple[float, ...]
    high_thresholds: tuple[float, ...]
    device: torch.device
    views: tuple[View, ...]
    threads: int
    cores: int
    blend: Blend
    mean: Mean
    exclusive: bool
    skip_background: bool
    batch_size: int
    amp: bool
    compile: bool
    progress: bool
    checkpoint: Path | None = None

    @property
    def scale(self) -> int:
        """Image pixels per pixel of the probability map: the finest of the models' scales."""
        return min(member.scale for member in self.members)

    @property
    def small(self) -> tuple[int, int]:
        """(height, width) of the probability map."""
        height, width = self.slide.shape
        return -(-height // self.scale), -(-width // self.scale)

    @property
    def decision(self) -> Decision:
        """The masks to make, and behind them those of the high thresholds."""
        planes = self.planes * 2 if self.high_thresholds else self.planes
        return Decision(planes, self.thresholds + self.high_thresholds, self.exclusive)


def make_job(models: Model | Sequence[Model], slide: Slide, options: Options) -> Job:
    """Check and fill in.

    Raises:
        TypeError: there is no option of that name; a model or the slide is something else.
        ValueError: models that do not fit together or to the slide, a model in training mode, or
            an option that cannot be.
    """
    options = given(options)
    models = _listed(models)
    if not isinstance(slide, Slide):
        raise TypeError(f"slide is of type {type(slide).__name__}: open the image with open_slide")
    recipe = _shared_recipe(models, slide)
    weights = numbers(options.get("weights", 1.0), len(models), "weights", "models")
    if not all(0 < weight < math.inf for weight in weights):
        raise ValueError(f"weights={list(weights)} must all be above 0, and finite")
    members = _members(models, weights, slide, options)
    mean = options.get("mean", "prob")
    if mean not in ("prob", "logit", "geometric"):
        raise ValueError(f"mean={mean!r} must be 'prob', 'logit' or 'geometric'")
    if mean == "logit" and len(members) > 1:
        raise ValueError("mean='logit' needs models of one scale and one window; use mean='prob'")
    # By all windows, not by those left or a rank's: last digits depend on how torch computes.
    windows = sum(len(member.grid) for member in members)
    compiled = options.get("compile", False)
    batch_size: Any = options.get("batch_size")
    device = _device(models)
    if batch_size is None:
        grids = [member.grid for member in members]
        pixels = max(grid.rows.window * grid.columns.window for grid in grids)
        batch_size = batch_for(windows, pixels, device, compiled)
    if not isinstance(batch_size, Integral) or batch_size < 1:
        raise ValueError(f"batch_size={batch_size!r} must be a whole number of at least 1")
    planes = planes_of(options, recipe.classes)
    high = options.get("high_threshold")
    thresholds = options.get("threshold", [recipe.thresholds[plane] for plane in planes])
    return Job(
        slide=slide,
        members=members,
        axis=_axis(slide),
        classes=recipe.classes,
        planes=planes,
        thresholds=cuts(thresholds, len(planes), "threshold"),
        high_thresholds=() if high is None else cuts(high, len(planes), "high_threshold"),
        device=device,
        views=views(options.get("tta", "none")),
        threads=_threads(),
        cores=cores_for(windows, int(batch_size), device, compiled),
        blend=options.get("blend", "trapezoid"),
        mean=mean,
        exclusive=options.get("exclusive", False),
        skip_background=options.get("skip_background", False),
        batch_size=int(batch_size),
        amp=options.get("amp", True),
        compile=compiled,
        progress=options.get("progress", True),
        checkpoint=Path(options["checkpoint"]) if "checkpoint" in options else None,
    )


def _listed(models: Any) -> list[Model]:
    listed: list[Any] = [models] if isinstance(models, nn.Module) else list(models)
    for model in listed:
        if not isinstance(model, Model):
            raise TypeError(
                f"a model is of type {type(model).__name__}: give models.Model(net, Recipe(...)), "
                "which knows how the network is fed"
            )
    return listed


def _threads() -> int:
    """Return this process's share of the cores, with the other ranks on this machine."""
    if hasattr(os, "sched_getaffinity"):  # not on a Mac, nor on Windows
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, min(cores // ranks_here(), _MOST_THREADS))


def ranks_here() -> int:
    """Return how many ranks share this machine: launchers say so."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def _members(
    models: Sequence[Model], weights: Sequence[float], slide: Slide, options: Options
) -> tuple[Member, ...]:
    """Group the models by what they see, in the order given."""
    own = [model.recipe.window for model in models]
    windows = numbers(options.get("window", own), len(models), "window", "models")
    groups: dict[tuple[int, int], list[int]] = {}
    for k, (model, window) in enumerate(zip(models, windows, strict=True)):
        groups.setdefault((model.recipe.scale, window), []).append(k)
    finest = min(scale for scale, _ in groups)
    members = []
    for (scale, window), chosen in groups.items():
        if scale % finest:
            raise ValueError(f"scale {scale} of a model is no multiple of another's, {finest}")
        small = (-(-slide.shape[0] // scale), -(-slide.shape[1] // scale))
        stride = models[0].recipe.stride
        min_overlap = options.get("min_overlap", max(0, min(window // 8, window - stride)))
        members.append(
            Member(
                tuple(models[k] for k in chosen),
                tuple(weights[k] for k in chosen),
                scale,
                plan_grid(small, window, min_overlap, stride),
            )
        )
    return tuple(members)


def _axis(slide: Slide) -> Literal[0, 1]:
    """Sweep along the longer side, for memory grows with the other; or as the file is stored."""
    (height, width), (tall, wide) = slide.shape, slide.block
    if slide.sequential or (wide >= width and tall < height):
        return 0
    if tall >= height and wide < width:
        return 1
    return 0 if height >= width else 1


def _device(models: Sequence[Model]) -> torch.device:
    devices = {str(model.device) for model in models}
    if len(devices) > 1:
        raise ValueError(f"the models are on different devices: {', '.join(sorted(devices))}")
    return models[0].device


def _shared_recipe(models: Sequence[Model], slide: Slide) -> Recipe:
    """Return the first model's recipe after checking that all fit together and to the slide."""
    if not models:
        raise ValueError("no model given; expected at least one")
    recipe = models[0].recipe
    for name in ("classes", "stride"):
        found = [getattr(model.recipe, name) for model in models]
        if len(set(found)) > 1:
            raise ValueError(f"the models' recipes must share `{name}`; they have {found}")
    orders = {model.recipe.class_names for model in models if model.recipe.class_names}
    if len(orders) > 1:
        named = " and ".join(", ".join(names) for names in sorted(orders))
        raise ValueError(f"the models' planes are not the same: {named}")
    for model in models:
        # The layers, not only the whole: the user may have set the network's mode by itself.
        layers = (part for part in model.modules() if not any(part.children()))
        if model.training or any(layer.training for layer in layers):
            raise ValueError("a model is in training mode; call model.eval() first")
        if slide.channels not in (1, model.recipe.in_channels):
            raise ValueError(
                f"{slide.path.name} has {slide.channels} channels; "
                f"the model takes {model.recipe.in_channels}"
            )
        if doubt := model.recipe.mismatch(slide.dtype):
            warnings.warn(doubt, stacklevel=2)
    return recipe
