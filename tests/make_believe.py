"""A GPU that is not there: tensors that say they are on it, and are computed on the CPU.

What is written for a GPU runs to its end with it, and gives the right answer or stops where a GPU
would stop: at a tensor that was left on the CPU, at `.numpy()`, at a dtype that the GPU has not. It
also tells where the CPU waits for the GPU. What streams that work at the same time do to each
other it cannot show.
"""

import contextlib
import threading
from dataclasses import dataclass

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

_MOVES = {"to", "_to_copy", "copy_"}
_INDEXES = {"index", "index_put_"}  # with tensors that may lie on the CPU
_COUNTS = {
    "nonzero",
    "nonzero_numpy",
    "is_nonzero",
    "item",
    "_local_scalar_dense",
    "equal",
}  # for the CPU


@dataclass(frozen=True)
class Asked:
    """An operation that the GPU was asked for.

    Attributes:
        name: without "aten" and overload.
        shapes: of the tensors given.
        waits: the CPU goes on when the GPU has done all that it was asked for before.
    """

    name: str
    shapes: list[torch.Size]
    waits: bool


class There(torch.Tensor):
    """A tensor on the GPU; `here` is its twin on the CPU, with the same strides."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, here, device):
        there = torch.Tensor._make_wrapper_subclass(
            cls,
            here.size(),
            strides=here.stride(),
            storage_offset=here.storage_offset(),
            dtype=here.dtype,
            device=device,
        )
        there.here = here
        return there

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise AssertionError(f"{func} outside of `a_gpu`")


class _Gpu(TorchDispatchMode):
    """Is asked before torch itself, in the thread that entered it."""

    def __init__(self, unknown, asked):
        super().__init__()
        # As such a mode it is also asked before a driver is looked for.
        self._mode_key = torch._C._TorchDispatchModeKey.FAKE
        self.unknown, self.asked = unknown, asked

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        given = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, torch.Tensor)]
        there = [tensor for tensor in given if isinstance(tensor, There)]
        name = func.__name__.split(".")[0]
        target = _target(name, given, kwargs.get("device"))
        if there or target.type == "cuda":
            shapes = [tensor.shape for tensor in given]
            self.asked.append(Asked(name, shapes, _waits(name, given, target, kwargs)))
        if kwargs.get("device") is not None:
            kwargs = kwargs | {"device": torch.device("cpu")}
        known = {id(tensor.here): tensor for tensor in there}  # comes back from what works in place

        def placed(value):
            if not isinstance(value, torch.Tensor) or target.type == "cpu":
                return value
            if value.dtype in self.unknown:
                raise TypeError(f"{func}: the GPU has no {value.dtype}")
            return known[id(value)] if id(value) in known else There(value, target)

        args, kwargs = tree_map(lambda x: x.here if isinstance(x, There) else x, (args, kwargs))
        # Views of what was made outside the inference mode may not be made inside.
        with torch.inference_mode(False), torch.no_grad():
            return tree_map(placed, func(*args, **kwargs))


def _target(name, given, device):
    """Say where the result lies."""
    if device is not None:
        return torch.device(device)
    if given and name in _MOVES | _INDEXES:
        return given[0].device
    there = [tensor for tensor in given if isinstance(tensor, There)]
    if there and any(tensor.ndim and not isinstance(tensor, There) for tensor in given):
        raise RuntimeError(f"{name}: some tensors are on the GPU, some on the CPU")
    return there[0].device if there else torch.device("cpu")


def _waits(name, given, target, kwargs):
    """Say whether the CPU waits until the GPU has done what it was asked for."""
    if name in _MOVES:
        return given[-1].device != target and not kwargs.get("non_blocking")
    if name in _INDEXES:  # flags are counted first
        return any(each.dtype == torch.bool or not isinstance(each, There) for each in given[1:])
    return name in _COUNTS


class _Stream:
    def __init__(self, note):
        self.note = note

    def record_event(self):
        return self

    def wait_event(self, event):
        assert isinstance(event, _Stream)
        self.note("wait_event")


@contextlib.contextmanager
def a_gpu(monkeypatch, unknown=()):
    """Let models and tensors be moved to "cuda", in this thread and in new ones.

    Args:
        monkeypatch: pytest's.
        unknown: dtypes that this GPU has not.

    Yields:
        A list of what it was asked for; "wait_event", "record_stream", "pin_memory" and
        "set_device" with its device are in it, too.
    """
    asked = []

    def run(thread, run=threading.Thread.run):
        with _Gpu(unknown, asked):
            run(thread)

    def note(name):
        asked.append(Asked(name, [], False))

    def empty(*args, pin_memory=False, empty=torch.empty, **kwargs):
        if pin_memory:
            note("pin_memory")
        return empty(*args, **kwargs)

    torch._C._ensureCUDADeviceGuardSet()  # nothing is asked of a driver
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "run", run)
        patch.setattr(torch, "empty", empty)
        patch.setattr(torch.cuda, "Stream", lambda device: _Stream(note))
        patch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
        patch.setattr(torch.cuda, "current_stream", lambda device: _Stream(note))
        patch.setattr(torch.cuda, "synchronize", lambda device: None)
        patch.setattr(torch.cuda, "set_device", lambda device: note(f"set_device {device}"))
        patch.setattr(torch.cuda, "mem_get_info", lambda device: (8 << 30, 16 << 30))
        patch.setattr(torch.Tensor, "record_stream", lambda tensor, stream: note("record_stream"))
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        torch._C._set_only_lift_cpu_tensors(True)  # `torch.tensor` moves its own by an operation
        try:
            with _Gpu(unknown, asked):
                yield asked
        finally:
            torch.__future__.set_overwrite_module_params_on_conversion(False)
            torch._C._set_only_lift_cpu_tensors(False)
