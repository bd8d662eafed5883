"""The area of surface in a cube of eight voxels, for each of the 256 ways to fill them.

The rule is that of marching cubes: the surface crosses each edge of the cube between a filled and
an empty corner, at its middle. The crossings around each group of corners that hang together
along edges (of the filled corners, or of the empty ones where they are fewer) make a closed loop,
and triangles fill the loop. A loop of five or six crossings is not flat, and its area depends on
the triangles; the tables in use, and Kaggle's metric with them, have the largest area.
"""

import math
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

Corner = tuple[int, int, int]
Point = tuple[float, float, float]

CORNERS: tuple[Corner, ...] = tuple((z, y, x) for z in (0, 1) for y in (0, 1) for x in (0, 1))
"""(z, y, x) of the corners; the first has the highest bit, 128, of a code."""


@cache
def surface_areas() -> NDArray[np.float64]:
    """Return the area for each code: (256,) float64, in faces of a voxel.

    Example:
        >>> surface_areas()[[0b00000000, 0b00001111, 0b00000001]].round(4).tolist()
        [0.0, 1.0, 0.2165]
    """
    areas = np.array([_area(code) for code in range(256)])
    areas.flags.writeable = False
    return areas


def _area(code: int) -> float:
    filled = {corner for bit, corner in enumerate(CORNERS) if code >> (7 - bit) & 1}
    fewer = filled if len(filled) <= 4 else set(CORNERS) - filled
    return sum(_largest(_loop(group)) for group in _groups(fewer))


def _groups(corners: set[Corner]) -> Iterator[set[Corner]]:
    """Yield the corners that hang together along edges."""
    left = set(corners)
    while left:
        group, new = set(), {left.pop()}
        while new:
            group |= new
            new = {near for corner in new for near in _neighbours(corner)} & left
            left -= new
        yield group


def _neighbours(corner: Corner) -> list[Corner]:
    z, y, x = corner
    return [(1 - z, y, x), (z, 1 - y, x), (z, y, 1 - x)]


def _loop(group: set[Corner]) -> list[Point]:
    """Return the middles of the edges that leave a group, one after the other around it."""
    left = {
        (*((i + j) / 2 for i, j in zip(corner, near, strict=True)),)
        for corner in group
        for near in _neighbours(corner)
        if near not in group
    }
    loop = [min(left)]
    while left := left - {loop[-1]}:
        loop.append(next(point for point in sorted(left) if _on_one_face(point, loop[-1])))
    return loop  # type: ignore[return-value]


def _on_one_face(a: Sequence[float], b: Sequence[float]) -> bool:
    return any(i == j and i in (0, 1) for i, j in zip(a, b, strict=True))


def _largest(loop: Sequence[Point]) -> float:
    """Return the largest area of triangles that fill a loop: all ways to cut it are tried."""
    if len(loop) < 3:
        return 0.0
    return max(
        _largest(loop[: k + 1]) + _triangle(loop[0], loop[k], loop[-1]) + _largest(loop[k:])
        for k in range(1, len(loop) - 1)
    )


def _triangle(a: Point, b: Point, c: Point) -> float:
    """Return the area by Heron's formula, in the form that keeps its digits."""
    long, middle, short = sorted((math.dist(a, b), math.dist(b, c), math.dist(c, a)), reverse=True)
    near, far = short - (long - middle), short + (long - middle)
    return math.sqrt((long + (middle + short)) * near * far * (long + (middle - short))) / 4
