"""Whatever a network returns, as one main output and auxiliary ones."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch


class Outputs(NamedTuple):
    """What a network says of a batch.

    Attributes:
        logits: (N, K, H, W), the answer.
        auxiliary: what only training looks at: maps (N, K, h, w), in the network's order, or
            (N, K) for whole images; see `losses.auxiliary_loss`.
    """

    logits: torch.Tensor
    auxiliary: tuple[torch.Tensor, ...] = ()


def unified(output: Any) -> Outputs:
    """Return a tensor, a dict with "out", or a sequence whose first item counts, in one form.

    Raises:
        TypeError: it is something else.

    Example:
        >>> a, b = torch.zeros(1), torch.ones(1)
        >>> unified({"out": a, "aux": b}) == unified((a, [b])) == Outputs(a, (b,))
        True
    """
    if isinstance(output, torch.Tensor):
        return Outputs(output)
    if isinstance(output, Mapping) and "out" in output:
        rest = {key: value for key, value in output.items() if key != "out"}
        return Outputs(_tensor(output["out"]), tuple(_tensors(rest)))
    if isinstance(output, Mapping):
        raise TypeError(f'the network returned a dict with {sorted(output)}; expected "out" in it')
    if isinstance(output, tuple | list) and output:
        return Outputs(_tensor(output[0]), tuple(_tensors(output[1:])))
    return Outputs(_tensor(output))


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    """Yield what is nested in dicts and sequences; a network may leave an output out (None)."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from _tensors(item)
    elif value is not None:
        yield _tensor(value)


def _tensor(value: Any) -> torch.Tensor:
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"the network returned {type(value).__name__}; expected a tensor")
    return value
