"""Which windows cover an image, and how their overlaps are weighted.

Two grids, because they serve two readers:

- `make_grid` is for notebooks that cut training tiles: every tile lies inside the image.
- `plan_grid` is for inference: every window, the last one too, starts on the network's stride,
  and the image is mirrored to fit. Windows off the stride make tiled masks differ from untiled
  ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

Values: TypeAlias = npt.NDArray[Any]
Blend: TypeAlias = Literal["trapezoid", "hann", "gaussian", "constant", "crop"]

_PARTS = 4096  # weights are multiples of 1/4096, so that a product of two sums without rounding


def make_grid(shape: tuple[int, int], window: int, min_overlap: int = 0) -> npt.NDArray[np.int64]:
    """Cover an image with as few equal tiles as possible, evenly spread.

    Args:
        shape: (height, width) of the image in pixels.
        window: side of a tile in pixels. An image smaller than this gets one tile of its own size.
        min_overlap: fewest pixels that neighbours share, less than `window`.

    Returns:
        (N, 4) int64, one tile a row as `y0, y1, x0, x1` (half-open), top to bottom and left to
        right; all inside the image, none twice, every pixel covered.

    Raises:
        ValueError: a side is below one pixel or no whole number, or `min_overlap` is not in
            [0, window).

    Example:
        >>> make_grid((100, 150), window=100, min_overlap=10).tolist()
        [[0, 100, 0, 100], [0, 100, 50, 150]]
    """
    height, width = _checked_shape(shape)
    _check_window(window, min_overlap)
    rows, columns = (_spread(side, window, min_overlap) for side in (height, width))
    tiles = [(y0, y1, x0, x1) for y0, y1 in rows for x0, x1 in columns]
    return np.array(tiles, dtype=np.int64)


def scale_for(um_per_pixel: float, model_um_per_pixel: float) -> int:
    """Return the scale at which a slide looks to a model as its training slides did.

    Args:
        um_per_pixel: side of a pixel of the slide, in µm.
        model_um_per_pixel: side of a pixel that the model was trained on, in µm.

    Returns:
        Image pixels per model pixel: the nearest whole number of at least 1.

    Raises:
        ValueError: a side is not above 0.

    Example:
        >>> scale_for(0.5, 2.0)  # a 20x slide for a model trained at 5x
        4
    """
    if not (um_per_pixel > 0 and model_um_per_pixel > 0):
        raise ValueError(
            f"pixel sides of {um_per_pixel} and {model_um_per_pixel} µm: both must be above 0"
        )
    return max(1, round(model_um_per_pixel / um_per_pixel))


def _spread(size: int, window: int, min_overlap: int) -> list[tuple[int, int]]:
    if size <= window:
        return [(0, size)]
    count = -(-(size - min_overlap) // (window - min_overlap))
    # Even spacing never exceeds window - min_overlap: `count` is the smallest that allows it.
    starts = [i * (size - window) // (count - 1) for i in range(count)]
    return [(start, start + window) for start in starts]


@dataclass(frozen=True)
class Axis:
    """The windows along one axis of an image, and their blend weights.

    Attributes:
        size: pixels of the image along this axis, at network resolution.
        window: pixels of a window along this axis.
        starts: first pixel of each window, ascending, each a multiple of the network's stride.
    """

    size: int
    window: int
    starts: tuple[int, ...]

    @property
    def padded(self) -> int:
        """Pixels from the first window's start to the last one's end; at least `size`."""
        return self.starts[-1] + self.window

    def sources(self, i: int) -> npt.NDArray[np.int64]:
        """Tell which pixels fill window i: its own, and mirrored ones beyond the image's end.

        Returns:
            (window,) int64 in [0, size), as `np.pad(mode="reflect")` would choose them.

        Example:
            >>> Axis(size=5, window=4, starts=(0, 4)).sources(1).tolist()
            [4, 3, 2, 1]
        """
        at = np.arange(self.starts[i], self.starts[i] + self.window)
        period = max(2 * (self.size - 1), 1)
        return np.minimum(at % period, -at % period)

    def weights(self, blend: Blend = "trapezoid") -> npt.NDArray[np.float32]:
        """Weigh the windows so that at each pixel they sum to one, exactly.

        Args:
            blend: how a window fades into its neighbours.

                - "trapezoid": where neighbours share `o` pixels, a window's outer `o/4` count for
                  nothing (there a convolution has seen the fewest real neighbours), and over the
                  next `o/2` one fades into the other;
                - "hann": sin² over the whole window;
                - "gaussian": sigma of an eighth of the window, as MONAI and nnU-Net have it;
                - "constant": the plain mean;
                - "crop": each pixel belongs to the window whose centre is nearest.

        Returns:
            (len(starts), window) float32 in [0, 1], multiples of 1/4096. A window keeps its full
            weight towards the image's border.

        Raises:
            ValueError: there is no such blend.
        """
        shapes = _shapes(self, blend)
        parts = np.rint(_PARTS * shapes / self._windows(self._total(shapes))).astype(np.int64)
        # What rounding took or gave goes to the window that counts most at the pixel.
        missing = self._windows(_PARTS - self._total(parts))
        parts += np.where(self._leads(shapes), missing, 0)
        weights: npt.NDArray[np.float32] = (parts / _PARTS).astype(np.float32)
        return weights

    def _spans(self) -> Iterator[slice]:
        return (slice(start, start + self.window) for start in self.starts)

    def _total(self, values: Values) -> Values:
        """Add the values of all windows, (n, window), at each pixel, (padded,)."""
        total = np.zeros(self.padded, values.dtype)
        for span, value in zip(self._spans(), values, strict=True):
            total[span] += value
        return total

    def _windows(self, values: Values) -> Values:
        """Look at the values of pixels, (padded,), through each window, (n, window)."""
        return np.stack([values[span] for span in self._spans()])

    def _leads(self, shapes: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Tell where a window is the first of those that count most, (n, window)."""
        best, leader = np.zeros(self.padded), np.zeros(self.padded, np.int64)
        for i, (span, shape) in enumerate(zip(self._spans(), shapes, strict=True)):
            more = shape > best[span]
            best[span][more], leader[span][more] = shape[more], i
        leads: npt.NDArray[np.bool_] = self._windows(leader) == np.arange(len(shapes))[:, None]
        return leads


@dataclass(frozen=True)
class Grid:
    """The windows over an image: every row of `rows` with every column of `columns`.

    Attributes:
        rows: the windows down the image.
        columns: the windows along it.
    """

    rows: Axis
    columns: Axis

    def __len__(self) -> int:
        return len(self.rows.starts) * len(self.columns.starts)

    @property
    def axes(self) -> tuple[Axis, Axis]:
        """Rows and columns, for who goes along either."""
        return self.rows, self.columns


def plan_grid(shape: tuple[int, int], window: int, min_overlap: int, stride: int = 32) -> Grid:
    """Place windows over an image for inference; both axes as `plan_axis`.

    Args:
        shape: (height, width) of the image in pixels, at network resolution.
        window: side of a window in pixels, a multiple of `stride`.
        min_overlap: fewest pixels that neighbours share.
        stride: the network's total stride in pixels.

    Raises:
        ValueError: as `plan_axis`, or a side is below one pixel.

    Example:
        >>> len(plan_grid((1000, 2000), window=512, min_overlap=64))
        15
    """
    height, width = _checked_shape(shape)
    return Grid(*(plan_axis(side, window, min_overlap, stride) for side in (height, width)))


def plan_axis(size: int, window: int, min_overlap: int, stride: int = 32) -> Axis:
    """Place windows along one axis for inference.

    All windows start on a multiple of `stride`, so a convolutional network with that total stride
    sees the same pixel grid in every window. The last one may reach past the image, where
    `Axis.sources` mirrors it; that is less than `stride` pixels past the end.

    Args:
        size: pixels of the image along this axis, at network resolution.
        window: pixels of a window, a multiple of `stride`. An image that needs less gets less.
        min_overlap: fewest pixels that neighbours share, less than `window`.
        stride: the network's total stride in pixels.

    Returns:
        The `Axis`.

    Raises:
        ValueError: `size` or `stride` is below 1, `window` is not a multiple of `stride`, or
            `min_overlap` leaves no step of at least one stride.

    Example:
        >>> plan_axis(1000, window=512, min_overlap=64).starts
        (0, 448, 512)
    """
    _check_window(window, min_overlap)
    if size < 1 or stride < 1:
        raise ValueError(f"size={size} and stride={stride} must be at least 1 pixel")
    if window % stride:
        raise ValueError(f"window={window} must be a multiple of the network's stride, {stride}")
    step = (window - min_overlap) // stride * stride
    if step == 0:
        raise ValueError(
            f"min_overlap={min_overlap} leaves no room to move a window of {window} by the "
            f"network's stride, {stride}; give at most {window - stride}"
        )
    window = min(window, _round_up(size, stride))
    last = _round_up(max(size - window, 0), stride)
    return Axis(size, window, (*range(0, last, step), last))


def _shapes(axis: Axis, blend: Blend) -> npt.NDArray[np.float64]:
    """Return how much each window counts before their sum is made one, (n, window), above 0."""
    if blend not in get_args(Blend):
        raise ValueError(f"blend={blend!r} must be one of {', '.join(map(repr, get_args(Blend)))}")
    count, window = len(axis.starts), axis.window
    at = (np.arange(window) + 0.5) / window  # (0, 1) across the window
    if blend == "hann":
        return np.tile(np.sin(np.pi * at) ** 2, (count, 1))
    if blend == "gaussian":
        return np.tile(np.exp(-0.5 * ((at - 0.5) * 8) ** 2), (count, 1))
    weights = np.ones((count, window))
    if blend == "constant":
        return weights
    ramp = 1e-9 if blend == "crop" else 0.5  # share of the overlap over which a window fades
    for i, (left, right) in enumerate(zip(axis.starts, axis.starts[1:], strict=False)):
        shared = left + window - right
        if shared > 0:
            rise = np.clip((at * window / shared - 0.5) / ramp + 0.5, 0, 1)
            weights[i] = np.minimum(weights[i], rise[::-1])
            weights[i + 1] = np.minimum(weights[i + 1], rise)
    return weights


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def _checked_shape(shape: tuple[int, int]) -> tuple[int, int]:
    whole = all(isinstance(side, Integral) for side in shape)
    if len(shape) != 2 or not whole or min(shape) < 1:
        raise ValueError(
            f"shape={tuple(shape)} must be (height, width), both whole and at least 1 pixel"
        )
    return shape


def _check_window(window: int, min_overlap: int) -> None:
    sides: dict[str, Any] = {"window": window, "min_overlap": min_overlap}
    for name, value in sides.items():
        if not isinstance(value, Integral):
            raise ValueError(f"{name}={value!r} must be a whole number of pixels")
    if window < 1:
        raise ValueError(f"window={window} must be at least 1 pixel")
    if not 0 <= min_overlap < window:
        raise ValueError(f"min_overlap={min_overlap} must be in [0, window), window={window}")
