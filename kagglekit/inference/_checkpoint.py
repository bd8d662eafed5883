"""What is done of a prediction, noted after each strip, so that a kill costs at most one.

Two kinds of files: `prediction-changes-<mask>`, to which positions are appended, and
`prediction-state.npz`, replaced atomically, which says how many of them count, and their checksum.
A kill between the two leaves positions that nobody counts. Of another prediction's files the state
goes first, and nothing counts then. The folder may hold other files, which stay.
"""

import hashlib
import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias
from zlib import crc32

import numpy as np
import numpy.typing as npt

from kagglekit.fingerprint import fingerprint
from kagglekit.inference._job import Job
from kagglekit.replacing import replacing

_STATE, _CHANGES = "prediction-state.npz", "prediction-changes-"

State: TypeAlias = dict[str, npt.NDArray[Any]]
Changes: TypeAlias = list[list[npt.NDArray[Any]]]  # of each mask, arrays of positions


class Checkpoint:
    """Keeps the state of one prediction in a folder.

    Args:
        folder: is made; `forget` removes it.
        key: of the prediction; what another one left there is not used.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self.key = folder, key
        self._is_ours = False  # what is in the folder
        self._written: list[int] = []  # positions of each mask that are in its file
        self._sums: list[int] = []  # and their checksums
        self._has_failed = False

    def load(self) -> tuple[State, Changes] | None:
        """Return what was saved last, or None if there is nothing of this prediction."""
        try:
            file = (self.folder / _STATE).open("rb")
        except FileNotFoundError:
            return None
        try:
            with file, np.load(file, allow_pickle=False) as found:
                state = dict(found)
        except Exception:  # zipfile and NumPy meet damage with a dozen kinds of errors
            self._say("damaged")
            return None
        if str(state.pop("key", "")) != self.key:
            self._say("of another prediction (slide, models or options differ)")
            return None
        names = state.pop("names", np.empty(0, str)).tolist()
        if sorted(state) != names:  # the contents have checksums in an .npz, their names have none
            self._say("damaged")
            return None
        counts, sums = state.pop("counts").tolist(), state.pop("sums").tolist()
        dtype = state.pop("dtype").dtype
        paths = [self._path(mask) for mask in range(len(counts))]
        if any(not path.is_file() for path in paths):
            self._say("damaged")
            return None
        changes = [np.fromfile(path, dtype, n) for path, n in zip(paths, counts, strict=True)]
        found = [(len(positions), crc32(positions.data)) for positions in changes]
        if found != list(zip(counts, sums, strict=True)):
            self._say("damaged")
            return None
        for path in self.folder.glob(f"{_CHANGES}*"):
            if path not in paths:  # appended to, and never counted
                path.unlink()
        for path, positions in zip(paths, changes, strict=True):
            os.truncate(path, positions.nbytes)
        self._is_ours, self._written, self._sums = True, counts, sums
        return state, [[positions] for positions in changes]

    def save(self, state: State, changes: Changes) -> None:
        """Note what is done: `changes` holds what it held the last time, and more behind.

        If that fails, the prediction is worth more than its notes: it goes on, with a warning.
        """
        if self._has_failed:
            return
        try:
            self._save(state, changes)
        except OSError as error:
            self._has_failed = True
            warnings.warn(
                f"{self.folder}: what is done cannot be noted any more ({error.strerror}): "
                "going on without; after a kill, only what was noted before is there",
                stacklevel=2,
            )

    def _save(self, state: State, changes: Changes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._is_ours:
            _clear(self.folder)
            self._is_ours = True
        new = len(changes) - len(self._written)
        self._written += [0] * new
        self._sums += [0] * new
        for mask, arrays in enumerate(changes):
            old = self._written[mask]
            with self._path(mask).open("ab") as file:
                for array in arrays:
                    file.write(raw := array[old:].tobytes())
                    self._sums[mask] = crc32(raw, self._sums[mask])
                    old = max(0, old - len(array))
                file.flush()
                os.fsync(file.fileno())
            self._written[mask] = sum(map(len, arrays))
        kinds = [arrays[0].dtype for arrays in changes if arrays] or [np.dtype(np.int64)]
        notes: dict[str, Any] = state | {
            "counts": np.array(self._written, np.int64),
            "sums": np.array(self._sums, np.uint32),
            "dtype": np.empty(0, kinds[0]),
        }
        with replacing(self.folder / _STATE) as file:
            names, key = np.array(sorted(notes)), np.array(self.key)
            # Before NumPy 2.2 `allow_pickle=False` would be one more array.
            np.savez(file, names=names, key=key, **notes)

    def _say(self, what: str) -> None:
        warnings.warn(f"{self.folder} is {what}: starting anew", stacklevel=3)

    def _path(self, mask: int) -> Path:
        return self.folder / f"{_CHANGES}{mask}"


def forget(folder: Path | None) -> None:
    """Remove a prediction's notes, when its result is there, and the folder if it is empty then."""
    if folder is None:
        return
    _clear(folder)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _clear(folder: Path) -> None:
    for path in [folder / _STATE, *folder.glob(f"{_CHANGES}*")]:
        path.unlink(missing_ok=True)


def key_of(job: Job, extra: Sequence[object]) -> str:
    """Return a hash of everything that the result depends on."""
    digest = hashlib.sha256()
    for member in job.members:
        for model in member.models:
            digest.update(model.recipe.to_json().encode())
            # Its layers; where in memory one of them holds a function is different each time.
            digest.update(re.sub(r" at 0x[0-9a-f]+", "", repr(model.net)).encode())
            digest.update(model.digest().encode())
    told = [
        job.slide.path.name, fingerprint(job.slide.path), job.slide.shape,
        [(m.weights, m.scale, m.grid) for m in job.members], job.axis, job.decision, job.views,
        job.blend, job.mean, job.skip_background, job.amp, *extra,
    ]  # fmt: skip
    digest.update(repr(told).encode())
    return digest.hexdigest()
