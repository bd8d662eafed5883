"""What a training tells: a table and curves."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from kagglekit import plots
from kagglekit.replacing import replacing

_DRAWN = ("loss", "dice", "score", "valid_dice", "lr")


def write_log(folder: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Write `log.csv`, a row for each epoch, and `curves.png`; both are replaced.

    Args:
        folder: where to.
        history: the epochs, all with the same keys.
    """
    table = io.StringIO()
    writer = csv.DictWriter(table, list(history[0]))
    writer.writeheader()
    writer.writerows(history)
    with replacing(folder / "log.csv") as file:
        file.write(table.getvalue().encode())
    drawn = {name: [row[name] for row in history] for name in _DRAWN if name in history[0]}
    with replacing(folder / "curves.png") as file:
        file.write(plots.as_png(plots.curves(drawn)))
