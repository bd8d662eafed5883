"""A model in training: its steps, its state, and what all devices must agree on."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel

from kagglekit.inference import agree
from kagglekit.losses import auxiliary_loss
from kagglekit.models import Model, Outputs
from kagglekit.train._average import Average
from kagglekit.train._settings import Settings
from kagglekit.train._state import Place, State, check, random_state, read, restore_random, write
from kagglekit.train._steps import Step

_LONGEST_WAIT = timedelta(hours=1)
"""How long a rank waits for one with a larger image to validate; NCCL's own ten minutes may be too
short. That a rank is gone shows at once, by the broken connection."""

Batch = tuple[torch.Tensor, torch.Tensor]


class Run:
    """A model in training.

    Args:
        model: is moved to this process's device.
        settings: of the training.

    Attributes:
        model: as it is now.
        place: where the training is.
        sums: of this epoch on this device, float64: loss × tiles, tiles, pixels both predicted and
            true, pixels predicted plus pixels true.
    """

    def __init__(self, model: Model, settings: Settings) -> None:
        # Not an Accelerator: it allows a process one precision, and puts it into the model, which
        # would predict in it, too.
        from accelerate import PartialState

        self._processes = PartialState(cpu=not torch.cuda.is_available(), timeout=_LONGEST_WAIT)
        self.settings, self.place = settings, Place()
        self.device: torch.device = self._processes.device
        self.rank: int = self._processes.process_index
        self.world: int = self._processes.num_processes
        self._half = _half(settings.precision, self.device)
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=self._half == torch.float16)
        self.model = model.to(self.device)
        self._spread(model.state_dict().values())  # each rank may have drawn weights of its own
        self._average = Average(model, settings.ema) if settings.ema else None
        self._optimizer = torch.optim.AdamW(
            model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay
        )
        self._ranks = self._joined() if self.world > 1 else None
        self.sums = torch.zeros(4, dtype=torch.float64, device=self.device)

    @property
    def judged(self) -> Model:
        """The model that is validated and saved: the average, where there is one."""
        return self._average.model if self._average else self.model

    def step(self, step: Step, batches: Iterator[Batch], lr: float) -> None:
        """Make one step of the optimizer from as many batches as it has."""
        self.model.train()
        for batch in range(len(step.batches)):
            is_last = batch == len(step.batches) - 1
            with nullcontext() if is_last else self._alone():
                self._learn(next(batches), step)
        if self.settings.clip:
            self._scaler.unscale_(self._optimizer)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad()
        if self._average:
            self._average.update(self.model, self.place.steps)
        self.place.steps += 1
        self.place.start += step.tiles

    def _learn(self, batch: Batch, step: Step) -> None:
        images, masks = (part.to(self.device, non_blocking=True) for part in batch)
        images = images.contiguous()  # as the weights lie
        net = self._ranks or self.model
        with torch.autocast(self.device.type, self._half, enabled=self._half is not None):
            outputs: Outputs = net(images, auxiliary=True)
        logits, *auxiliary = (each.float() for each in (outputs.logits, *outputs.auxiliary))
        loss = auxiliary_loss(self.settings.loss, logits, auxiliary, masks, self.settings.auxiliary)
        # Devices' gradients are averaged: each tile of the step then weighs 1 / step.tiles.
        count = 0 if step.is_idle else len(images)
        loss_of_step = loss * (count * self.world / step.tiles)
        self._scaler.scale(loss_of_step).backward()  # type: ignore[no-untyped-call]
        if count:
            pred, true = logits.detach() > 0, masks > 0
            both = (pred & true).sum()
            self.sums[0] += loss.detach() * count
            self.sums[1] += count
            self.sums[2] += both
            self.sums[3] += pred.sum() + true.sum()

    def _joined(self) -> DistributedDataParallel:
        """Return the network with gradients that are those of all ranks."""
        on_cpu = self.device.type == "cpu"
        return DistributedDataParallel(self.model, None if on_cpu else [self.device])

    def _alone(self) -> AbstractContextManager[None]:
        """Return a context in which gradients stay this rank's."""
        return self._ranks.no_sync() if self._ranks else nullcontext()

    def wait(self) -> None:
        """Wait until all ranks are here."""
        self._processes.wait_for_everyone()

    def all_sums(self) -> list[float]:
        """Return this epoch's sums over all devices."""
        from accelerate.utils import reduce

        total: list[float] = reduce(self.sums, "sum").tolist()
        return total

    def agree(self, number: int) -> int:
        """Return rank 0's number on all ranks."""
        if self.world == 1:
            return number
        from accelerate.utils import broadcast

        return int(broadcast(torch.tensor(number, device=self.device)).item())

    def level(self) -> None:
        """Give all ranks rank 0's statistics of batch normalisation, where each has its own."""
        self._spread([*self.model.buffers(), *self.judged.buffers()])

    def _spread(self, tensors: Iterable[torch.Tensor]) -> None:
        """Put rank 0's values into all ranks' tensors."""
        if self.world > 1:
            for tensor in tensors:
                torch.distributed.broadcast(tensor, 0)

    def save(self, path: Path, shaping: State) -> None:
        """Write everything that a later process needs to go on. Every rank calls it."""
        mine = {"random": random_state(), "sums": self.sums.cpu()}
        ranks = [mine]
        if self.world > 1:
            from accelerate.utils import gather_object

            ranks = gather_object([mine])
        if self.rank == 0:
            state = {
                "shaping": shaping,
                "place": asdict(self.place),
                "model": self.model.state_dict(),
                "average": self._average.model.state_dict() if self._average else None,
                "optimizer": self._optimizer.state_dict(),
                "scaler": self._scaler.state_dict(),
                "ranks": ranks,
            }
            write(path, state)

    def resume(self, path: Path, shaping: State) -> None:
        """Go on from what `save` wrote, where it has. Every rank calls it.

        Raises:
            CheckpointError: it was begun with other settings.
        """
        # Rank 0 wrote it, maybe to a disk that other machines do not see.
        state = agree(read(path) if self.rank == 0 else None)
        if state is None:
            return
        check(state, shaping, path.parent)
        self.place = Place(**state["place"])
        self.model.load_state_dict(state["model"])
        if self._average:
            self._average.model.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:  # it was fp16 until now
            self._scaler.load_state_dict(state["scaler"])
        mine: dict[str, Any] = state["ranks"][self.rank]
        self.sums.copy_(mine["sums"])
        restore_random(mine["random"])


def _half(name: str, device: torch.device) -> torch.dtype | None:
    """Return what to compute with beside float32."""
    if device.type == "cpu":
        return None
    if name == "auto":
        name = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return {"bf16": torch.bfloat16, "fp16": torch.float16, "no": None}[name]
