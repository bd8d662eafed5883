"""How much memory a network takes between its pixels and its answer."""

import weakref
from collections import Counter
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from kagglekit.models import Model

_SIDE = 128  # model pixels: large beside what does not grow with the window, and quick
_known: weakref.WeakKeyDictionary[Model, float] = weakref.WeakKeyDictionary()


def activation_bytes(model: Model) -> float:
    """Return the most bytes that the layers' outputs take at a time, for each pixel of a window.

    The network runs on a small window of zeros, once in a process, and what it makes is added up.
    Of convolutions that is all but a few per cent; attention over a whole window grows faster.

    Args:
        model: on the CPU, in evaluation mode.

    Returns:
        Bytes for each model pixel; 0 for a network that does not take a small window.
    """
    if model not in _known:
        _known[model] = _measure(model)
    return _known[model]


def _measure(model: Model) -> float:
    recipe = model.recipe
    side = min(recipe.window, -(-_SIDE // recipe.stride) * recipe.stride)
    with torch.inference_mode():
        pixels = torch.zeros(1, side, side, recipe.in_channels, dtype=torch.uint8, device="cpu")
        try:
            with _Live() as live:
                model(pixels.permute(0, 3, 1, 2))
        except Exception:  # any that its author chose; real windows will show whether it works
            return 0.0
    return float(live.most / side**2)


class _Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the bytes of the tensors that are made within it and still there.

    Attributes:
        most: bytes there have been at a time.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = self._bytes = 0
        self._tensors: Counter[int] = Counter()  # that share the memory at an address

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled here, so torch need not load its compiler, which takes seconds."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor)
        self.most = max(self.most, self._bytes)
        return made

    def _count(self, tensor: torch.Tensor) -> None:
        memory = tensor.untyped_storage()
        address, size = memory.data_ptr(), memory.nbytes()
        self._bytes += 0 if self._tensors[address] else size
        self._tensors[address] += 1
        weakref.finalize(tensor, self._forget, address, size)

    def _forget(self, address: int, size: int) -> None:
        self._tensors[address] -= 1
        self._bytes -= 0 if self._tensors[address] else size
