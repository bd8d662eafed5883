"""All that a training is made of at one moment, written so that a kill cannot harm it."""

import math
import pickle
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kagglekit.errors import CheckpointError
from kagglekit.replacing import replacing

State = dict[str, Any]


@dataclass
class Place:
    """Where a training is.

    Attributes:
        epoch: counted from 0.
        start: draws of this epoch that are done.
        steps: of the optimizer, since the beginning.
        seconds: that the training took, over all its sessions.
        hours: the limit that a training without a number of epochs has come to; 0 before.
        history: what each finished epoch came to, as `log.csv` has it.
    """

    epoch: int = 0
    start: int = 0
    steps: int = 0
    seconds: float = 0.0
    hours: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def scores(self) -> list[float]:
        """The score of each finished epoch, -inf for one that is no number; none unvalidated."""
        found = [row["score"] for row in self.history if "score" in row]
        return [-math.inf if math.isnan(score) else score for score in found]

    @property
    def stale(self) -> int:
        """Epochs since the best one."""
        scores = self.scores
        return len(scores) - 1 - scores.index(max(scores)) if scores else 0


def write(path: Path, state: State) -> None:
    """Write a state; until it is complete, the one before stays in its place."""
    with replacing(path) as file:
        torch.save(state, file)


def read(path: Path) -> State | None:
    """Read what `write` wrote, if there is something; numbers only: no file can run code.

    Raises:
        CheckpointError: the file is damaged, or no state of a training.
    """
    if not path.is_file():
        return None
    try:
        state: State = torch.load(path, map_location="cpu", weights_only=True)
    except (EOFError, OSError, RuntimeError, pickle.UnpicklingError) as error:
        # torch's own text recommends to load the file without protection.
        raise _no_state(path) from error
    if not isinstance(state, dict) or "shaping" not in state:
        raise _no_state(path)
    return state


def _no_state(path: Path) -> CheckpointError:
    return CheckpointError(
        f"`{path}` is damaged, or no state of a training",
        hint="copy it again from where the training wrote it, or begin anew in another folder",
    )


def check(state: State, shaping: State, folder: Path) -> None:
    """Refuse to go on with other settings than a training began with.

    Args:
        state: of the training.
        shaping: what must be as it was when the training began.
        folder: where the state lies.

    Raises:
        CheckpointError: settings differ; all are listed.
    """
    began = state["shaping"]
    problems = [
        f"{name}: {began.get(name)!r} when it began, {shaping.get(name)!r} now"
        for name in dict.fromkeys([*shaping, *began])
        if began.get(name) != shaping.get(name)
    ]
    if problems:
        raise CheckpointError(
            f"the training in `{folder}` cannot go on with other settings",
            problems=problems,
            hint="give what it began with, or another folder for a training of its own",
        )


def random_state() -> State:
    """Return the state of every generator that a network or a dataset may draw from."""
    # NumPy's old generator, because datasets and libraries that others wrote draw from it.
    name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        "numpy": [name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest],
        "python": random.getstate(),
    }


def restore_random(state: State) -> None:
    """Put all generators back to what `random_state` returned."""
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    random.setstate(state["python"])
