"""From a stored probability map to the masks that the prediction itself would have given."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from kagglekit.inference._decide import Decision
from kagglekit.inference._runs import RunSink
from kagglekit.inference._track import ROWS_AT_ONCE
from kagglekit.rle import RLE

Map = npt.NDArray[Any]


def cut_map(prob: Map, shape: tuple[int, int], scale: int, decide: Decision) -> list[RLE]:
    """Make masks of a probability map, a few rows at a time.

    A map of uint8 is cut as whole numbers, so that what lies between two of its steps is no matter
    of rounding.

    Args:
        prob: (planes, h, w), float in [0, 1] or uint8 for [0, 255], as `predict_prob` returns it.
        shape: (height, width) of the image in pixels.
        scale: image pixels per pixel of the map.
        decide: which masks to make; several may come from one plane.

    Returns:
        The masks at the image's full resolution, order "F".

    Raises:
        ValueError: the map is not that of such an image.
    """
    if prob.shape[1:] != tuple(-(-side // scale) for side in shape):
        raise ValueError(
            f"a map of {prob.shape[1]} x {prob.shape[2]} pixels is not that of an image of "
            f"{shape[0]} x {shape[1]} at scale {scale}"
        )
    if prob.dtype == np.uint8:
        decide = replace(decide, cuts=tuple(255 * cut for cut in decide.cuts))
    sink = RunSink(shape, scale, 0, decide)
    for rows in strips(prob):
        sink.add(rows)
    return sink.finish()


def strips(prob: Map) -> Iterator[torch.Tensor]:
    """Yield the rows of a map, some at a time, as float32 of the values that are stored."""
    for at in range(0, prob.shape[1], ROWS_AT_ONCE):
        yield torch.from_numpy(prob[:, at : at + ROWS_AT_ONCE].astype(np.float32))
