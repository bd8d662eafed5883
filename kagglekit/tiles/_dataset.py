"""Tiles as a torch Dataset: read, augmented and turned into tensors where they are asked for."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from kagglekit.tiles._cut import Picture
from kagglekit.tiles._index import Index
from kagglekit.tiles._sampler import Draw

Array = npt.NDArray[Any]
Augment = Callable[[Array, Array, Sequence[int]], tuple[Array, Array]]


class TileDataset(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """The tiles of an index. Safe with any number of workers, forked or spawned.

    Args:
        pictures: the slides with their masks, in the index's order.
        index: their tiles.
        augment: called with pixels (h, w, C), masks (K, h, w) and a key, returns the first two:
            an `augment.Augmentation`, or None.
        convert: applied to the pixels of a picture before that, one function for each picture
            (e.g. of `stain.match`), or None.

    Raises:
        ValueError: not as many functions as pictures, or the index has more pictures than that.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        index: Index,
        augment: Augment | None = None,
        convert: Sequence[Callable[[Array], Array]] | None = None,
    ) -> None:
        used = int(index.picture.max(initial=-1)) + 1
        if used > len(pictures) or (convert is not None and len(convert) != len(pictures)):
            functions = "" if convert is None else f" and {len(convert)} functions to convert them"
            raise ValueError(
                f"{len(pictures)} pictures{functions}, and an index of {used}: they do not pair up"
            )
        self.pictures, self.index = tuple(pictures), index
        self.augment, self.convert = augment, convert

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, draw: Draw | int) -> tuple[torch.Tensor, torch.Tensor]:
        """Read one tile.

        Args:
            draw: what a `TileSampler` yields; or a tile's number, and it is not augmented.

        Returns:
            Pixels (C, window, window), dtype as stored (uint16 as int32, which torch can compute
            with), their channels side by side in memory, and masks (K, window, window) uint8, 0 or
            1.
        """
        tile = draw.tile if isinstance(draw, Draw) else draw
        which = int(self.index.picture[tile])
        pixels, masks = self.pictures[which].read(self.index.tile[tile], self.index.window)
        if self.convert is not None:
            pixels = self.convert[which](pixels)
        if self.augment is not None and isinstance(draw, Draw):
            pixels, masks = self.augment(pixels, masks, draw.key)
        if pixels.dtype == np.uint16:
            pixels = pixels.astype(np.int32)
        # No copy here: networks read channels that lie side by side as fast, or faster.
        return torch.from_numpy(pixels).permute(2, 0, 1), torch.from_numpy(masks)


def collate(
    samples: Sequence[tuple[torch.Tensor, torch.Tensor]],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Make a batch of a `TileDataset`'s tiles, eight times as fast as torch's own function.

    Args:
        samples: as `TileDataset` returns them; for the `collate_fn` of a DataLoader.

    Returns:
        Pixels (N, C, window, window), channels last in memory, and masks (N, K, window, window).
    """
    pixels, masks = zip(*samples, strict=True)
    stacked = torch.stack([each.permute(1, 2, 0) for each in pixels])
    return stacked.permute(0, 3, 1, 2), torch.stack(masks)
