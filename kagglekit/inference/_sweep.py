"""The sweep: strips of pixels in, finished parts of a probability map out."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from kagglekit import scratch
from kagglekit.bars import say, tqdm
from kagglekit.inference._answers import answers, safe_in_a_fork, waiting, workers
from kagglekit.inference._batches import Batch, Batches
from kagglekit.inference._checkpoint import Changes, Checkpoint, State, key_of
from kagglekit.inference._combine import Combine, Stretch, needed_rows
from kagglekit.inference._feed import Demand, Feed
from kagglekit.inference._job import Job, Member
from kagglekit.inference._network import Network, channels_last
from kagglekit.inference._plan import WORTH_TELLING, make_plan
from kagglekit.inference._track import Track
from kagglekit.locks import held
from kagglekit.memory import (
    give_back_freed_memory,
    keep_freed_memory,
    peak_bytes,
)


class Sink(Protocol):
    """Where finished parts of the map go.

    Attributes:
        lead: rows (or columns) before the first one that it wants to see.
        kind: what it makes of them; a checkpoint of another kind does not serve it.
        changes: what it has found so far, for a checkpoint; it only grows at its end.
    """

    @property
    def kind(self) -> str: ...

    @property
    def lead(self) -> int: ...

    @property
    def changes(self) -> Changes: ...

    def add(self, prob: torch.Tensor) -> None: ...

    def state(self) -> State: ...

    def restore(self, state: State, changes: Changes) -> bool: ...


@dataclass
class Stats:
    """What a prediction took.

    Attributes:
        tiles: windows, those skipped included.
        skipped: windows left out because they show only background.
        blocks: stored blocks of the file that were decoded.
        seconds: from start to end.
        network_seconds: in the models, added up over the cores; on a GPU, until work was queued.
        wait_seconds: until pixels that a window needed were there; on a CPU, what other windows and
            blocks need is computed meanwhile.
        peak_bytes: most memory that the process has held so far, or since a `submission.Budget`
            with `ram_gb` looked at it last; None if the system does not tell.
    """

    tiles: int = 0
    skipped: int = 0
    blocks: int = 0
    seconds: float = 0.0
    network_seconds: float = 0.0
    wait_seconds: float = 0.0
    peak_bytes: int | None = None


def sweep(job: Job, rows: range, sink: Sink) -> Stats:
    """Predict some rows (or columns, if the sweep goes to the right) of a job's map.

    Args:
        job: what to do; if it has a folder for a checkpoint, what is done is noted there after each
            strip, and gone on from. Whoever has made the result of it forgets it.
        rows: which of the map; all, or a band of it.
        sink: takes them in order.

    Raises:
        ValueError: another prediction is at work in the checkpoint's folder.
        SlideError: the slide cannot be read.
        PlanError: there is too little memory.
    """
    started, stats = time.perf_counter(), Stats()
    keep_freed_memory()
    on_gpu = job.device.type == "cuda"
    models = [model for member in job.members for model in member.models]
    with torch.inference_mode(), safe_in_a_fork(), channels_last(models if on_gpu else []):
        run = _Run(job, rows, sink)
        with _alone_in(job.checkpoint):
            note = None
            if job.checkpoint is not None:
                note = Checkpoint(job.checkpoint, key_of(job, [rows, sink.kind]))
                run.restore(note)
            run.go(stats, (lambda: run.save(note)) if note is not None else None)
    # Runs and text, which come next, shall not lie beside what the slide was decoded in.
    scratch.give_back()
    give_back_freed_memory()
    stats.seconds, stats.peak_bytes = time.perf_counter() - started, peak_bytes()
    return stats


@contextmanager
def _alone_in(folder: Path | None) -> Iterator[None]:
    if folder is None:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with held(folder / ".prediction-lock") as is_ours:
        if not is_ours:
            raise ValueError(
                f"another prediction is at work with checkpoint={str(folder)!r}: "
                "each prediction needs a folder of its own"
            )
        yield


class _Run:
    """Tracks, their common map, and where it goes."""

    def __init__(self, job: Job, rows: range, sink: Sink) -> None:
        self.job, self.sink = job, sink
        wanted = range(max(rows.start - sink.lead, 0), rows.stop)
        self.tracks, maps, shares = [], [], []
        networks = [_network(job, member) for member in job.members]
        plan = make_plan(job, networks)
        if job.progress and plan.windows >= WORTH_TELLING:
            say(str(plan))
        for member, network in zip(job.members, networks, strict=True):
            factor = member.scale // job.scale
            keep = needed_rows(wanted, job.small[job.axis], factor)
            along = member.grid.axes[job.axis]
            touching = [
                i
                for i, begin in enumerate(along.starts)
                if begin < keep.stop and begin + along.window > keep.start
            ]
            self.tracks.append(
                Track(
                    member.scale,
                    member.grid,
                    job.axis,
                    range(touching[0], touching[-1] + 1),
                    keep,
                    network,
                    job.blend,
                    job.device,
                )
            )
            maps.append(Stretch(job.axis, job.small, factor, keep.start))
            shares.append(sum(member.weights))
        shares = [share / sum(shares) for share in shares]
        self.combine = Combine(wanted, maps, shares, job.mean == "geometric")

    def go(self, stats: Stats, after_strip: Callable[[], None] | None) -> None:
        """Predict, strip by strip."""
        job = self.job
        demands = [Demand(track.scale, track.grid, track.strips) for track in self.tracks]
        stats.tiles = sum(len(track.strips) * len(track.across.starts) for track in self.tracks)
        bar = tqdm(
            total=stats.tiles, desc=job.slide.path.name, unit="tile", disable=not job.progress
        )
        with (
            bar,
            self.tracks[0].network.precision(job.device),
            workers(job.cores, job.threads) as pool,
            Feed(job.slide, job.axis, demands, pool) as feed,
        ):
            batches = Batches(
                feed,
                self.tracks,
                job.batch_size,
                job.skip_background,
                job.device,
                waiting(job.cores),
            )
            for batch, found, seconds in answers(batches, self._predict, job.cores, pool):
                track = self.tracks[batch.track]
                stats.network_seconds += seconds
                if found is not None:
                    for j, weighed in zip(batch.windows, found, strict=True):
                        track.add(j, weighed)
                stats.skipped += batch.skipped
                bar.update(len(batch.windows) + batch.skipped)
                if batch.last:
                    for part in track.finish(batch.strip):
                        for rows in self.combine.push(batch.track, part):
                            self.sink.add(rows)
                    track.done = batch.strip + 1
                    if after_strip is not None:
                        after_strip()
            stats.blocks, stats.wait_seconds = feed.blocks, feed.waited

    def _predict(self, batch: Batch) -> torch.Tensor | None:
        """Return what to add up for each window of a batch, None if it has none."""
        if batch.images is None:
            return None
        track = self.tracks[batch.track]
        with torch.inference_mode():  # each thread has to be told
            return track.weigh(batch.strip, batch.windows, track.network.prob(batch.images))

    def save(self, note: Checkpoint) -> None:
        """Write down everything that a new process needs to go on."""
        state = {"given": np.array(self.combine.given)} | self.sink.state()
        for k, (track, one) in enumerate(zip(self.tracks, self.combine.maps, strict=True)):
            state[f"done-{k}"] = np.array(track.done)
            state[f"blended-{k}"] = track.carried().cpu().numpy()
            state[f"begin-{k}"] = np.array(one.begin)
            if one.waiting is not None:
                state[f"waiting-{k}"] = one.waiting.cpu().numpy()
        note.save(state, self.sink.changes)

    def restore(self, note: Checkpoint) -> None:
        """Go on from what was saved, if anything was."""
        saved = note.load()
        if saved is None:
            return
        state, changes = saved
        if not self.sink.restore(state, changes):
            return
        device = self.job.device
        self.combine.given = int(state["given"])
        for k, (track, one) in enumerate(zip(self.tracks, self.combine.maps, strict=True)):
            track.go_on(int(state[f"done-{k}"]), torch.from_numpy(state[f"blended-{k}"]).to(device))
            one.begin = int(state[f"begin-{k}"])
            if f"waiting-{k}" in state:
                one.waiting = torch.from_numpy(state[f"waiting-{k}"]).to(device)


def _network(job: Job, member: Member) -> Network:
    return Network(
        member.models, member.weights, job.views, job.mean, job.amp, job.batch_size, job.compile
    )
