"""What the network is shown, and what it makes of it: the first tiles of a training, drawn."""

from collections.abc import Sequence

import numpy as np
import torch

from kagglekit import plots
from kagglekit.models import Model
from kagglekit.tiles import Draw, TileDataset

_GAP = 4  # white pixels between tiles


def draw_batch(model: Model, dataset: TileDataset, draws: Sequence[Draw]) -> plots.Picture:
    """Draw tiles in a row each: as it is; with its masks; augmented with its masks; predicted.

    Masks are green. In the last column green is predicted and true, vermilion predicted only, blue
    true only. A tile whose masks lie beside what they should cover shows at a glance.

    Args:
        model: predicts the augmented tiles; it is left in evaluation mode.
        dataset: of the tiles.
        draws: which, and how they are augmented.

    Returns:
        (len(draws) × (window + 4) - 4, 4 × (window + 4) - 4, 3) uint8 RGB.
    """
    model.eval()
    rows: list[plots.Picture] = []
    for draw in draws:
        plain, true = dataset[draw.tile]
        seen, moved = dataset[draw]
        with torch.inference_mode():
            logits: torch.Tensor = model(seen[None].to(model.device))
        found = list((logits[0] > 0).cpu().numpy())
        before, after = _rgb(plain), _rgb(seen)
        masks, turned = list(true.numpy() > 0), list(moved.numpy() > 0)
        columns = [
            before,
            plots.differences(before, masks, masks),
            plots.differences(after, turned, turned),
            plots.differences(after, found, turned),
        ]
        rows.append(_joined(columns, 1))
    return _joined(rows, 0)


def _rgb(pixels: torch.Tensor) -> plots.Picture:
    """Return (C, h, w) pixels as RGB; of other than one or three channels the first, in grey."""
    shown = pixels if len(pixels) in (1, 3) else pixels[:1]
    return plots.as_rgb8(shown.permute(1, 2, 0).numpy())


def _joined(pictures: Sequence[plots.Picture], axis: int) -> plots.Picture:
    shape = list(pictures[0].shape)
    shape[axis] = _GAP
    white = np.full(shape, 255, np.uint8)
    parts = [part for picture in pictures for part in (picture, white)]
    return np.concatenate(parts[:-1], axis=axis)
