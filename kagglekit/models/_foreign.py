"""Weights that others have written, read without running anything of theirs."""

import os
import struct
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from packaging.version import Version

from kagglekit.errors import CheckpointError
from kagglekit.models._build import Make, build
from kagglekit.models._checkpoint import check_there, read_safetensors
from kagglekit.models._model import Model
from kagglekit.models._recipe import Recipe
from kagglekit.models._state import Weights, load_strictly

_SAFE_SINCE = "2.10"  # CVE-2026-24747: before, a crafted file could get past weights_only
# What torch's reader raises on files that are cut off or overwritten.
_UNREADABLE = (
    UnpicklingError, struct.error, zipfile.BadZipFile, zlib.error, RuntimeError, OSError, EOFError,
    ValueError, LookupError, AttributeError, TypeError, AssertionError, OverflowError,
)  # fmt: skip


def load_foreign(
    path: str | os.PathLike[str], recipe: Recipe, key: str | None = None, make: Make | None = None
) -> Model:
    """Load weights of a file that kagglekit did not write: a `.pth`, or a bare safetensors file.

    Only numbers are read; a file that asks for anything else is refused. Prefixes that wrappers
    leave (`module.`, `_orig_mod.`), and the name of the attribute that a Lightning module keeps its
    network in, are removed. To have a checkpoint of your own from then on:
    `models.save(models.load_foreign("best.pth", recipe), "best.safetensors")`.

    Args:
        path: of a state dict, or of a dict that has one beside epoch, optimizer and the like.
        recipe: what the network is built from, and how it is fed; such a file does not say.
        key: under which name the weights lie, if there are several, e.g. "ema".
        make: makes the network of the recipe, if it is one of your own.

    Returns:
        The model on the CPU, in evaluation mode.

    Raises:
        CheckpointError: no such file, not readable, more than weights in it, or they do not fit.
        ValueError: the recipe cannot be built.
    """
    path = Path(path)
    model = build(recipe, make)
    if path.suffix == ".safetensors":
        weights: Weights = read_safetensors(path)[1]
    else:
        weights = _only_weights(_read(path), path, key)
    load_strictly(model.net, weights, path)
    return model.eval()


def _read(path: Path) -> Any:
    """Return what torch.save wrote, if that is plain data."""
    check_there(path)
    if Version(torch.__version__) < Version(_SAFE_SINCE):
        warnings.warn(
            f"torch {torch.__version__} can be tricked into running a file's code: load only what "
            f"you trust, or use torch {_SAFE_SINCE} or later",
            stacklevel=3,
        )
    try:
        _check_zip(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"`{path}` is not a readable checkpoint: {error}") from error


def _check_zip(path: Path) -> None:
    """Refuse a file with damage, or with more than plain data, and say what that is.

    torch checks no checksums. Files from before torch 1.6 are no zip files; they have none.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as file:
        damaged = file.testzip()
        compiled = any(name.endswith("constants.pkl") for name in file.namelist())
    if damaged:
        raise CheckpointError(
            f"`{path}` is damaged: the checksum of `{damaged}` differs", hint="copy it once more"
        )
    if compiled:
        raise CheckpointError(
            f"`{path}` is a TorchScript program, not a file of weights",
            hint="save model.state_dict() where it was made",
        )
    names = torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
    if names:
        raise CheckpointError(
            f"`{path}` holds more than weights; loading it would run code that it names",
            problems=sorted(names),
            hint="if you trust it, load it where it was made and save model.state_dict() only",
        )


def _only_weights(content: Any, path: Path, key: str | None) -> Weights:
    """Find the one state dict in what was read."""
    if _is_weights(content) and key is None:
        return content  # type: ignore[no-any-return]
    found = content if isinstance(content, Mapping) else {}
    sets = [name for name, value in found.items() if _is_weights(value)]
    if key is None and len(sets) == 1:
        key = sets[0]
    if key in sets:
        return found[key]  # type: ignore[no-any-return]
    hint = f"say which: key={' or '.join(repr(name) for name in sets)}" if sets else ""
    wanted = "one set of weights" if key is None else f"weights under key={key!r}"
    described = [f"{name}: {_described(value)}" for name, value in found.items()]
    raise CheckpointError(
        f"`{path}` holds a {type(content).__name__}; expected {wanted} in it",
        problems=described[:20],
        hint=hint,
    )


def _is_weights(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and len(value) > 0
        and all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in value.items())
    )


def _described(value: Any) -> str:
    kind = "weights" if _is_weights(value) else type(value).__name__
    return f"{kind} ({len(value)})" if isinstance(value, Mapping | list | tuple) else kind
