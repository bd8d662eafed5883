"""What the models say of a batch of windows."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F

from kagglekit.models import Model
from kagglekit.tta import View

Mean: TypeAlias = Literal["prob", "logit", "geometric"]

# Of Apple's and Intel's GPUs; of cuBLAS and cuDNN, which ask for memory themselves, the latter also
# when none of its ways to compute got any; of the CPU, in the words of Linux and of Windows.
_SIGNS = (
    "out of memory",
    "STATUS_ALLOC_FAILED",
    "unable to find an engine",
    "can't allocate memory",
    "not enough memory",
)


class Network:
    """Models, looking at several views of each window, as one network.

    Args:
        models: of one device, in evaluation mode.
        weights: how much each counts.
        views: how each looks at a window; all count alike.
        mean: "prob" averages probabilities, "logit" logits, "geometric" logarithms of
            probabilities: the product of p ** share, below all others where models disagree.
        amp: compute in half precision on a GPU.
        batch_size: windows at a time.
        compile: compile the models with `torch.compile`.

    Attributes:
        batch_size: halved whenever the device has too little memory for it.
    """

    def __init__(
        self,
        models: Sequence[Model],
        weights: Sequence[float],
        views: Sequence[View],
        mean: Mean,
        amp: bool,
        batch_size: int,
        compile: bool,
    ) -> None:
        self.models, self.views, self.mean = models, views, mean
        # All windows have one shape, so nothing has to be compiled for shapes that vary.
        self._calls = [torch.compile(m, dynamic=False) if compile else m for m in models]
        self._is_compiled = compile
        self.shares = [weight / sum(weights) / len(views) for weight in weights]
        self.amp, self.batch_size = amp, batch_size

    def prob(self, images: torch.Tensor) -> torch.Tensor:
        """Predict.

        Args:
            images: (N, C, h, w) pixels, on the models' device or, if they did not fit there with
                all that it held, on the CPU.

        Returns:
            (N, planes, h, w) float32 on the models' device.

        Raises:
            RuntimeError: the device has too little memory for a single window; where torch has a
                type for that, a torch.OutOfMemoryError.
        """
        # In the inference mode torch would cast the weights to half precision for each batch anew.
        # And batches come from a thread without it: a network would be compiled for both, also
        # where a batch was filled up, or sent to the device, within it.
        with torch.inference_mode(not _is_cuda(self.models[0].device)), torch.no_grad():
            return self._prob(images)

    def _prob(self, images: torch.Tensor) -> torch.Tensor:
        found: list[torch.Tensor] = []
        done = 0
        while done < len(images):
            batch = self._filled(images[done : done + self.batch_size])
            try:
                answer = self._mean(batch.to(self.models[0].device))
                found.append(answer[: len(images) - done])
            except RuntimeError as error:
                if not _ran_out_of_memory(error):
                    raise
                if len(batch) == 1:
                    height, width = batch.shape[2:]
                    error.add_note(
                        f"A single window of {height} x {width} does not fit into the device's "
                        "memory: choose a smaller one, or free what else lies there."
                    )
                    raise
            else:
                done += len(batch)
                continue
            # Outside the except block, so that nothing of the failed attempt is kept alive.
            self.batch_size = len(batch) // 2
            _empty_cache(self.models[0].device)
            warnings.warn(
                f"{len(batch)} windows at once do not fit into the device's memory: "
                f"going on with {self.batch_size}",
                stacklevel=2,
            )
        return found[0] if len(found) == 1 else torch.cat(found)

    def _mean(self, images: torch.Tensor) -> torch.Tensor:
        total: torch.Tensor | None = None
        odd: list[torch.Tensor] = []
        # A single answer is its own mean, and would come back from its logarithm a digit off.
        alone = len(self.models) * len(self.views) == 1
        mean = "prob" if alone and self.mean == "geometric" else self.mean
        with self.precision(images.device):
            for call, share in zip(self._calls, self.shares, strict=True):
                for view in self.views:
                    value = view.undo(call(self._laid(view.apply(images))).float())
                    self._check_shape(value, images)
                    odd.append(value.sum())
                    if mean != "logit":
                        value = value.sigmoid() if mean == "prob" else F.logsigmoid(value)
                    if total is None:
                        total = value if share == 1 else value * share
                    else:
                        total = total.add_(value, alpha=share)
            if total is None:
                raise ValueError("no model given; expected at least one")
            prob = {"prob": lambda: total, "logit": total.sigmoid, "geometric": total.exp}[mean]()
            # 0, but nan where a logit is none or infinite, of which the sigmoid knows nothing more.
            prob[0, 0, 0, 0] += 0 * torch.stack(odd).sum()
            return prob

    def _filled(self, images: torch.Tensor) -> torch.Tensor:
        """Make batches of one size if networks are compiled, which they are for each size anew."""
        missing = self.batch_size - len(images) if self._is_compiled else 0
        return torch.cat([images, *[images[:1]] * missing]) if missing > 0 else images

    def _laid(self, images: torch.Tensor) -> torch.Tensor:
        """Lay out all views alike if networks are compiled, which they are for each layout anew."""
        if self._is_compiled:
            return images.contiguous(memory_format=torch.channels_last)
        return images

    def _check_shape(self, answer: torch.Tensor, images: torch.Tensor) -> None:
        """Refuse an answer that blending would take for another: one plane for all classes."""
        n, _, height, width = images.shape
        expected = (n, self.models[0].recipe.classes, height, width)
        if answer.shape != expected:
            raise ValueError(
                f"a network answered {tuple(answer.shape)} to images of {tuple(images.shape)}; "
                f"by its recipe it should be {expected}: (N, classes, H, W)"
            )

    def precision(self, device: torch.device) -> AbstractContextManager[object]:
        """Return a context that computes in half precision, if that is wanted.

        Each batch enters one; within another, around many batches, weights that can be trained are
        cast only once, and others each time: torch keeps no others.
        """
        # float16 and not bfloat16: Kaggle's T4 has hardware for the first only.
        return torch.autocast(device.type, torch.float16, enabled=self._half(device))

    def _half(self, device: torch.device) -> bool:
        return self.amp and _is_cuda(device)


def _is_cuda(device: torch.device) -> bool:
    return device.type == "cuda"


@contextmanager
def channels_last(models: Iterable[Model]) -> Iterator[None]:
    """Lay convolutions' weights out as pixels lie in memory, for as long as there is to predict.

    A GPU computes faster with them. Afterwards they are as before, for whoever trains the model has
    an optimizer, and gradients, that lie as the weights do. Not those over three dimensions, at
    which `Model.to(memory_format=...)` stops with an error.
    """
    parameters = [parameter for model in models for parameter in model.parameters()]
    before = [(parameter, parameter.data) for parameter in parameters if parameter.ndim == 4]
    # Parameters that are changed in inference mode could never be trained again.
    try:
        with torch.inference_mode(False), torch.no_grad():
            for parameter, weights in before:
                parameter.data = weights.contiguous(memory_format=torch.channels_last)
        yield
    finally:
        with torch.inference_mode(False), torch.no_grad():
            for parameter, weights in before:
                parameter.data = weights


def _ran_out_of_memory(error: RuntimeError) -> bool:
    """Say whether memory ended: only for some devices has torch a type for that.

    Example:
        >>> _ran_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 18.50 GiB)"))
        True
    """
    return isinstance(error, torch.OutOfMemoryError) or any(sign in str(error) for sign in _SIGNS)


def _empty_cache(device: torch.device) -> None:
    if device.type != "cpu":  # torch.cuda, torch.mps, torch.xpu
        getattr(torch, device.type).empty_cache()
