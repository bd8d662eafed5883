"""From image pixels to model pixels: averaging.

Model pixel i covers image pixels i*scale to (i+1)*scale.
"""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

_SUMS_FIT = range(3, 17)  # scales at which a cell of bytes adds up to 16 bits; OpenCV is fast at 2
# Bytes averaged at a time: few enough to stay in a cache, and many, for with each step NumPy takes
# Python's lock and gives it up, and threads that do so at the same time hold each other up.
_AT_ONCE = 1 << 20
# Largest scales at which OpenCV's sums are exact: it adds up bytes in int32, all else in float32.
_BYTES_FIT, _WORDS_FIT = 2901, 16


def shrink(pixels: npt.NDArray[Any], scale: int) -> npt.NDArray[Any]:
    """Average cells of scale x scale pixels.

    Args:
        pixels: (h, w, C), any dtype that OpenCV resizes: uint8, uint16, int16, float32, float64.
        scale: side of a cell in pixels. Where the image ends inside a cell, its last row or column
            is repeated.

    Returns:
        (ceil(h/scale), ceil(w/scale), C), same dtype, rounded for integers.

    Example:
        >>> shrink(np.array([[[0], [10]], [[20], [30]]], np.uint8), 2).tolist()
        [[[15]]]
    """
    height, width, channels = pixels.shape
    missing = (-height % scale, -width % scale)
    if any(missing):
        pixels = np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
    if not _sums_are_exact(pixels.dtype, scale):
        return _means(pixels, scale, 0)
    size = (pixels.shape[1] // scale, pixels.shape[0] // scale)  # OpenCV wants (w, h)
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return small.reshape(size[1], size[0], channels)


def shrink_planes(planes: npt.NDArray[Any], scale: int) -> npt.NDArray[Any]:
    """Do what `shrink` does to channels that lie one behind the other.

    The same, but for what depends in OpenCV on how many channels there are: in which order floats
    are added up, and at scale 2 how halves are rounded. Bytes are averaged in less time than by
    OpenCV, and before they are interleaved.

    Args:
        planes: (C, h, w), dtypes as for `shrink`; rows are contiguous.
        scale: likewise.

    Returns:
        (C, ceil(h/scale), ceil(w/scale)), same dtype.

    Example:
        >>> shrink_planes(np.array([[[0, 10], [20, 30]]], np.uint8), 2).tolist()
        [[[15]]]
    """
    _, height, width = planes.shape
    missing = (-height % scale, -width % scale)
    if any(missing):
        planes = np.pad(planes, ((0, 0), (0, missing[0]), (0, missing[1])), mode="edge")
    if not _sums_are_exact(planes.dtype, scale):
        return _means(planes, scale, 1)
    _, height, width = planes.shape
    means = np.empty((len(planes), height // scale, width // scale), planes.dtype)
    if planes.dtype != np.uint8 or scale not in _SUMS_FIT:
        for plane, small in zip(planes, means, strict=True):
            cv2.resize(plane, small.shape[::-1], dst=small, interpolation=cv2.INTER_AREA)
        return means
    sums = _sums_of_words if scale % 4 == 0 else _sums
    at_once = max(1, _AT_ONCE // (scale * width))
    for plane, small in zip(planes, means, strict=True):
        for y in range(0, len(small), at_once):
            rows = plane[y * scale : (y + at_once) * scale].reshape(-1, scale, width)
            # Halves are rounded to the even neighbour.
            small[y : y + at_once] = cv2.convertScaleAbs(sums(rows, scale), alpha=1 / scale**2)
    return means


def _sums_are_exact(dtype: np.dtype[Any], scale: int) -> bool:
    return scale <= (_BYTES_FIT if dtype.itemsize == 1 else _WORDS_FIT)


def _means(pixels: npt.NDArray[Any], scale: int, axis: int) -> npt.NDArray[Any]:
    """Average along an axis and the one behind it, in float64."""
    means = pixels
    for along in (axis, axis + 1):
        sides = means.shape
        cells = (*sides[:along], sides[along] // scale, scale, *sides[along + 1 :])
        means = means.reshape(cells).sum(along + 1, dtype=np.float64)
    means /= scale**2
    return (means if pixels.dtype.kind == "f" else means.round()).astype(pixels.dtype)


def _sums(rows: npt.NDArray[np.uint8], scale: int) -> npt.NDArray[np.uint16]:
    """Add up cells: of (n, scale, w) bytes make (n, w / scale).

    All sums of `scale` neighbours along a row are made, though one in `scale` is wanted: numbers
    that lie side by side are added many at a time.
    """
    down = rows.sum(axis=1, dtype=np.uint16)
    length = down.shape[1] - scale + 1
    along = down[:, :length].copy()
    for k in range(1, scale):
        along += down[:, k : k + length]
    return np.ascontiguousarray(along[:, ::scale])


def _sums_of_words(rows: npt.NDArray[np.uint8], scale: int) -> npt.NDArray[np.uint16]:
    """Do the same two bytes at a time, then four."""
    twos = rows.view(np.uint16)
    pairs = twos >> 8
    pairs += twos & 0xFF
    words = pairs.sum(axis=1, dtype=np.uint16).view(np.uint32)
    fours = (words & 0xFFFF) + (words >> 16)
    sums: npt.NDArray[np.uint16] = fours[:, :: scale // 4].astype(np.uint16)
    for k in range(1, scale // 4):
        sums += fours[:, k :: scale // 4].astype(np.uint16)
    return sums
