"""Training tiles: found by an index, drawn by a sampler, read when they are needed.

`Picture` is a slide with its masks at the resolution the model sees; `index` lists its tiles;
`TileDataset` reads them; a `TileSampler` says which come next and with which key, so that what is
drawn is a function of (seed, epoch, sample). `store` writes pictures once at that resolution, where
tiles are read many times faster than from a compressed file. `docs/training-data.md` shows them at
work.
"""

from kagglekit.tiles._command import planes, prepare
from kagglekit.tiles._cut import Picture, cut, join, shrink_mask
from kagglekit.tiles._dataset import TileDataset, collate
from kagglekit.tiles._folds import folds
from kagglekit.tiles._index import Index, index
from kagglekit.tiles._moments import Moments
from kagglekit.tiles._sampler import Draw, TileSampler, balanced, evenly, shuffled
from kagglekit.tiles._store import open_store, store
from kagglekit.tiles._targets import borders, distances

__all__ = [
    "Draw",
    "Index",
    "Moments",
    "Picture",
    "TileDataset",
    "TileSampler",
    "balanced",
    "borders",
    "collate",
    "cut",
    "distances",
    "evenly",
    "folds",
    "index",
    "join",
    "open_store",
    "planes",
    "prepare",
    "shrink_mask",
    "shuffled",
    "store",
]
