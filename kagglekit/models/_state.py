"""A network's weights as a dictionary: their names, whether they fit, what they amount to."""

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TypeAlias

import torch
from torch import nn

from kagglekit.errors import CheckpointError

Weights: TypeAlias = Mapping[str, torch.Tensor]

_PREFIXES = ("module.", "_orig_mod.")  # DistributedDataParallel's, torch.compile's
_SHOWN = 20  # of each kind of problem


def without_prefixes(weights: Weights, wanted: Weights | None = None) -> Weights:
    """Return weights without what wrappers put before every name, one or several deep.

    A prefix goes only if all names have it; what the wanted names begin with themselves stays, as a
    layer may be called "module". The counter that torch's AveragedModel adds goes with its prefix.

    Example:
        >>> weight = torch.zeros(1)
        >>> sorted(without_prefixes({"module._orig_mod.a": weight, "module._orig_mod.b": weight}))
        ['a', 'b']
        >>> sorted(without_prefixes({"module.a": weight, "other.b": weight}))
        ['module.a', 'other.b']
    """
    counted = [key for key in weights if key != "n_averaged"]
    wrappers, own = _wrappers(counted), _wrappers(wanted or ())
    if not wrappers:
        return weights
    return {own + key.removeprefix(wrappers): weights[key] for key in counted}


def _wrappers(names: Collection[str]) -> str:
    """Return the longest chain of wrappers' prefixes that all names begin with."""
    chain = ""
    while names:
        longer = [chain + p for p in _PREFIXES if all(n.startswith(chain + p) for n in names)]
        if not longer:
            break
        chain = longer[0]
    return chain


def _of_attribute(weights: Weights, wanted: Weights) -> Weights:
    """Return weights without the name of the attribute that a class kept the network in.

    As Lightning's modules do, `model.` mostly; only if nothing else differs.
    """
    first = next(iter(wanted), "")
    for prefix in (key.removesuffix(first) for key in weights if key.endswith(f".{first}")):
        bare = {name.removeprefix(prefix): value for name, value in weights.items()}
        if bare.keys() == wanted.keys():
            return bare
    return weights


def first_names(weights: Weights) -> dict[str, str]:
    """Return for each name the first one of the same tensor: layers may share their weights."""
    firsts: dict[object, str] = {}
    names = {}
    for key, value in weights.items():
        place = (value.data_ptr(), value.shape, value.stride()) if value.numel() else key
        names[key] = firsts.setdefault(place, key)
    return names


def load_strictly(net: nn.Module, weights: Weights, path: Path) -> None:
    """Load weights that fit a network exactly.

    Raises:
        CheckpointError: names are missing, names are not the network's, shapes differ; all are
            listed, up to 20 of each kind.
    """
    wanted = net.state_dict()
    weights = _of_attribute(without_prefixes(weights, wanted), wanted)
    found = {key: weights[first] for key, first in first_names(wanted).items() if first in weights}
    found |= weights
    missing = [f"missing: {key}" for key in sorted(wanted.keys() - found.keys())]
    extra = [f"not in the network: {key}" for key in sorted(found.keys() - wanted.keys())]
    other = [
        f"{key}: {_described(found[key])} in the file, {_described(wanted[key])} in the network"
        for key in sorted(wanted.keys() & found.keys())
        if _described(found[key]) != _described(wanted[key])
    ]
    problems = [line for kind in (other, missing, extra) for line in _shown(kind)]
    if problems:
        raise CheckpointError(f"`{path}` does not fit its network", problems=problems)
    net.load_state_dict(found)


def digest(weights: Weights) -> str:
    """Return the SHA-256 of names, types, shapes and values; their order does not matter."""
    total = hashlib.sha256()
    for key in sorted(weights):
        value = weights[key].detach().cpu().contiguous()
        total.update(f"{key} {value.dtype} {tuple(value.shape)}\n".encode())
        total.update(value.flatten().view(torch.uint8).numpy().data)
    return total.hexdigest()


def _described(value: torch.Tensor) -> str:
    sparse = "" if value.layout is torch.strided else " sparse"
    return f"{tuple(value.shape)}{sparse}"


def _shown(problems: list[str]) -> list[str]:
    if len(problems) <= _SHOWN:
        return problems
    kind = problems[0].split(":")[0] if problems[0].startswith(("missing", "not in")) else "shapes"
    return [*problems[:_SHOWN], f"{kind}: {len(problems) - _SHOWN} more"]
