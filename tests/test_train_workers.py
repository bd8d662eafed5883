"""How many workers fit: shared memory is a small folder here, and its free space is told."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from kagglekit.train import Settings, _workers

PIXELS, PLANES = (
    torch.zeros(3, 100, 100, dtype=torch.uint8),
    torch.zeros(2, 100, 100, dtype=torch.uint8),
)
NEEDED = 2 * 3 * 8 * 5 * 100 * 100  # batches ahead, workers, tiles, planes, pixels


@pytest.fixture(autouse=True)
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(_workers, "_SHARED", tmp_path)
    return tmp_path


def fitting(free: int, monkeypatch: pytest.MonkeyPatch, workers: int = 3) -> int:
    usage = shutil._ntuple_diskusage(10 * NEEDED, 0, free)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    dataset: Any = [(PIXELS, PLANES)]
    return _workers.fitting_workers(dataset, Settings(batch_size=8, workers=workers))


def test_as_many_as_asked_for_where_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fitting(NEEDED, monkeypatch) == 3
    assert fitting(0, monkeypatch, workers=0) == 0


def test_none_where_there_is_not(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.warns(UserWarning, match="the batches of 3 workers") as told:
        assert fitting(NEEDED - 1, monkeypatch) == 0
    assert [str(warning.message) for warning in told] == [
        f"{shared} has 2 MB free and the batches of 3 workers need 2 MB: tiles are read in the "
        "training's own process. Give the container more (docker: --shm-size), or take smaller batches"
    ]


def test_as_many_as_asked_for_on_systems_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_workers, "_SHARED", tmp_path / "not here")
    assert fitting(0, monkeypatch) == 3
