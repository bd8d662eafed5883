"""A slide of kidney, drawn: tubules, vessels, infiltrates, and the glomeruli to be found.

Nothing sets a glomerulus apart by colour alone: it shares its stains with tubules, its density of
nuclei with infiltrates and its white rim with vessels. What it has is their arrangement.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from kagglekit.competitions.fake.texture import (
    EOSIN,
    HEMATOXYLIN,
    PAS,
    Image,
    blur,
    depth_in_blob,
    place_apart,
    scatter,
    smooth_noise,
    soft_step,
    stained,
)

TUBULE = 36
"""Distance of neighbouring tubules in pixels."""


class _Canvas:
    """How much of each stain lies where: two (height, width) float32 arrays that are painted on."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.nuclei = np.zeros(shape, np.float32)
        self.pink = np.zeros(shape, np.float32)

    def paint(self, place: tuple[slice, slice], share: Image, nuclei: Image, pink: Image) -> None:
        """Blend new amounts over what is there, `share` (0 to 1) of them."""
        for stain, amount in ((self.nuclei, nuclei), (self.pink, pink)):
            stain[place] += share * (amount - stain[place])


def draw_kidney(
    rng: np.random.Generator, shape: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw a slide of kidney.

    Args:
        rng: source of randomness.
        shape: (height, width) in pixels.

    Returns:
        The slide, (height, width, 3) uint8 RGB, and the mask of its glomeruli, (height, width)
        uint8 of 0 and 1.
    """
    canvas = _Canvas(shape)
    _tubules(rng, canvas)
    size = min(1.0, min(shape) / 640)
    count = max(1, round(rng.uniform(0.8, 1.2) * shape[0] * shape[1] / (210_000 * size**2)))
    glomeruli = place_apart(rng, shape, size * rng.uniform(46, 78, count), gap=8)
    vessels = size * rng.uniform(22, 52, 1 + count // 3)
    for y, x, radius in place_apart(rng, shape, vessels, gap=8, taken=glomeruli):
        _vessel(rng, canvas, (y, x), radius)
    for y, x in scatter(rng, shape, 520 * size)[::2]:
        _infiltrate(rng, canvas, (int(y), int(x)), float(rng.uniform(35, 75)) * size)
    mask = np.zeros(shape, np.uint8)
    for y, x, radius in glomeruli:
        _glomerulus(rng, canvas, mask, (y, x), radius)
    tissue = _tissue(rng, shape, mask)
    return _develop(rng, canvas, tissue), mask


def _tubules(rng: np.random.Generator, canvas: _Canvas) -> None:
    """Fill the canvas with tubules: a wall, pink cells with their nuclei, often a white lumen."""
    shape = canvas.shape
    seeds = scatter(rng, shape, TUBULE)
    blank = np.ones(shape, np.uint8)
    blank[seeds[:, 0], seeds[:, 1]] = 0
    _, cell = cv2.distanceTransformWithLabels(blank, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    y += 5 * smooth_noise(rng, shape, 28)
    x += 5 * smooth_noise(rng, shape, 28)
    cell = cv2.remap(
        cell.astype(np.float32), x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT
    )
    inside = np.ones(shape, np.uint8)
    inside[:, 1:] &= cell[:, 1:] == cell[:, :-1]
    inside[1:] &= cell[1:] == cell[:-1]
    # A slide smaller than a tubule has no wall to be far from: OpenCV says 3e38 then.
    depth = np.minimum(cv2.distanceTransform(inside, cv2.DIST_L2, 5), 10 * TUBULE)

    kind = rng.uniform(size=int(cell.max()) + 1).astype(np.float32)[cell.astype(np.int64)]
    fine, rough = smooth_noise(rng, shape, 2.2), smooth_noise(rng, shape, 9)
    wall = np.exp(-(((depth - 3.2) / 1.3) ** 2))
    lumen = soft_step(depth + 1.2 * rough, 8 + 9 * kind, 2.5)
    cells = soft_step(depth, 2.4, 1.2) * (1 - lumen)
    canvas.pink += cells * (0.42 + 0.28 * kind + 0.07 * fine + 0.05 * rough) + 0.35 * wall
    matrix = soft_step(smooth_noise(rng, shape, 45) + 0.4 * rough, 0.2, 0.8)
    canvas.pink += (1 - cells) * (1 - lumen) * (0.07 + 0.20 * matrix) + 0.03 * lumen
    canvas.nuclei += cells * (0.06 + 0.16 * (1 - kind) + 0.04 * rough)
    points = scatter(rng, shape, 10)
    at = depth[points[:, 0], points[:, 1]]
    in_wall = (at > 5.5) & (at < 10.5) & (rng.uniform(size=len(at)) < 0.62)
    between = (at < 1.6) & (rng.uniform(size=len(at)) < 0.25)
    _stamp_nuclei(rng, canvas.nuclei, points[in_wall], radius=3.3)
    _stamp_nuclei(rng, canvas.nuclei, points[between], radius=2.6, stretch=2.2)


def _glomerulus(
    rng: np.random.Generator,
    canvas: _Canvas,
    mask: NDArray[np.uint8],
    centre: tuple[int, int],
    radius: float,
) -> None:
    """Paint a capsule, the white space in it, and the lobed tuft of capillaries; mark the mask."""
    place, middle, shape = _around(canvas.shape, centre, 1.5 * radius)
    depth = depth_in_blob(rng, shape, middle, radius, wobble=0.06, stretch=rng.uniform(1, 1.25))
    rough, fine = smooth_noise(rng, shape, 0.16 * radius), smooth_noise(rng, shape, 3.2)
    space = radius * (0.10 + 0.05 * smooth_noise(rng, shape, 0.9 * radius))
    tuft = soft_step(depth + 0.045 * radius * rough, 3 + np.maximum(space, 1.5), 3)
    lobes = soft_step(np.abs(smooth_noise(rng, shape, 0.34 * radius) + 0.2 * fine), 0.2, 0.16)
    loops = soft_step(np.abs(fine + 0.5 * rough), 0.42, 0.6)
    capsule = np.exp(-(((depth - 1.5) / 1.6) ** 2))
    pink = tuft * (0.06 + 0.50 * loops * (0.35 + 0.65 * lobes)) + 0.42 * capsule + 0.03
    nuclei = tuft * (0.05 + 0.09 * loops)
    canvas.paint(place, soft_step(depth, 0, 3), nuclei, pink)
    points = scatter(rng, shape, 8.5)
    at = tuft[points[:, 0], points[:, 1]] * lobes[points[:, 0], points[:, 1]]
    chosen = points[(at > 0.6) & (rng.uniform(size=len(at)) < 0.62)]
    _stamp_nuclei(rng, canvas.nuclei[place], chosen, radius=3.0)
    ring = points[np.abs(depth[points[:, 0], points[:, 1]] - 2) < 2.2]
    _stamp_nuclei(rng, canvas.nuclei[place], ring[::3], radius=2.3, stretch=2.0)
    mask[place] |= depth > 0


def _vessel(
    rng: np.random.Generator, canvas: _Canvas, centre: tuple[int, int], radius: float
) -> None:
    """Paint an artery: a wall of muscle around a white lumen, sometimes with blood in it."""
    place, middle, shape = _around(canvas.shape, centre, 1.5 * radius)
    depth = depth_in_blob(rng, shape, middle, radius, wobble=0.08, stretch=rng.uniform(1, 1.7))
    rough, fine = smooth_noise(rng, shape, 7), smooth_noise(rng, shape, 2.5)
    inner = radius * rng.uniform(0.25, 0.5) + 2 * rough
    lumen = soft_step(depth, inner, 2.5)
    layers = 0.12 * np.sin(depth * 1.1 + rough)
    blood = 0.55 * soft_step(rough + 0.3 * fine, 0.5, 0.5) * (rng.uniform() < 0.5)
    pink = (1 - lumen) * (0.52 + layers + 0.05 * fine) + lumen * (0.03 + blood)
    canvas.paint(place, soft_step(depth, 0, 4), 0.08 * (1 - lumen), pink)
    points = scatter(rng, shape, 9)
    at, deep = depth[points[:, 0], points[:, 1]], lumen[points[:, 0], points[:, 1]]
    chosen = points[(at > 3) & (deep < 0.3) & (rng.uniform(size=len(at)) < 0.5)]
    _stamp_nuclei(rng, canvas.nuclei[place], chosen, radius=2.6, stretch=2.4)


def _infiltrate(
    rng: np.random.Generator, canvas: _Canvas, centre: tuple[int, int], radius: float
) -> None:
    """Paint a crowd of lymphocytes: as many nuclei as a glomerulus has, but no form."""
    place, middle, shape = _around(canvas.shape, centre, 2 * radius)
    depth = depth_in_blob(rng, shape, middle, radius, wobble=0.3, stretch=rng.uniform(1.5, 3))
    depth += 0.3 * radius * smooth_noise(rng, shape, 0.5 * radius)
    points = scatter(rng, shape, 7.5)
    at = depth[points[:, 0], points[:, 1]] / radius
    chosen = points[rng.uniform(size=len(at)) < np.clip(2.5 * at, 0, 0.85)]
    _stamp_nuclei(rng, canvas.nuclei[place], chosen, radius=2.9)


def _tissue(rng: np.random.Generator, shape: tuple[int, int], mask: NDArray[np.uint8]) -> Image:
    """Return the share of tissue at each pixel, 0 on bare glass; glomeruli stay whole."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    edge = np.minimum(np.minimum(y, shape[0] - y), np.minimum(x, shape[1] - x)) / min(shape)
    field = 8 * edge.astype(np.float32) - 0.15 + 0.55 * smooth_noise(rng, shape, min(shape) / 3)
    field += 0.05 * smooth_noise(rng, shape, 14)
    cracks = np.abs(smooth_noise(rng, shape, min(shape) / 2.5)) - 0.012
    cracks += 0.02 * smooth_noise(rng, shape, 20)
    tissue = soft_step(field, 0, 0.06) * soft_step(cracks, 0, 0.012)
    near = blur(cv2.dilate(mask, np.ones((25, 25), np.uint8)).astype(np.float32), 5)
    whole: Image = np.maximum(tissue, near)
    return whole


def _develop(rng: np.random.Generator, canvas: _Canvas, tissue: Image) -> NDArray[np.uint8]:
    """Turn amounts of stain into a picture, as one laboratory would stain it."""
    uneven = 1 + 0.08 * smooth_noise(rng, canvas.shape, 300)
    pink = blur(tissue * np.maximum(canvas.pink, 0) * uneven, 0.8) * rng.uniform(0.85, 1.25)
    nuclei = blur(tissue * np.maximum(canvas.nuclei, 0) * uneven, 0.8) * rng.uniform(0.9, 1.2)
    share = np.float32(rng.uniform(0, 1))
    return stained(rng, {HEMATOXYLIN: nuclei, EOSIN: pink * (1 - share), PAS: pink * share})


def _stamp_nuclei(
    rng: np.random.Generator,
    nuclei: Image,
    points: NDArray[np.int64],
    radius: float,
    stretch: float = 1.25,
) -> None:
    """Add nuclei of about `radius` pixels, each with its own size, direction and darkness."""
    stamps = np.zeros(nuclei.shape, np.float32)
    for y, x in points.tolist():
        short = radius * rng.uniform(0.75, 1.25)
        axes = (round(short * stretch * rng.uniform(0.9, 1.2)), round(short))
        cv2.ellipse(stamps, (x, y), axes, rng.uniform(0, 180), 0, 360, rng.uniform(0.55, 1.0), -1)
    np.maximum(nuclei, stamps, out=nuclei)


def _around(
    shape: tuple[int, int], centre: tuple[int, int], reach: float
) -> tuple[tuple[slice, slice], tuple[float, float], tuple[int, int]]:
    """Return the part of the canvas within `reach` pixels, the centre in it, and its shape."""
    y0, x0 = (max(0, int(at - reach)) for at in centre)
    y1, x1 = (min(side, int(at + reach) + 1) for at, side in zip(centre, shape, strict=True))
    return (slice(y0, y1), slice(x0, x1)), (centre[0] - y0, centre[1] - x0), (y1 - y0, x1 - x0)
