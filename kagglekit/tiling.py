"""Which windows cover an image, and how their overlaps are weighted.

Two grids, because they serve two readers:

- `make_grid` is for notebooks that cut training tiles: every tile lies inside the image.
- `plan_axis` is for inference: every window, the last one too, starts on the network's stride,
  and the image is padded to fit. Windows off the stride make tiled masks differ from untiled
  ones.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


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
        ValueError: a side is below one pixel, or `min_overlap` is not in [0, window).

    Example:
        >>> make_grid((100, 150), window=100, min_overlap=10).tolist()
        [[0, 100, 0, 100], [0, 100, 50, 150]]
    """
    height, width = _checked_shape(shape)
    _check_window(window, min_overlap)
    rows, columns = (_spread(side, window, min_overlap) for side in (height, width))
    tiles = [(y0, y1, x0, x1) for y0, y1 in rows for x0, x1 in columns]
    return np.array(tiles, dtype=np.int64)


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

    def weights(self) -> npt.NDArray[np.float32]:
        """Blend weights: a trapezoid per window, normalised so that they sum to one at each pixel.

        Where neighbours share `o` pixels, a window's outer `o/4` count for nothing (that is where a
        convolution has seen the fewest real neighbours), and over the next `o/2` one window fades
        into the other. A window keeps its full weight towards the image's border.

        Returns:
            (len(starts), window) float32 in [0, 1].
        """
        weights = np.ones((len(self.starts), self.window))
        at = np.arange(self.window) + 0.5
        for i, (left, right) in enumerate(zip(self.starts, self.starts[1:], strict=False)):
            shared = left + self.window - right
            if shared > 0:
                rise = np.clip((at - shared / 4) / (shared / 2), 0, 1)
                weights[i] = np.minimum(weights[i], rise[::-1])
                weights[i + 1] = np.minimum(weights[i + 1], rise)
        total = np.zeros(self.padded)
        for start, weight in zip(self.starts, weights, strict=True):
            total[start : start + self.window] += weight
        for start, weight in zip(self.starts, weights, strict=True):
            weight /= total[start : start + self.window]
        return weights.astype(np.float32)


def plan_axis(size: int, window: int, min_overlap: int, stride: int = 32) -> Axis:
    """Place windows along one axis for inference.

    All windows start on a multiple of `stride`, so a convolutional network with that total stride
    sees the same pixel grid in every window. The last one may reach past the image; the caller
    pads (by reflection) up to `Axis.padded`, which is less than `stride` pixels past the end unless
    the whole image is smaller than that.

    Args:
        size: pixels of the image along this axis, at network resolution.
        window: pixels of a window, a multiple of `stride`. An image that needs less gets less.
        min_overlap: fewest pixels that neighbours share, less than `window`.
        stride: the network's total stride in pixels.

    Returns:
        The `Axis`.

    Raises:
        ValueError: `window` is not a multiple of `stride`, or `min_overlap` leaves no step of at
            least one stride.

    Example:
        >>> plan_axis(1000, window=512, min_overlap=64).starts
        (0, 448, 512)
    """
    _check_window(window, min_overlap)
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


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def _checked_shape(shape: tuple[int, int]) -> tuple[int, int]:
    if len(shape) != 2 or min(shape) < 1:
        raise ValueError(f"shape={tuple(shape)} must be (height, width), both at least 1 pixel")
    return shape


def _check_window(window: int, min_overlap: int) -> None:
    if window < 1:
        raise ValueError(f"window={window} must be at least 1 pixel")
    if not 0 <= min_overlap < window:
        raise ValueError(f"min_overlap={min_overlap} must be in [0, window), window={window}")
