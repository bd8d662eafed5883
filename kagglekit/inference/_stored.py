"""From a stored probability map to the masks that the prediction itself would have given."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from kagglekit.inference._decide import Decision
from kagglekit.inference._runs import RunSink
from kagglekit.inference._track import rows_at_once
from kagglekit.rle import RLE

Map = npt.NDArray[Any]


def cut_map(
    prob: Map, shape: tuple[int, int], scale: int, decisions: Sequence[Decision]
) -> list[list[RLE]]:
    """Make masks of a probability map, read once and a few rows at a time.

    A map of uint8 is cut as whole numbers, so that what lies between two of its steps is no matter
    of rounding.

    Args:
        prob: (planes, h, w), float in [0, 1] or uint8 for [0, 255], as `predict_prob` returns it.
        shape: (height, width) of the image in pixels.
        scale: image pixels per pixel of the map.
        decisions: which masks to make. Of cuts that are far apart, better one in each: where one
            of a decision's masks has its outline, all of them are computed.

    Returns:
        The masks of each decision at the image's full resolution, order "F".

    Raises:
        ValueError: the map is not that of such an image.
    """
    _check(prob, shape, scale)
    if prob.dtype == np.uint8:
        decisions = [replace(one, cuts=tuple(255 * cut for cut in one.cuts)) for one in decisions]
    sinks = [RunSink(shape, scale, 0, one) for one in decisions]
    for rows in _strips(prob):
        for sink in sinks:
            sink.add(rows)
    return [sink.finish() for sink in sinks]


def enlarged(prob: Map, shape: tuple[int, int], scale: int) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield a map at the image's full resolution, a few rows at a time, as `cut_map` sees it.

    Args:
        prob: as for `cut_map`.
        shape: likewise.
        scale: likewise.

    Yields:
        The first row, and (planes, n, width) float32 of the values that are stored.

    Raises:
        ValueError: the map is not that of such an image.
    """
    _check(prob, shape, scale)
    top = 0
    if scale == 1:
        for rows in _strips(prob):
            yield top, rows
            top += rows.shape[1]
        return
    height, width = shape
    above = torch.from_numpy(prob[:, :1].astype(np.float32))
    at = 0
    for rows in _strips(prob, scale**2):
        at += rows.shape[1]
        # Beyond the outermost centres the value stays: the border is repeated.
        ends = [rows[:, -1:]] if at == prob.shape[1] else []
        between = _between(torch.cat([above, rows, *ends], 1), 1, scale)
        if not top:  # the first cells lie half outside the image
            between = between[:, scale - scale // 2 :]
        between = between[:, : height - top]
        wide = torch.cat([between[:, :, :1], between, between[:, :, -1:]], 2)
        left = scale - scale // 2
        yield top, _between(wide, 2, scale)[:, :, left : left + width]
        top, above = top + between.shape[1], rows[:, -1:]


def _between(values: torch.Tensor, dim: int, scale: int) -> torch.Tensor:
    """Interpolate `scale` values between each one and the next along a dimension."""
    count = values.shape[dim] - 1
    here, step = values.narrow(dim, 0, count), values.diff(dim=dim)
    sides = list(values.shape)
    sides[dim] = count * scale
    found = values.new_empty(sides)
    for phase in range(scale):
        share = (scale // 2 + phase + 0.5) / scale - 0.5
        place = [slice(None)] * 3
        place[dim] = slice(phase, None, scale)
        found[tuple(place)] = torch.add(here, step, alpha=share)
    return found


def _strips(prob: Map, each: int = 1) -> Iterator[torch.Tensor]:
    """Yield the rows of a map, some at a time, as float32 of the values that are stored.

    `each` value is going to be so many.
    """
    step = rows_at_once(prob.shape[0] * each, prob.shape[2], torch.device("cpu"))
    for at in range(0, prob.shape[1], step):
        yield torch.from_numpy(prob[:, at : at + step].astype(np.float32))


def _check(prob: Map, shape: tuple[int, int], scale: int) -> None:
    if prob.shape[1:] != tuple(-(-side // scale) for side in shape):
        raise ValueError(
            f"a map of {prob.shape[1]} x {prob.shape[2]} pixels is not that of an image of "
            f"{shape[0]} x {shape[1]} at scale {scale}"
        )
