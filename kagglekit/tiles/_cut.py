"""A slide and its masks at the resolution the model sees, cut into tiles and put together again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kagglekit.rle import RLE, RLEBuilder
from kagglekit.scaling import shrink
from kagglekit.slides import Slide
from kagglekit.tiles._bits import Bits
from kagglekit.tiling import make_grid

_STRIP_PIXELS = 16 << 20  # of a mask that are decoded at a time


@dataclass(frozen=True)
class Picture:
    """A slide with its masks, seen at a scale. Nothing is read before a tile is asked for.

    It can be pickled, and inherited by forked workers: each opens the file for itself.

    Attributes:
        slide: the image.
        masks: one for each plane that the model will predict, of the slide's shape.
        scale: image pixels per model pixel. Pixels are averaged, and a mask pixel is 1 where at
            least half of what it covers is.
        bits: the same masks in a file, from which windows are read faster; None if there is none.
        stored_scale: pixels of the original image per pixel of the slide, where that is a copy made
            by `store`.

    Raises:
        ValueError: a mask's shape is not the slide's.
    """

    slide: Slide
    masks: Sequence[RLE]
    scale: int = 1
    bits: Bits | None = None
    stored_scale: int = 1

    def __post_init__(self) -> None:
        for mask in self.masks:
            if mask.shape != self.slide.shape:
                raise ValueError(f"a mask is {mask.shape}, the slide {self.slide.shape}")

    @property
    def model_scale(self) -> int:
        """Pixels of the original image per model pixel: the `Recipe.scale` it goes with."""
        return self.scale * self.stored_scale

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in model pixels."""
        height, width = self.slide.shape
        return -(-height // self.scale), -(-width // self.scale)

    def box(self, tile: Sequence[int]) -> tuple[int, int, int, int]:
        """Return the image pixels that a tile of model pixels covers, both `y0, y1, x0, x1`."""
        (height, width), scale = self.slide.shape, self.scale
        y0, y1, x0, x1 = (int(side) * scale for side in tile)
        return y0, min(y1, height), x0, min(x1, width)

    def read(
        self, tile: Sequence[int], window: int
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]:
        """Read one tile.

        Args:
            tile: `y0, y1, x0, x1` in model pixels, inside the picture.
            window: side of what is returned; a smaller tile is mirrored to fill it.

        Returns:
            Pixels (window, window, channels) as stored, and masks (K, window, window) uint8.
        """
        box = self.box(tile)
        pixels = _fill(self.slide.read(*box, self.scale), window)
        if not self.masks:
            return pixels, np.zeros((0, window, window), np.uint8)
        if self.bits is not None:
            planes = self.bits.read(*box).transpose(1, 2, 0)
        else:
            planes = np.stack([mask.window(*box) for mask in self.masks], axis=2)
        if self.scale > 1:
            planes = _halves(planes, self.scale)
        return pixels, np.ascontiguousarray(_fill(planes, window).transpose(2, 0, 1))


def cut(
    slide: Slide, masks: Sequence[RLE], window: int, scale: int = 1, min_overlap: int = 0
) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]:
    """Cut a slide and its masks into equal tiles that cover it, all in memory.

    Args:
        slide: the image.
        masks: one mask per plane that the model will predict, of the slide's shape.
        window: side of a tile in model pixels. A slide smaller than that is mirrored to fill it.
        scale: image pixels per model pixel; pixels are averaged, and a mask pixel is 1 where at
            least half of what it covers is.
        min_overlap: fewest model pixels that neighbours share.

    Returns:
        Pixels (N, window, window, channels) as stored, and masks (N, K, window, window) uint8, 0
        or 1. `join` is the way back.

    Raises:
        ValueError: a mask's shape is not the slide's.
    """
    picture = Picture(slide, masks, scale)
    tiles = make_grid(picture.shape, window, min_overlap).tolist()
    pixels, planes = zip(*(picture.read(tile, window) for tile in tiles), strict=True)
    return np.stack(pixels), np.stack(planes)


def join(tiles: npt.NDArray[Any], shape: tuple[int, int], min_overlap: int = 0) -> npt.NDArray[Any]:
    """Put the tiles of `cut` together again, exactly.

    Args:
        tiles: (N, window, window, channels), in `cut`'s order; masks as `masks.transpose(0, 2, 3,
            1)`.
        shape: (height, width) of the picture in model pixels.
        min_overlap: what was given to `cut`.

    Returns:
        (height, width, channels). Where tiles overlap, the later one counts.

    Raises:
        ValueError: another number of tiles than a picture of this shape has.

    Example:
        >>> picture = np.arange(24).reshape(4, 6, 1)
        >>> tiles = np.stack([picture[:, :4], picture[:, 2:]])
        >>> bool((join(tiles, (4, 6)) == picture).all())
        True
    """
    grid = make_grid(shape, tiles.shape[1], min_overlap).tolist()
    if len(grid) != len(tiles):
        raise ValueError(
            f"{len(tiles)} tiles of {tiles.shape[1]} pixels; a picture of {shape} with "
            f"min_overlap={min_overlap} has {len(grid)}"
        )
    picture = np.empty((*shape, tiles.shape[3]), tiles.dtype)
    for (y0, y1, x0, x1), tile in zip(grid, tiles, strict=True):
        picture[y0:y1, x0:x1] = tile[: y1 - y0, : x1 - x0]
    return picture


def shrink_mask(mask: RLE, scale: int) -> RLE:
    """Return a mask at a scale: a pixel is in it where at least half of what it covers is.

    Decoded a strip of rows at a time, so the mask is never in memory as pixels.

    Args:
        mask: a mask in image pixels.
        scale: image pixels per model pixel.

    Example:
        >>> shrink_mask(RLE.from_text("1 2 6 1", (4, 4)), 2).to_text()
        '1 1'
    """
    if scale == 1:
        return mask
    height, width = mask.shape
    builder = RLEBuilder((-(-height // scale), -(-width // scale)), mask.order)
    rows = max(_STRIP_PIXELS // width // scale, 1) * scale
    for y0 in range(0, height, rows):
        strip = mask.window(y0, min(y0 + rows, height), 0, width)
        builder.push(_halves(strip[:, :, None], scale)[:, :, 0])
    return builder.finish()


def _halves(planes: npt.NDArray[np.uint8], scale: int) -> npt.NDArray[np.uint8]:
    return (shrink(planes * np.uint8(255), scale) >= 128).astype(np.uint8)


def _fill(pixels: npt.NDArray[Any], window: int) -> npt.NDArray[Any]:
    missing = (window - pixels.shape[0], window - pixels.shape[1])
    if not any(missing):
        return pixels
    return np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="reflect")
