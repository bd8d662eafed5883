"""The loop: epochs of steps, each epoch judged by the competition's metric."""

import math
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from kagglekit import models, plots
from kagglekit.bars import tqdm
from kagglekit.errors import CheckpointError
from kagglekit.inference import agree
from kagglekit.locks import held
from kagglekit.models import Model
from kagglekit.replacing import replacing
from kagglekit.tiles import TileDataset, TileSampler, collate
from kagglekit.train._clock import Clock
from kagglekit.train._log import write_log
from kagglekit.train._picture import draw_batch
from kagglekit.train._run import Batch, Run
from kagglekit.train._settings import Settings
from kagglekit.train._shaping import shaping_of
from kagglekit.train._steps import Batches, Step, plan
from kagglekit.train._validation import Validation
from kagglekit.train._workers import fitting_workers

_GO, _SAVE, _STOP = 0, 1, 2
_SHOWN = 4  # tiles in the picture of the batch


@dataclass(frozen=True)
class Result:
    """What a training came to.

    Attributes:
        path: the best checkpoint, for `models.load`.
        score: of that checkpoint; None where nothing was validated.
        history: a row for each finished epoch, as in `log.csv`.
        is_finished: False where time ran out: the same call goes on.
    """

    path: Path
    score: float | None
    history: list[dict[str, float]]
    is_finished: bool


def fit(
    model: Model,
    dataset: TileDataset,
    sampler: TileSampler,
    folder: Path | str,
    settings: Settings | None = None,
    validation: Validation | None = None,
) -> Result:
    """Train a model in place; go on where an earlier call with the same folder was stopped.

    Called under `accelerate launch` or `notebook_launcher`, every process calls it alike: each
    trains on its device with its share of every step, and validates its share of the images.

    Args:
        model: from `models.build`; it is moved to the GPU, if there is one.
        dataset: the tiles.
        sampler: which of them, in which order; its seed is the training's.
        folder: gets `best.safetensors`, `log.csv`, `curves.png`, `batch.png`, and `state.pt`, from
            which the same call goes on after a kill; it is made.
        settings: by default those of `Settings()`.
        validation: what each epoch is judged by. Without it the last epoch is the best.

    Returns:
        What came of it; on every rank.

    Warns:
        UserWarning: none of the pictures is at the scale of the model's recipe, or their pixels
            are not those that its `max_value` is meant for; or images are learnt and validated.

    Raises:
        CheckpointError: the folder's training was begun with other settings, tiles or images to
            validate on; its best checkpoint, or its state, is missing; another is at work there.
        FloatingPointError: the loss is no longer a number.
        RuntimeError: the connection to another rank broke, or any other that torch raises.
        ValueError: the model's planes are not the classes that are validated.
        ValueError, SlideError, PlanError: an image cannot be validated: see `inference.predict`.
    """
    settings, folder = settings or Settings(), Path(folder)
    if validation is not None:
        validation.check(model)
    if not len(sampler):
        raise ValueError("the sampler draws no tile; expected at least one an epoch")
    _check_pictures(model, dataset)
    _check_apart(dataset, validation)
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(model, settings)
    try:
        with _alone_in(folder, run.rank):
            return _Loop(run, dataset, sampler, folder, settings, validation).go()
    except RuntimeError as error:
        if run.world > 1:
            # Where a rank is gone, torch tells the others of a socket, and no more.
            error.add_note(
                f"This was rank {run.rank} of {run.world}. If it lost the connection to another, "
                "that one has ended: by an error of its own, or killed by the system, e.g. for "
                f"want of memory. The same command goes on from `{folder / 'state.pt'}`."
            )
        raise


def _check_pictures(model: Model, dataset: TileDataset) -> None:
    """Warn of images that look other than the model takes them, which no error tells of."""
    for dtype in {str(picture.slide.dtype) for picture in dataset.pictures}:
        if doubt := model.recipe.mismatch(dtype):
            warnings.warn(doubt, stacklevel=3)
    scales = sorted({picture.model_scale for picture in dataset.pictures})
    if model.recipe.scale not in scales:
        warnings.warn(
            f"the pictures are at scale {', '.join(map(str, scales))}, and the model predicts at "
            f"its recipe's scale={model.recipe.scale}: images would look other than it learnt them",
            stacklevel=3,
        )


def _check_apart(dataset: TileDataset, validation: Validation | None) -> None:
    """Warn of images that the model is judged by and learns."""
    images = validation.images if validation is not None else {}
    learnt = {picture.slide.path.resolve() for picture in dataset.pictures}
    stored = {p.slide.path.stem for p in dataset.pictures if p.bits is not None}  # by their names
    both = [
        name for name, path in images.items() if name in stored or Path(path).resolve() in learnt
    ]
    if both:
        warnings.warn(
            f"{len(both)} of {len(images)} images to validate on are learnt, too: "
            f"{', '.join(both[:5])}; the score says nothing of new ones",
            stacklevel=3,
        )


@contextmanager
def _alone_in(folder: Path, rank: int) -> Iterator[None]:
    """Refuse a folder that another training is at work in. Every rank calls it."""
    with ExitStack() as lock:
        is_ours, problem = True, None
        if rank == 0:
            try:
                is_ours = lock.enter_context(held(folder / ".training-lock"))
            except OSError as error:  # told first: the other ranks wait to hear of it
                problem = error
        is_ours, why = agree((is_ours, str(problem) if problem else ""))
        if why:
            raise problem or OSError(why)
        if not is_ours:
            raise CheckpointError(
                f"another training is at work in `{folder}`",
                hint="each needs a folder of its own",
            )
        yield


class _Loop:
    def __init__(
        self,
        run: Run,
        dataset: TileDataset,
        sampler: TileSampler,
        folder: Path,
        settings: Settings,
        validation: Validation | None,
    ) -> None:
        self.run, self.sampler, self.settings = run, sampler, settings
        self.validation = validation
        self.state, self.best = folder / "state.pt", folder / "best.safetensors"
        sampler.set_epoch(0)
        self.dataset, self.shown = dataset, list(islice(sampler, _SHOWN))
        self.length = len(sampler)
        recipe = run.model.recipe
        self.shaping = shaping_of(settings, recipe, dataset, sampler, validation, run.world)
        self.batches = Batches()
        workers = fitting_workers(dataset, settings)
        self.seeds = torch.Generator()  # of workers; the loader else draws from the network's own
        self.loader: DataLoader[Any] = DataLoader(
            dataset,
            batch_sampler=self.batches,
            collate_fn=collate,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=run.device.type == "cuda",
            generator=self.seeds,
        )

    def go(self) -> Result:
        run = self.run
        run.resume(self.state, self.shaping)
        place = run.place
        self._check_best()
        self.before = place.seconds
        epochs, hours = self.settings.epochs, self.settings.hours
        left = hours if hours is None or epochs else hours - place.seconds / 3600
        self.clock = Clock(left, self.settings.save_minutes)
        self.bar = tqdm(
            total=epochs and epochs * self.length,
            initial=place.epoch * self.length + place.start,
            unit="tile",
            disable=not self.settings.progress or run.rank > 0,
        )
        is_whole = True
        while is_whole and not self._is_finished():
            is_whole = self._train_epoch()
            if is_whole or epochs is None:
                with self.clock.pause():
                    self._end_epoch()
        if run.rank == 0 and not place.history:
            models.save(run.judged, self.best)  # better than nothing
        self.bar.close()
        run.model.eval()
        run.wait()
        scores = place.scores
        return Result(
            self.best, max(scores) if scores else None, place.history, self._is_finished()
        )

    def _check_best(self) -> None:
        """Refuse a folder that lacks one of the two files that a training consists of."""
        has_best, has_state = agree((self.best.is_file(), self.state.is_file()))
        if has_best and not has_state:
            there, gone = self.best, self.state
        elif self.run.place.history and not has_best:
            there, gone = self.state, self.best
        else:
            return
        raise CheckpointError(
            f"`{there.parent}` has a training's `{there.name}` and not its `{gone.name}`",
            hint="copy that there, too, or take another folder for a training of its own",
        )

    def _is_finished(self) -> bool:
        place, settings = self.run.place, self.settings
        if settings.patience and place.stale >= settings.patience:
            return True
        if settings.epochs is None:
            return place.hours >= (settings.hours or 0)
        return place.epoch >= settings.epochs

    def _train_epoch(self) -> bool:
        """Make the steps that are left of this epoch; False if time ran out."""
        run, place = self.run, self.run.place
        self.sampler.epoch, self.sampler.start = place.epoch, place.start
        self.batches.steps = plan(self.sampler, self.settings, run.rank, run.world)
        self.seeds.manual_seed(place.epoch)
        steps, batches = self.batches.steps, self._loaded(self.batches.steps)
        for step in steps:
            run.step(step, batches, self._lr(place.steps))
            self.clock.tick()
            self._show(step)
            todo = self._todo()
            if todo != _GO:
                with self.clock.pause():
                    self._save()
            if todo == _STOP:
                return False
        return True

    def _lr(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0: that of its middle, never 0."""
        settings = self.settings
        if settings.epochs is None:
            return settings.lr_at(self._share_of_time())
        whole = settings.batch_size * settings.accumulate * self.run.world
        total = settings.epochs * math.ceil(self.length / whole)
        return settings.lr_at((step + 0.5) / total)

    def _share_of_time(self) -> float:
        """Return the share of `hours` that is over, [0, 1], on all ranks that of rank 0."""
        share = (self.before + self.clock.seconds) / (3600 * (self.settings.hours or 0))
        return min(self.run.agree(round(1e6 * share)) / 1e6, 1)

    def _loaded(self, steps: list[Step]) -> Iterator[Batch]:
        return iter(self.loader) if steps else iter(())

    def _todo(self) -> int:
        todo = _STOP if self.clock.is_over() else _SAVE if self.clock.wants_save() else _GO
        return self.run.agree(todo)

    def _end_epoch(self) -> None:
        """Judge the epoch, and keep its model if it is the best."""
        run, place = self.run, self.run.place
        run.level()
        self._save()  # a kill while validating costs the validation alone
        row = self._row()
        best = max(place.scores, default=-math.inf)
        is_best = not place.history or row.get("score", math.inf) > best
        if is_best and run.rank == 0:
            models.save(run.judged, self.best)
        place.history.append(row)
        place.epoch, place.start = place.epoch + 1, 0
        if self.settings.epochs is None and self._todo() == _STOP:
            place.hours = self.settings.hours or 0
        run.sums.zero_()
        if run.rank == 0:
            write_log(self.state.parent, place.history)
            picture = plots.as_png(draw_batch(run.judged, self.dataset, self.shown))
            with replacing(self.state.parent / "batch.png") as file:
                file.write(picture)
        self._save()  # last: what a finished epoch leaves is whole once its state says so

    def _row(self) -> dict[str, float]:
        run, place = self.run, self.run.place
        loss, tiles, both, total = self._sums()
        seconds = self.before + self.clock.seconds
        row = {
            "epoch": place.epoch + 1,
            "steps": place.steps,
            "lr": self._lr(place.steps - 1),
            "loss": loss / tiles,
            "dice": 2 * both / total if total else 1.0,
        }
        if self.validation is not None:
            run.model.eval()
            score = self.validation.score(run.judged)
            mean = sum(score.union_dice.values()) / len(score.union_dice) if score else 0.0
            row["score"], row["valid_dice"] = agree((score.value if score else 0.0, mean))
        return row | {"seconds": round(seconds, 1)}

    def _sums(self) -> list[float]:
        """Return this epoch's sums over all devices, as `Run.sums`.

        Raises:
            FloatingPointError: the loss is no number.
        """
        loss, tiles, both, total = self.run.all_sums()
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss of epoch {self.run.place.epoch + 1} is {loss / tiles}: with "
                "precision='bf16' or 'no' the same call goes on from before; or clip gradients, or "
                f"take a lower lr than {self.settings.lr:g}, in a new folder"
            )
        return [loss, tiles, both, total]

    def _save(self) -> None:
        self._sums()  # a state without numbers could never be gone on from
        self.run.place.seconds = self.before + self.clock.seconds
        self.run.save(self.state, self.shaping)

    def _show(self, step: Step) -> None:
        """Move the bar; numbers are fetched from the device only when it is drawn."""
        if self.bar.update(step.tiles):
            loss, tiles, both, total = self.run.sums.tolist()
            told = {"loss": f"{loss / tiles:.4f}", "dice": f"{2 * both / max(total, 1):.4f}"}
            self.bar.set_postfix(told, refresh=False)
