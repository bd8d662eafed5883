"""Annotated polygons as masks."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kagglekit.errors import RLEError
from kagglekit.rle._arrays import Order, Shape
from kagglekit.rle._builder import RLEBuilder
from kagglekit.rle._core import RLE

_STRIP = 1 << 24  # pixels painted at a time

Polygon = Mapping[str, Any] | Sequence[Sequence[Sequence[float]]]


def from_polygons(polygons: Sequence[Polygon], shape: Shape, order: Order = "F") -> RLE:
    """Encode the union of polygons without painting the whole mask.

    A pixel belongs to a polygon if its centre does; pixel (0, 0) spans x and y from 0 to 1.

    Args:
        polygons: each a GeoJSON feature or geometry, or the list of its rings (the outer one
            first, then holes), a ring being a list of (x, y) in pixels.
        shape: (height, width) of the mask, in pixels.
        order: the order of the runs.

    Raises:
        RLEError: a polygon is something else; the message names every such one.

    Example:
        >>> square = [[(1, 0), (3, 0), (3, 2), (1, 2)]]
        >>> from_polygons([square], shape=(3, 4)).to_mask()
        array([[0, 1, 1, 0],
               [0, 1, 1, 0],
               [0, 0, 0, 0]], dtype=uint8)
    """
    from rasterio.features import bounds, rasterize
    from rasterio.transform import Affine

    geometries = _geometries(polygons)
    reach = [bounds(geometry) for geometry in geometries]  # left, bottom, right, top
    height, width = shape
    builder = RLEBuilder(shape, order)
    step = max(1, _STRIP // width)
    for top in range(0, height, step):
        rows = min(step, height - top)
        here = [
            geometry
            for geometry, (_, low, _, high) in zip(geometries, reach, strict=True)
            if min(low, high) < top + rows and max(low, high) > top
        ]
        strip = np.zeros((rows, width), np.uint8)
        if here:
            rasterize(here, out=strip, transform=Affine.translation(0, top), default_value=1)
        builder.push(strip)
    return builder.finish()


def _geometries(polygons: Sequence[Polygon]) -> list[dict[str, Any]]:
    found, problems = [], []
    for i, polygon in enumerate(polygons):
        geometry: Any = polygon
        if isinstance(geometry, Mapping):
            geometry = geometry.get("geometry", geometry) or {}  # null is a feature without a place
        else:
            geometry = {"type": "Polygon", "coordinates": polygon}
        kind = geometry.get("type")
        if kind not in ("Polygon", "MultiPolygon"):
            problems.append(f"polygon {i}: is a {kind!r}, not a Polygon")
            continue
        given = geometry.get("coordinates")
        several = given if kind == "MultiPolygon" else [given]
        if _has_rings(several):
            closed = [[_closed(ring) for ring in rings] for rings in several]
            found.append({"type": "MultiPolygon", "coordinates": closed})
        else:
            problems.append(f"polygon {i}: a ring needs 3 or more (x, y), in a list of rings")
    if problems:
        raise RLEError(f"{len(problems)} of {len(polygons)} polygons are wrong", problems=problems)
    return found


def _closed(ring: Any) -> list[list[float]]:
    """End a ring where it began: of fewer than four points rasterio makes nothing."""
    points: list[list[float]] = np.asarray(ring, float).tolist()
    while points[-1] != points[0] or len(points) < 4:
        points.append(points[0])
    return points


def _has_rings(polygons: Any) -> bool:
    try:
        rings = [np.asarray(ring, float) for polygon in polygons for ring in polygon]
    except (TypeError, ValueError):  # numbers where lists should be, or ragged lists
        return False
    return bool(rings) and all(
        ring.ndim == 2 and len(ring) >= 3 and ring.shape[1] == 2 and np.isfinite(ring).all()
        for ring in rings
    )
