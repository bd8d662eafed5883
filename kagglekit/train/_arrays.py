"""Train on tiles in memory for a given time: the short way, for small data."""

import time
from collections.abc import Callable

import torch

from kagglekit.losses import bce_dice_loss
from kagglekit.models import Model
from kagglekit.train._settings import Loss
from kagglekit.tta import views

_REPORTS = 10


def fit_arrays(
    model: Model,
    images: torch.Tensor,
    masks: torch.Tensor,
    *,
    minutes: float,
    batch_size: int = 8,
    peak_lr: float = 5e-3,
    weights: torch.Tensor | None = None,
    loss: Loss = bce_dice_loss,
    say: Callable[[str], None] = print,
) -> None:
    """Train in place, then leave the model in evaluation mode.

    AdamW; the learning rate rises over the first tenth of the time and falls to
    nothing at the end, so the time given is used whatever the machine. Each batch is seen in one of
    the square's eight symmetries, its light scaled by about a tenth, its colours by half of that:
    tissue has no right way up, and lamps and stains differ.

    Args:
        model: on the device to train on.
        images: (N, C, h, w), raw pixel values in [0, recipe.max_value]; h = w.
        masks: (N, K, h, w), 0 or 1.
        minutes: training time.
        batch_size: tiles per step.
        peak_lr: highest learning rate.
        weights: (N,) how often each tile is drawn, relative to the others; by default all alike.
        loss: of `kagglekit.losses`, or like them.
        say: called with a line of progress, ten times.

    Raises:
        ValueError: numbers of images, masks and weights differ, or tiles are not square.
    """
    weights = torch.ones(len(images)) if weights is None else weights
    if not len(images) == len(masks) == len(weights):
        raise ValueError(
            f"{len(images)} images, {len(masks)} masks and {len(weights)} weights do not pair up"
        )
    if images.shape[2] != images.shape[3]:
        raise ValueError(f"tiles of {tuple(images.shape[2:])} pixels are not square")
    symmetries = views("d4")
    device = next(model.parameters()).device
    limit = model.recipe.max_value
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak_lr, weight_decay=1e-2)
    model.train()
    started, steps, done, reported = time.monotonic(), 0, 0.0, 0
    while done < 1:
        for group in optimizer.param_groups:
            group["lr"] = peak_lr * min(0.05 + 10 * done, 1 - done)
        chosen = torch.multinomial(weights, batch_size, replacement=True)
        view = symmetries[int(torch.randint(len(symmetries), ()))]
        light = 1 + 0.1 * torch.randn(batch_size, 1, 1, 1)
        light = light + 0.05 * torch.randn(batch_size, images.shape[1], 1, 1)
        x = (view.apply(images[chosen]) * light).clamp(0, limit).to(device)
        cost = loss(model(x), view.apply(masks[chosen]).to(device))
        optimizer.zero_grad()
        cost.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        steps += 1
        done = (time.monotonic() - started) / (60 * minutes)
        if int(done * _REPORTS) > reported:
            reported = int(done * _REPORTS)
            say(f"{min(done, 1):4.0%}  step {steps}  loss {cost.item():.4f}")
    model.eval()
