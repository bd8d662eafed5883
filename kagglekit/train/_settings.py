"""What a training is to do, in one frozen place."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
import torch

from kagglekit.losses import bce_dice_loss

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

PRECISIONS = ("auto", "no", "fp16", "bf16")
"""The names `Settings.precision` may have."""

SCHEDULES: dict[str, Callable[[float], float]] = {
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
    "linear": lambda done: 1 - done,
    "constant": lambda done: 1.0,
}
"""How the learning rate falls after its rise: share of the way done, [0, 1], to share of `lr`."""

_FREE = ("precision", "patience", "hours", "save_minutes", "workers", "progress")


@dataclass(frozen=True)
class Settings:
    """What a training is to do.

    Attributes:
        epochs: how many of the sampler's epochs; None for as many as `hours` allow, and the
            learning rate falls with the clock.
        batch_size: tiles that one device sees at a time.
        accumulate: batches whose gradients make one step of the optimizer. With W devices a step
            is made of batch_size × accumulate × W tiles; the last of an epoch of what is left.
        lr: the highest learning rate of AdamW.
        weight_decay: of AdamW.
        schedule: a name of `SCHEDULES`.
        warmup: share of all steps in which the learning rate rises, in [0, 1).
        clip: longest gradient, as a norm over all weights; 0 for none.
        ema: how much of the weights' running average each step keeps, e.g. 0.999; 0 for none. With
            it, the average is what is validated and saved.
        loss: of `kagglekit.losses`, or like them: the mean over a batch's samples.
        auxiliary: weight of the auxiliary outputs, if the network has some.
        precision: "fp16", "bf16", "no", or "auto": bf16 where the GPU computes with it, else fp16.
            On a CPU always "no".
        patience: epochs without a better score after which training stops; 0 for never.
        hours: when to stop, counted from the call; None for never. Without `epochs`, what the whole
            training takes, all calls together.
        save_minutes: how often the state is saved within an epoch; 0 for after each step.
        workers: processes that read tiles; none, with a warning, where /dev/shm is too small.
        progress: show a bar.

    Raises:
        ValueError: a setting is out of its range; all are listed.
    """

    epochs: int | None = 30
    batch_size: int = 8
    accumulate: int = 1
    lr: float = 1e-3
    weight_decay: float = 1e-2
    schedule: str = "cosine"
    warmup: float = 0.05
    clip: float = 1.0
    ema: float = 0.999
    loss: Loss = bce_dice_loss
    auxiliary: float = 0.4
    precision: str = "auto"
    patience: int = 0
    hours: float | None = None
    save_minutes: float = 10
    workers: int = 2
    progress: bool = True

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.generic):  # a state holds plain numbers only
                object.__setattr__(self, field.name, value.item())
        checks = {
            "epochs must be at least 1, or None where hours are given": (
                self.hours is not None if self.epochs is None else self.epochs >= 1
            ),
            "batch_size must be at least 1": self.batch_size >= 1,
            "accumulate must be at least 1": self.accumulate >= 1,
            "lr must be above 0": self.lr > 0,
            "weight_decay must not be below 0": self.weight_decay >= 0,
            f"schedule must be one of {', '.join(SCHEDULES)}": self.schedule in SCHEDULES,
            "warmup must be in [0, 1)": 0 <= self.warmup < 1,
            "clip must not be below 0": self.clip >= 0,
            "ema must be in [0, 1)": 0 <= self.ema < 1,
            f"precision must be one of {', '.join(PRECISIONS)}": self.precision in PRECISIONS,
            "auxiliary must not be below 0": self.auxiliary >= 0,
            "patience must not be below 0": self.patience >= 0,
            "hours must be above 0, or None": self.hours is None or self.hours > 0,
            "save_minutes must not be below 0": self.save_minutes >= 0,
            "workers must not be below 0": self.workers >= 0,
        }
        for name in ("epochs", "batch_size", "accumulate", "patience", "workers"):
            value = getattr(self, name)
            checks[f"{name} must be a whole number"] = value is None or isinstance(value, Integral)
        wrong = [rule for rule, holds in checks.items() if not holds]
        if wrong:
            given = [f"{rule}, not {getattr(self, rule.split()[0])!r}" for rule in wrong]
            raise ValueError("; ".join(given))

    def lr_at(self, done: float) -> float:
        """Return the learning rate when a share of the training, in [0, 1], is done.

        Example:
            >>> settings = Settings(lr=1.0, schedule="linear", warmup=0.5)
            >>> [settings.lr_at(done) for done in (0.25, 0.5, 0.75)]
            [0.5, 1.0, 0.5]
        """
        if done < self.warmup:
            return self.lr * done / self.warmup
        return self.lr * SCHEDULES[self.schedule]((done - self.warmup) / (1 - self.warmup))

    def shaping(self) -> dict[str, Any]:
        """Return the settings that a training cannot change when it goes on, as plain values."""
        found = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _FREE}
        return found | {"loss": name_of(self.loss)}


def name_of(function: Any) -> str:
    """Tell one function from another, as far as a name can: two lambdas have the same."""
    if isinstance(function, partial):
        given = [in_words(each) for each in function.args]
        given += [f"{key}={in_words(value)}" for key, value in sorted(function.keywords.items())]
        return f"{name_of(function.func)}({', '.join(given)})"
    return str(getattr(function, "__name__", type(function).__name__))


def in_words(value: Any) -> str:
    """Return a value in words that are the same in another process: no address, sets sorted."""
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(map(in_words, value)))}}}"
    plain = value.item() if isinstance(value, np.generic) else value
    return name_of(plain) if callable(plain) else re.sub(r" at 0x[0-9a-fA-F]+", "", repr(plain))
