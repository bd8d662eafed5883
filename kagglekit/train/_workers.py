"""How many processes read tiles: as many as asked for, where what they hand over has room."""

import shutil
import warnings
from pathlib import Path

from kagglekit.tiles import TileDataset
from kagglekit.train._settings import Settings

_SHARED = Path("/dev/shm")  # where Linux keeps memory that processes share
_AHEAD = 2  # batches that each worker of a DataLoader prepares: torch's default


def fitting_workers(dataset: TileDataset, settings: Settings) -> int:
    """Return the number of workers: none where shared memory is too small for their batches.

    Containers give as little as 64 MB, and a worker that finds it full is killed by the system.

    Args:
        dataset: what the workers read.
        settings: of the training.
    """
    if not settings.workers or not _SHARED.is_dir():
        return settings.workers
    pixels, planes = dataset[0]
    batch = settings.batch_size * (pixels.nbytes + planes.nbytes)
    needed, free = _AHEAD * settings.workers * batch, shutil.disk_usage(_SHARED).free
    if needed <= free:
        return settings.workers
    warnings.warn(
        f"{_SHARED} has {free / 1e6:,.0f} MB free and the batches of {settings.workers} workers "
        f"need {needed / 1e6:,.0f} MB: tiles are read in the training's own process. Give the "
        "container more (docker: --shm-size), or take smaller batches",
        stacklevel=4,
    )
    return 0
