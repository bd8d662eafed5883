"""What a training tells: a table, curves, a bar."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from kagglekit import plots

_DRAWN = ("loss", "dice", "score", "valid_dice", "lr")


def write_log(folder: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Write `log.csv`, a row for each epoch, and `curves.png`; both are replaced.

    Args:
        folder: where to.
        history: the epochs, all with the same keys.
    """
    beside = folder / ".log.csv.part"
    with beside.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(history[0]))
        writer.writeheader()
        writer.writerows(history)
    beside.replace(folder / "log.csv")
    drawn = {name: [row[name] for row in history] for name in _DRAWN if name in history[0]}
    (folder / "curves.png").write_bytes(plots.as_png(plots.curves(drawn)))
