"""The calls that notebooks make."""

import os
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Unpack

import numpy as np
import numpy.typing as npt
import torch

from kagglekit.inference._checkpoint import Changes, State, forget
from kagglekit.inference._job import Job, make_job
from kagglekit.inference._options import Options
from kagglekit.inference._runs import Part, RunSink, assemble
from kagglekit.inference._sweep import Stats, sweep
from kagglekit.locks import held
from kagglekit.models import Model
from kagglekit.regions import keep_seeded
from kagglekit.rle import RLE
from kagglekit.slides import Slide


@dataclass(frozen=True)
class Prediction:
    """What was predicted.

    Attributes:
        masks: one per plane, or as the option `planes` says, at the slide's full resolution, order
            "F".
        stats: what it took.
    """

    masks: list[RLE]
    stats: Stats


def predict_mask(models: Model | Sequence[Model], slide: Slide, **options: Unpack[Options]) -> RLE:
    """Predict the mask of a slide of any size: of models' one plane, or of `planes=[which]`.

    Args, raises: as `predict`.

    Returns:
        The mask at the slide's full resolution, order "F".

    Example:
        >>> model = load("unet.safetensors")  # doctest: +SKIP
        >>> with open_slide("slide.tiff") as slide:  # doctest: +SKIP
        ...     mask = predict_mask(model, slide, tta="flips")
    """
    job = make_job(models, slide, options)
    if len(job.planes) != 1:
        raise ValueError(f"this makes {len(job.planes)} masks; use predict_masks, or planes=[0]")
    [mask] = _predict(job).masks
    return mask


def predict_masks(
    models: Model | Sequence[Model], slide: Slide, **options: Unpack[Options]
) -> list[RLE]:
    """Predict one mask per output plane, or as `planes` says. Args, raises: as `predict`."""
    return predict(models, slide, **options).masks


def predict(
    models: Model | Sequence[Model], slide: Slide, **options: Unpack[Options]
) -> Prediction:
    """Predict the masks of a slide of any size, and tell what it took.

    Scale, normalisation, window and threshold come from the models' recipes, so they are what the
    models were trained with. Models run on the device that they are on.

    Args:
        models: one model, or several whose answers are averaged, in evaluation mode. They share
            classes and stride; each may have its own scale, a multiple of the finest.
        slide: the image; grey ones are repeated for models of three channels.
        options: by name, as listed in `Options`.

    Raises:
        TypeError: there is no such option; a model or the slide is something else.
        ValueError: models that do not fit together or to the slide, a model left in training mode
            (its batch statistics would leak between windows), an option that cannot be, or a
            network that answers another shape than its recipe says.
        FloatingPointError: the network answered nan or infinity.
        SlideError: the slide cannot be read.
        PlanError: it needs more memory than there is; nothing was started.
    """
    return _predict(make_job(models, slide, options))


def predict_prob(
    models: Model | Sequence[Model],
    slide: Slide,
    path: str | os.PathLike[str],
    *,
    dtype: Literal["uint8", "float16", "float32"] = "float16",
    **options: Unpack[Options],
) -> npt.NDArray[Any]:
    """Predict the probability map of a slide and write it to a file; it is never in memory.

    Args:
        models: as `predict`.
        slide: likewise.
        path: a `.npy` file, which appears under this name when it is complete; its folder is made.
        dtype: of the file; "uint8" holds round(255 * prob).
        options: as `predict`; what makes masks of the map (planes, thresholds, exclusive) means
            nothing here.

    Returns:
        The map as a read-only memory map, (planes, h, w) at the finest of the models' scales:
        h = ceil(height / scale).

    Raises:
        TypeError, ValueError, SlideError, PlanError: as `predict`; ValueError also where another
            prediction is writing the file.
        OSError: the file cannot be written, or the disk has no room for it; found out with the
            first strip.
    """
    job = make_job(models, slide, options)
    if dtype not in ("uint8", "float16", "float32"):
        raise ValueError(f"dtype={dtype!r} must be 'uint8', 'float16' or 'float32'")
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file in it")
    if path.exists() and path.samefile(slide.path):
        raise ValueError(f"{path} is the slide itself; name another file")
    beside = path.with_name(f"{path.name}.part")
    with ExitStack() as alone:
        sink = _MapSink(beside, job, dtype, alone)
        try:
            sweep(job, range(job.small[job.axis]), sink)
        except BaseException:
            if job.checkpoint is None and sink.is_ours:  # nobody can go on with it
                beside.unlink(missing_ok=True)
            raise
        sink.close()
        beside.replace(path)
    forget(job.checkpoint)
    found: npt.NDArray[Any] = np.load(path, mmap_mode="r")
    return found


def band(job: Job, rows: range) -> tuple[list[Part], Stats]:
    """Predict a band of a job's map; the parts of all bands make the masks.

    What is noted in the checkpoint's folder is to be forgotten when they have.
    """
    sink = RunSink(job.slide.shape, job.scale, job.axis, job.decision, rows.start)
    stats = sweep(job, rows, sink)
    return sink.parts, stats


def masks_of(job: Job, parts: list[Part]) -> list[RLE]:
    """Make a job's masks of what is known of the whole image."""
    masks = assemble(parts, job.slide.shape)
    if not job.high_thresholds:
        return masks
    count = len(job.planes)
    pairs = zip(masks[:count], masks[count:], strict=True)
    return [keep_seeded(mask, seeds) for mask, seeds in pairs]


def _predict(job: Job) -> Prediction:
    parts, stats = band(job, range(job.small[job.axis]))
    found = Prediction(masks_of(job, parts), stats)
    forget(job.checkpoint)
    return found


def _new_map(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Make a `.npy` file and map it.

    Raises:
        OSError: there is no room for it. (The system promises room that it has not; when it finds
            out it kills who writes to a map.)
    """
    made: npt.NDArray[Any] = np.lib.format.open_memmap(path, "w+", dtype, shape)
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return made


class _MapSink:
    """Takes parts of the map and writes them to a file.

    Args:
        path: of the file.
        job: what is predicted.
        dtype: of the file.
        alone: holds the lock on the file once it is begun.

    Attributes:
        is_ours: whether the file is written here, and by nobody else.
    """

    lead = 0

    def __init__(self, path: Path, job: Job, dtype: str, alone: ExitStack) -> None:
        self._alone, self.is_ours = alone, False
        self._axis, self._dtype, self._at = job.axis, np.dtype(dtype), 0
        self._path, self._shape = path, (job.classes, *job.small)
        self.kind = f"{dtype} map in {path.resolve()}"
        self._file: npt.NDArray[Any] | None = None

    @property
    def changes(self) -> Changes:
        return []

    def add(self, prob: torch.Tensor) -> None:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._take()
            self._file = _new_map(self._path, self._dtype, self._shape)
        if self._dtype == np.uint8:
            prob = (prob * 255).round()
        rows = prob.cpu().numpy().astype(self._dtype)
        place = [slice(None)] * 3
        place[1 + self._axis] = slice(self._at, self._at + rows.shape[1 + self._axis])
        self._file[tuple(place)] = rows
        self._at = place[1 + self._axis].stop

    def state(self) -> State:
        if isinstance(self._file, np.memmap):
            self._file.flush()
        return {"sink-at": np.array(self._at)}

    def restore(self, state: State, changes: Changes) -> bool:
        at = int(state["sink-at"])
        if at:
            file = self._begun()
            if file is None:
                warnings.warn(f"{self._path} is gone: starting anew", stacklevel=2)
                return False
            self._at, self._file = at, file
        return True

    def _take(self) -> None:
        """Hold the file, whose folder is there; two that write to it would mix their maps."""
        if self.is_ours:
            return
        lock = self._path.with_name(f".{self._path.name}.lock")
        self.is_ours = self._alone.enter_context(held(lock))
        if not self.is_ours:
            raise ValueError(f"another prediction is writing {self._path.with_suffix('')}")

    def _begun(self) -> npt.NDArray[Any] | None:
        """Return the file that a killed process has begun, None if it is not there any more."""
        if not self._path.is_file():
            return None
        self._take()
        try:
            file = np.lib.format.open_memmap(self._path, "r+")
        except (OSError, ValueError):  # not there, or something else
            return None
        return file if (file.dtype, file.shape) == (self._dtype, self._shape) else None

    def close(self) -> None:
        if isinstance(self._file, np.memmap):
            self._file.flush()
        self._file = None
