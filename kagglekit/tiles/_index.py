"""Which tiles there are, how much of each mask is in them, and how much tissue."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from kagglekit.slides import tissue_mask
from kagglekit.tiles._cut import Picture
from kagglekit.tiling import make_grid


@dataclass(frozen=True, eq=False)
class Index:
    """The tiles of one or several pictures; row i of every array is tile i.

    Attributes:
        window: side of a tile in model pixels.
        picture: (N,) int64, place of the tile's picture in their list.
        tile: (N, 4) int64, `y0, y1, x0, x1` in model pixels of its picture.
        area: (N, K) int64, image pixels of each mask inside the tile.
        tissue: (N,) float32 in [0, 1], the tile's share of tissue.
    """

    window: int
    picture: npt.NDArray[np.int64]
    tile: npt.NDArray[np.int64]
    area: npt.NDArray[np.int64]
    tissue: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.tile)

    def select(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Self:
        """Return the index of some tiles: a mask (N,) or their numbers.

        Example:
            >>> index.select((index.tissue > 0.05) | index.area.any(axis=1))  # doctest: +SKIP
        """
        return type(self)(
            self.window,
            self.picture[which],
            self.tile[which],
            self.area[which],
            self.tissue[which],
        )

    def to_csv(self, path: Path, names: Sequence[str]) -> None:
        """Write a table of the tiles, with the pictures' names, for who works without this library.

        Args:
            path: where to.
            names: of the pictures.
        """
        table = pd.DataFrame(self.tile, columns=["y0", "y1", "x0", "x1"])
        table.insert(0, "picture", [names[i] for i in self.picture])
        for plane in range(self.area.shape[1]):
            table[f"area_{plane}"] = self.area[:, plane]
        table["tissue"] = self.tissue.round(4)
        table.to_csv(path, index=False)


def index(
    pictures: Sequence[Picture],
    window: int,
    min_overlap: int = 0,
    shifts: Sequence[tuple[int, int]] = ((0, 0),),
) -> Index:
    """List the tiles of pictures, without ever holding one of them whole.

    Areas are counted on the masks' runs; tissue is found on a thumbnail of at most 1,024 pixels,
    which decodes each block of the slide once.

    Args:
        pictures: slides with masks, all with the same number of masks.
        window: side of a tile in model pixels. A picture smaller than that has one tile, its own
            size.
        min_overlap: fewest model pixels that neighbours share.
        shifts: grids to lay, each moved by (down, along) model pixels and pushed back where it
            would leave the picture; e.g. ((0, 0), (window // 2, window // 2)) shows what one grid
            cuts in two whole. A tile that two grids share is listed once.

    Raises:
        ValueError: there are no pictures, their numbers of masks differ, or a shift is negative.
    """
    planes = {len(picture.masks) for picture in pictures}
    if len(planes) != 1:
        raise ValueError(
            f"{len(pictures)} picture(s) with {sorted(planes)} masks: expected at least one "
            "picture, and as many masks for each"
        )
    if min(min(shift) for shift in shifts) < 0:
        raise ValueError(f"shifts={tuple(shifts)}: none can be negative")
    parts = []
    for number, picture in enumerate(pictures):
        tiles = _grid(picture.shape, window, min_overlap, shifts)
        boxes = [picture.box(tile) for tile in tiles.tolist()]
        area = [[mask.crop(*box).area for mask in picture.masks] for box in boxes]
        shares = _tissue(picture, boxes)
        parts.append((np.full(len(tiles), number), tiles, np.array(area, np.int64), shares))
    arrays = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Index(window, *arrays)


def _grid(
    shape: tuple[int, int], window: int, min_overlap: int, shifts: Sequence[tuple[int, int]]
) -> npt.NDArray[np.int64]:
    grid = make_grid(shape, window, min_overlap)
    room = np.maximum(np.array(shape) - window, 0)
    grids = []
    for shift in shifts:
        moved = np.minimum(grid[:, [0, 2]] + shift, room) - grid[:, [0, 2]]
        grids.append(grid + moved.repeat(2, axis=1))
    # Sorted by y0, then x0: neighbours share stored blocks.
    return np.unique(np.concatenate(grids)[:, [0, 2, 1, 3]], axis=0)[:, [0, 2, 1, 3]]


def _tissue(picture: Picture, boxes: list[tuple[int, int, int, int]]) -> npt.NDArray[np.float32]:
    """Return the share of tissue in boxes of image pixels; cells of the thumbnail count by part."""
    thumbnail, scale = picture.slide.thumbnail()
    tissue = tissue_mask(thumbnail).astype(np.float64)
    shares = []
    for y0, y1, x0, x1 in boxes:
        rows, down = _cells(y0, y1, scale)
        columns, along = _cells(x0, x1, scale)
        shares.append(down @ tissue[rows, columns] @ along / ((y1 - y0) * (x1 - x0)))
    return np.array(shares, np.float32)


def _cells(start: int, stop: int, scale: int) -> tuple[slice, npt.NDArray[np.int64]]:
    """Return the cells of `scale` pixels that a span touches, and its pixels in each."""
    cells = np.arange(start // scale, -(-stop // scale))
    covered = np.minimum((cells + 1) * scale, stop) - np.maximum(cells * scale, start)
    return slice(int(cells[0]), int(cells[-1]) + 1), covered
