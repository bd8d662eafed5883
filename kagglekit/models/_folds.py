"""Folds: several models that must really be several."""

import os
from collections.abc import Iterable, Sequence
from itertools import combinations

from kagglekit.errors import CheckpointError
from kagglekit.models._build import Make
from kagglekit.models._checkpoint import load
from kagglekit.models._model import Model
from kagglekit.models._state import digest


def load_folds(paths: Iterable[str | os.PathLike[str]], make: Make | None = None) -> list[Model]:
    """Load several checkpoints as separate models, in the order given.

    Args:
        paths: of the files.
        make: makes the network of each one's recipe, if it is one of your own.

    Raises:
        CheckpointError: one cannot be loaded, two hold the same weights, or their planes do not
            mean the same.
    """
    paths = list(paths)
    models = [load(path, make) for path in paths]
    check_distinct(models, [f"`{path}`" for path in paths])
    return models


def check_distinct(models: Sequence[Model], names: Sequence[str] = ()) -> None:
    """Make sure that an ensemble is one: N networks, not one of them N times.

    The mistake is easily made, by filling one network with checkpoint after checkpoint or by
    copying a file, and nothing shows it but a score that is no better than one model's.

    Args:
        models: of the ensemble.
        names: how messages call them; "model 0", "model 1" ... by default.

    Raises:
        CheckpointError: two share memory, hold the same weights, have another number of planes, or
            name them differently.
    """
    names = names or [f"model {i}" for i in range(len(models))]
    states = [model.net.state_dict() for model in models]
    places = [{value.data_ptr() for value in state.values() if value.numel()} for state in states]
    digests = [digest(state) for state in states]
    problems = []
    for a, b in combinations(range(len(models)), 2):
        planes = (models[a].recipe.class_names, models[b].recipe.class_names)
        counts = (models[a].recipe.classes, models[b].recipe.classes)
        if not places[a].isdisjoint(places[b]):
            problems.append(f"{names[a]} and {names[b]} share their memory")
        elif digests[a] == digests[b]:
            problems.append(f"{names[a]} and {names[b]} hold the same weights")
        if counts[0] != counts[1]:
            problems.append(f"{names[a]} has {counts[0]} planes, {names[b]} {counts[1]}")
        elif all(planes) and planes[0] != planes[1]:
            problems.append(
                f"{names[a]} has the planes {', '.join(planes[0])}, "
                f"{names[b]} {', '.join(planes[1])}"
            )
    if problems:
        raise CheckpointError(
            f"{len(models)} models do not make an ensemble",
            problems=problems,
            hint="build one model for each checkpoint, of folds that were trained apart",
        )
