"""What a prediction will take, told before it starts, and refused when it cannot fit."""

import math
import time
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch

from kagglekit.errors import PlanError
from kagglekit.inference._activations import activation_bytes
from kagglekit.inference._answers import waiting
from kagglekit.inference._batches import ON_GPU, stored_as
from kagglekit.inference._feed import AHEAD, chunk_edges
from kagglekit.inference._job import Job, ranks_here
from kagglekit.inference._network import Network
from kagglekit.inference._track import values_at_once
from kagglekit.memory import available_bytes

WORTH_TELLING = 32  # windows: below that a prediction is over before its plan is read

_READER = 32 << 20  # bytes that decoding keeps: GDAL's cache
# Bytes that the layers of a heavy network take for each pixel: four times those of a U-Net that
# begins with 32 channels. Where these fit, nobody asks a network how much it takes.
_HEAVY = 4096
_MB = 1 << 20


@dataclass(frozen=True)
class Plan:
    """What a prediction will take.

    Attributes:
        name: of the slide's file.
        shape: (height, width) of the slide in pixels.
        scales: image pixels per model pixel, of each group of models.
        windows: how many there are.
        strips: in how many strips they lie.
        direction: "down" or "to the right", the way of the sweep.
        device: where the models are.
        host_bytes: of memory, beside the models and their layers.
        layer_bytes: what the layers take of it on a CPU; 0 where that is no question: on a GPU, on
            which a batch is halved if need be, and where a heavy network's would fit.
        device_bytes: of a GPU's memory, beside the models and their layers; 0 without one.
        seconds: what the network alone will take, as measured on one batch; None if it was not.
    """

    name: str
    shape: tuple[int, int]
    scales: tuple[int, ...]
    windows: int
    strips: int
    direction: str
    device: str
    host_bytes: int
    layer_bytes: int
    device_bytes: int
    seconds: float | None

    def __str__(self) -> str:
        height, width = self.shape
        scales = " and ".join(map(str, self.scales))
        gpu = (
            f" and {self.device_bytes / _MB:,.0f} MB on {self.device}" if self.device_bytes else ""
        )
        layers = f" and {self.layer_bytes / _MB:,.0f} MB for the layers" if self.layer_bytes else ""
        text = (
            f"{self.name}: {height:,} x {width:,} pixels, scale {scales}: {self.windows:,} windows "
            f"in {self.strips} strips {self.direction}; "
            f"needs about {self.host_bytes / _MB:,.0f} MB{gpu}{layers}"
        )
        if self.seconds is None:
            return text
        minutes, seconds = divmod(round(self.seconds), 60)
        return f"{text}; the network alone {minutes}:{seconds:02} on {self.device}"

    def check(self) -> None:
        """Refuse what cannot fit.

        Raises:
            PlanError: less memory is free than the plan needs.
        """
        free, ranks = available_bytes(), ranks_here()
        needed = self.host_bytes + self.layer_bytes
        if free is not None and free < ranks * needed:
            each = f", in each of {ranks} processes" if ranks > 1 else ""
            raise PlanError(
                f"{self.name}: predicting it needs about {needed / _MB:,.0f} MB{each}, "
                f"and {free / _MB:,.0f} MB are free",
                hint="take a smaller window or batch_size, a coarser scale, fewer threads "
                "(torch.set_num_threads), or free memory first",
            )
        if self.device_bytes:
            on_device, _ = torch.cuda.mem_get_info(self.device)
            # What torch keeps for itself and does not use looks taken from outside.
            on_device += torch.cuda.memory_reserved(self.device)
            on_device -= torch.cuda.memory_allocated(self.device)
            if on_device < self.device_bytes:
                raise PlanError(
                    f"{self.name}: predicting it needs about {self.device_bytes / _MB:,.0f} MB of "
                    f"{self.device}, and {on_device / _MB:,.0f} MB are free",
                    hint="take a smaller window or a coarser scale",
                )


def make_plan(job: Job, networks: list[Network]) -> Plan:
    """Count and estimate; where there is much to do, time the networks on a batch of zeros.

    Raises:
        PlanError: as `Plan.check`, before a network is run.
    """
    slide = job.slide
    pixel = slide.channels * slide.dtype.itemsize
    edges = chunk_edges(slide, job.axis, [member.scale for member in job.members])
    chunk = [max(last - first for first, last in pairwise(e)) for e in edges]
    host = AHEAD + _READER + 2 * job.threads * math.prod(chunk) * pixel
    windows = [len(member.grid) for member in job.members]
    on_gpu = job.device.type == "cuda"
    held = job.batch_size * (ON_GPU if on_gpu else 1 + waiting(job.cores))  # windows at a time
    # Of all scales pixels are kept until the windows that reach furthest have been filled.
    reach = max(member.grid.axes[job.axis].window * member.scale for member in job.members)
    for scale in {member.scale for member in job.members}:
        across_pixels = -(-slide.shape[1 - job.axis] // scale)
        host += (reach + chunk[job.axis]) // scale * across_pixels * pixel
    there = images = answers = largest = 0  # the first: where the models are
    for member in job.members:
        along, across = member.grid.axes[job.axis], member.grid.axes[1 - job.axis]
        window = along.window * across.window
        largest = max(largest, window)
        images += held * window * min(pixel, 4 * slide.channels)
        answers += 4 * job.classes * window
        there += 4 * job.classes * along.window * across.padded
        # Rows on their way to runs: as floats, as decisions, and where these change.
        there += 12 * min(values_at_once(job.device), job.classes * along.window * across.size)
    if on_gpu:
        # Of pinned memory torch takes powers of two. Answers are there as floats and as integers.
        host += 2 * images
        there += images + 2 * job.batch_size * answers
    else:
        host += images + held * answers
    plan = Plan(
        name=slide.path.name,
        shape=slide.shape,
        scales=tuple(member.scale for member in job.members),
        windows=sum(windows),
        strips=sum(len(member.grid.axes[job.axis].starts) for member in job.members),
        direction=("down", "to the right")[job.axis],
        device=str(job.device),
        host_bytes=host if on_gpu else host + there,
        layer_bytes=_layer_bytes(job, job.cores * job.batch_size * largest),
        device_bytes=there if on_gpu else 0,
        seconds=None,
    )
    plan.check()
    if sum(windows) < WORTH_TELLING or not job.progress:
        return plan
    pairs = zip(job.members, networks, windows, strict=True)
    seconds = sum(
        _seconds(job, m.grid.rows.window, m.grid.columns.window, n) * count for m, n, count in pairs
    )
    return replace(plan, seconds=seconds)


def _layer_bytes(job: Job, pixels: int) -> int:
    """Return what the layers take for so many pixels at a time, where that is a question."""
    free = available_bytes()
    if job.device.type != "cpu" or free is None or ranks_here() * pixels * _HEAVY < free:
        return 0
    models = (model for member in job.members for model in member.models)
    return math.ceil(pixels * max(map(activation_bytes, models)))


def _seconds(job: Job, height: int, width: int, network: Network) -> float:
    """Return the seconds that a window takes, in a batch, after a batch to warm up."""
    shape = (job.batch_size, height, width, job.slide.channels)
    # Made as batches will be, for which a network is compiled: a CUDA GPU's in another thread.
    with torch.inference_mode(job.device.type != "cuda"):
        pixels = torch.from_numpy(np.zeros(shape, stored_as(job.slide.dtype))).to(job.device)
        pixels = pixels.permute(0, 3, 1, 2)
    started = 0.0
    for _ in range(2):
        started = time.perf_counter()
        network.prob(pixels)
        _synchronize(job.device)
    return (time.perf_counter() - started) / job.batch_size


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type != "cpu":  # torch.mps, torch.xpu
        getattr(torch, device.type).synchronize()
