"""Windows of pixels, put together to batches on the models' device."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from queue import Queue
from threading import Event, Thread
from typing import Any, TypeVar

import numpy as np
import torch

from kagglekit.inference._background import is_background
from kagglekit.inference._feed import Feed
from kagglekit.inference._track import Track

T = TypeVar("T")

_WAITING = 2  # batches ready for a GPU while it works on another
ON_GPU = _WAITING + 3  # at most: with those coming, being worked on, and worked on just before


@dataclass
class Batch:
    """Some windows of one strip.

    Attributes:
        track: which of the tracks they belong to.
        strip: which of its windows along the sweep.
        windows: which across it, without the skipped ones.
        skipped: how many were left out before them.
        images: (N, C, h, w) on the device, or on the CPU if they did not fit there; None if there
            are no windows.
        last: no window of the strip comes after these.
        arrived: when the images are there, on a GPU.
    """

    track: int
    strip: int
    windows: list[int]
    skipped: int
    images: torch.Tensor | None
    last: bool
    arrived: torch.cuda.Event | None = None


class Batches:
    """Puts batches together, for a GPU ahead of time and in a thread of its own.

    Args:
        feed: gives the pixels.
        tracks: whose windows; strips of several tracks come in the order of the sweep.
        batch_size: windows of a batch.
        skip: leave out windows that show nothing but background.
        device: of the models.
        kept: batches that the caller still works on when it asks for the next one.
    """

    def __init__(
        self,
        feed: Feed,
        tracks: Sequence[Track],
        batch_size: int,
        skip: bool,
        device: torch.device,
        kept: int = 0,
    ) -> None:
        self.feed, self.tracks, self.batch_size, self.skip = feed, tracks, batch_size, skip
        self.device, self.kept = device, kept
        self._memory: dict[tuple[int, ...], deque[torch.Tensor]] = {}
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def __iter__(self) -> Iterator[Batch]:
        order = sorted(
            (track.along.starts[strip] * track.scale, which, strip)
            for which, track in enumerate(self.tracks)
            for strip in track.strips
        )
        batches = (batch for _, which, strip in order for batch in self._strip(which, strip))
        return batches if self._stream is None else self._received(self._sent(batches))

    def _strip(self, which: int, strip: int) -> Iterator[Batch]:
        track = self.tracks[which]
        count = len(track.across.starts)
        host: torch.Tensor | None = None
        windows, skipped = list[int](), 0
        for j in range(count):
            if host is None:
                host = self._host(track)
            window = host.numpy()[len(windows)]
            i, k = (strip, j) if track.axis == 0 else (j, strip)
            self.feed.fill(window, track.scale, track.grid, i, k)
            if self.skip and is_background(window, track.network.models[0].recipe.max_value):
                skipped += 1
            else:
                windows.append(j)
            last = j + 1 == count
            if last or len(windows) == self.batch_size:
                batch = Batch(which, strip, windows, skipped, None, last)
                if windows:
                    self._send(host[: len(windows)], batch)
                yield batch
                host, windows, skipped = None, [], 0

    def _host(self, track: Track) -> torch.Tensor:
        """Return memory for a batch, (N, h, w, C)."""
        grid, slide = track.grid, self.feed.slide
        shape = (self.batch_size, grid.rows.window, grid.columns.window, slide.channels)
        dtype = torch.from_numpy(np.empty(0, stored_as(slide.dtype))).dtype
        if self._stream is not None:
            # Pinned, so that it can be copied while the GPU computes; torch reuses it afterwards.
            return torch.empty(shape, dtype=dtype, device="cpu", pin_memory=True)
        used = self._memory.setdefault(shape, deque())
        if len(used) <= self.kept:
            used.append(torch.empty(shape, dtype=dtype, device="cpu"))
        else:
            used.rotate(-1)  # the longest unused comes last, and is used again
        return used[-1]

    def _send(self, host: torch.Tensor, batch: Batch) -> None:
        """Bring the images to the device: as stored, for floats would weigh four times as much."""
        if self._stream is None:
            images = host.to(self.device)
        else:
            try:
                with torch.cuda.stream(self._stream):
                    images = host.to(self.device, non_blocking=True)
                    batch.arrived = self._stream.record_event()
            except torch.OutOfMemoryError:
                images = host  # the network takes them in smaller parts
        batch.images = images.permute(0, 3, 1, 2)

    def _sent(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        # Each thread begins at the first GPU, and only to be there would take hundreds of MB of it.
        torch.cuda.set_device(self.device)
        yield from batches

    def _received(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in ahead(batches, _WAITING):
            if batch.images is not None and batch.arrived is not None:
                here = torch.cuda.current_stream(self.device)
                here.wait_event(batch.arrived)
                batch.images.record_stream(here)
            yield batch


def stored_as(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype in which pixels go to a network: theirs, if it is no wider than float32.

    A model turns all into float32 first, and some GPUs have no float64.

    Example:
        >>> stored_as(np.dtype(np.uint8)), stored_as(np.dtype(np.float64))
        (dtype('uint8'), dtype('float32'))
    """
    return dtype if dtype.itemsize < 4 else np.dtype(np.float32)


@dataclass
class _End:
    """Comes behind the items, with what they raised."""

    error: BaseException | None = None


def ahead(items: Iterator[T], count: int) -> Iterator[T]:
    """Yield the items of an iterator that runs in a thread of its own, up to `count` ahead.

    What it raises is raised here. When the caller stops, so does the thread.
    """
    queue: Queue[Any] = Queue(count)
    stop = Event()

    def work() -> None:
        end = _End()
        try:
            for item in items:
                queue.put(item)
                if stop.is_set():
                    break
        except BaseException as raised:
            end.error = raised
        queue.put(end)

    thread = Thread(target=work, name="kagglekit-batches", daemon=True)
    thread.start()
    try:
        while True:
            item = queue.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stop.set()
        while thread.is_alive():
            while not queue.empty():
                queue.get()
            thread.join(0.01)
