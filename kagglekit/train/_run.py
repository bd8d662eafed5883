"""A model in training: its steps, its state, and what all devices must agree on."""

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch

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
        import accelerate

        on_cpu = not torch.cuda.is_available()
        self.accelerator = accelerate.Accelerator(
            cpu=on_cpu,
            mixed_precision=_precision(settings.precision, on_cpu),
            kwargs_handlers=[accelerate.InitProcessGroupKwargs(timeout=_LONGEST_WAIT)],
        )
        self.settings, self.place = settings, Place()
        self.device: torch.device = self.accelerator.device
        self.rank: int = self.accelerator.process_index
        self.world: int = self.accelerator.num_processes
        self.model = model.to(self.device)
        self._spread(model.state_dict().values())  # each rank may have drawn weights of its own
        self._average = Average(model, settings.ema) if settings.ema else None
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay
        )
        self._net, self._optimizer = self.accelerator.prepare(model, optimizer)
        self.sums = torch.zeros(4, dtype=torch.float64, device=self.device)

    @property
    def judged(self) -> Model:
        """The model that is validated and saved: the average, where there is one."""
        return self._average.model if self._average else self.model

    def step(self, step: Step, batches: Iterator[Batch], lr: float) -> None:
        """Make one step of the optimizer from as many batches as it has."""
        self._net.train()
        for batch in range(len(step.batches)):
            is_last = batch == len(step.batches) - 1
            with nullcontext() if is_last else self.accelerator.no_sync(self._net):
                self._learn(next(batches), step)
        if self.settings.clip:
            self.accelerator.clip_grad_norm_(self._net.parameters(), self.settings.clip)
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._optimizer.step()
        self._optimizer.zero_grad()
        if self._average:
            self._average.update(self.model, self.place.steps)
        self.place.steps += 1
        self.place.start += step.tiles

    def _learn(self, batch: Batch, step: Step) -> None:
        images, masks = (part.to(self.device, non_blocking=True) for part in batch)
        images = images.contiguous()  # as the weights lie
        outputs: Outputs = self._net(images, auxiliary=True)
        loss = auxiliary_loss(
            self.settings.loss, outputs.logits, outputs.auxiliary, masks, self.settings.auxiliary
        )
        # Devices' gradients are averaged: each tile of the step then weighs 1 / step.tiles.
        count = 0 if step.is_idle else len(images)
        self.accelerator.backward(loss * (count * self.world / step.tiles))
        if count:
            pred, true = outputs.logits.detach() > 0, masks > 0
            both = (pred & true).sum()
            self.sums[0] += loss.detach() * count
            self.sums[1] += count
            self.sums[2] += both
            self.sums[3] += pred.sum() + true.sum()

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
            scaler = self.accelerator.scaler
            state = {
                "shaping": shaping,
                "place": asdict(self.place),
                "model": self.model.state_dict(),
                "average": self._average.model.state_dict() if self._average else None,
                "optimizer": self._optimizer.state_dict(),
                "scaler": scaler.state_dict() if scaler else None,
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
        if self.accelerator.scaler and state["scaler"]:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        mine: dict[str, Any] = state["ranks"][self.rank]
        self.sums.copy_(mine["sums"])
        restore_random(mine["random"])

    def close(self) -> None:
        """Leave the model as it was given: without wrappers, in evaluation mode."""
        self.accelerator.unwrap_model(self._net, keep_fp32_wrapper=False)
        self.model.eval()


def _precision(name: str, on_cpu: bool) -> str:
    if on_cpu:
        return "no"
    if name == "auto":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return name
