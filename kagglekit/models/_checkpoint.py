"""Checkpoints: weights and recipe in one safetensors file."""

import hashlib
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from kagglekit.errors import CheckpointError
from kagglekit.models._build import PRETRAINED, Make, build
from kagglekit.models._model import Model
from kagglekit.models._recipe import Recipe
from kagglekit.models._state import Weights, digest, first_names, load_strictly, without_prefixes

_RECIPE, _SEAL = "kagglekit", "sha256"
_NETWORK = ("architecture", "options", "in_channels", "classes")  # what the weights fit


def save(model: Model, path: str | os.PathLike[str], **changes: Any) -> None:
    """Write a checkpoint: weights and recipe in one safetensors file, replaced atomically.

    Args:
        model: the model; its weights are saved as they are now.
        path: e.g. "unet-fold0.safetensors".
        changes: fields of the recipe to replace, e.g. `threshold=0.4` found by validation.

    Raises:
        ValueError: a change would make another network of it, or is none that a recipe has.
    """
    path = Path(path)
    known = {each.name for each in fields(Recipe)} - set(_NETWORK)
    wrong = [name for name in changes if name not in known]
    if wrong:
        raise ValueError(
            f"{', '.join(wrong)}: cannot be changed; a checkpoint's recipe may get another "
            f"{', '.join(sorted(known))}"
        )
    # The weights below replace the pretrained ones, so loading must not ask for those again.
    options = {k: v for k, v in model.recipe.options.items() if k not in PRETRAINED}
    text = replace(model.recipe, options=options, **changes).to_json()
    state = without_prefixes(model.net.state_dict())
    once = {key: state[key] for key, first in first_names(state).items() if key == first}
    weights = {key: value.detach().cpu().contiguous() for key, value in once.items()}
    metadata = {_RECIPE: text, _SEAL: _seal(text, weights)}
    # A kill while writing must leave the last good checkpoint: write beside, then rename.
    # Under a name of this process: ranks may save under one name at once.
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.touch()
        mode = beside.stat().st_mode
        save_file(weights, beside, metadata=metadata)
        beside.chmod(mode)  # safetensors makes files that nobody but their owner may read
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def load(path: str | os.PathLike[str], make: Make | None = None) -> Model:
    """Read a checkpoint written by `save`: build its network, load its weights, ready to predict.

    A safetensors file holds numbers only, so a stranger's checkpoint cannot run code.

    Args:
        path: of the file.
        make: makes the network of the recipe, if it is one of your own.

    Returns:
        The model on the CPU, in evaluation mode. Two calls give two separate models.

    Raises:
        CheckpointError: no such file, not a checkpoint of kagglekit, damaged, or weights that do
            not fit.
    """
    path = Path(path)
    metadata, weights = read_safetensors(path)
    text = metadata.get(_RECIPE)
    if text is None:
        raise CheckpointError(
            f"`{path}` carries no recipe",
            hint="write checkpoints with kagglekit.models.save, or read it with load_foreign",
        )
    if metadata.get(_SEAL, "") not in ("", _seal(text, weights)):
        raise CheckpointError(
            f"`{path}` is damaged: it does not hold what was saved", hint="copy it once more"
        )
    try:
        model = build(Recipe.from_json(text), make)
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"`{path}`: its recipe cannot be built: {error}") from error
    load_strictly(model.net, weights, path)
    return model.eval()


def read_safetensors(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """Return the metadata and the tensors of a file.

    Raises:
        CheckpointError: there is no such file, or it is not safetensors.
    """
    check_there(path)
    try:
        with safe_open(path, framework="pt") as file:
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            return file.metadata() or {}, weights
    except SafetensorError as error:
        raise CheckpointError(f"`{path}` is not a readable safetensors file: {error}") from error


def check_there(path: Path) -> None:
    """Raise CheckpointError if there is no such file."""
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at `{path}`", hint="is its dataset attached?")


def _seal(text: str, weights: Weights) -> str:
    """Return what tells whether recipe or weights were damaged; safetensors itself does not."""
    return hashlib.sha256((text + digest(weights)).encode()).hexdigest()
