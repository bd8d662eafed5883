"""Spending a notebook's hours: as good a prediction as the time left allows, and never too late."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from kagglekit.memory import take_peak

Plan = TypeVar("Plan")

_KEPT_BACK = 0.05  # of the hours, for what comes after the last image and for a slow end
_FEW = 3  # images that say how long a plan takes; the first of a run alone pays for warming up
_MUCH = 0.05  # of the hours: images that took so long say it too, however few they are


@dataclass
class _Spent:
    """What a plan has taken so far: images, their pixels and seconds, the largest and its bytes."""

    images: int = 0
    pixels: int = 0
    seconds: float = 0.0
    largest: int = 0
    peak: int = 0


class Budget(Generic[Plan]):
    """Walks down a list of plans, the best one first, so that every image gets its turn in time.

    The clock starts when the Budget is made: make it in the notebook's first cell. Once a plan has
    done three images (or has taken a twentieth of the hours) their seconds per pixel tell how long
    all the others will take; when that is more than what is left, the next plan is used from then
    on, as it is at an image for which the plan in use has no time. One for which even the last
    plan has none is left out, so its row stays empty and
    the notebook ends before it is ended. A twentieth of the hours is kept back.

    Memory is watched the same way: what this process held at most while it did the largest image
    so far, scaled to the largest that is to come.

    Args:
        hours: wall time that the notebook may take, e.g. `comp.limits.hours`.
        plans: the best first, each of a kind that you know what to do with: keywords for
            `predict_mask`, or a function to call.
        ram_gb: memory that it may take in GB (1e9 bytes); None does not watch it.
        say: where the predictions go.
        clock: the time in seconds.
        memory: the most bytes this process has held since the last call; None where not known.

    Raises:
        ValueError: no plan, or hours or memory that are not above 0.

    Example:
        >>> budget = Budget(9, [{"tta": "d4"}, {"tta": "flips"}, {"tta": None}], ram_gb=30)
        >>> with Writer(comp, data) as out:                                    # doctest: +SKIP
        ...     for image_id, path, plan in budget.walk(out.todo(), out.pixels()):
        ...         with out.attempt(image_id), open_slide(path) as slide:
        ...             out[image_id] = predict_mask(models, slide, **plan)
    """

    def __init__(
        self,
        hours: float,
        plans: Sequence[Plan],
        *,
        ram_gb: float | None = None,
        say: Callable[[str], None] = print,
        clock: Callable[[], float] = time.monotonic,
        memory: Callable[[], int | None] | None = None,
    ) -> None:
        if not plans:
            raise ValueError("a Budget needs at least one plan, e.g. [{'tta': 'flips'}]")
        if not hours > 0 or not (ram_gb is None or ram_gb > 0):
            raise ValueError(f"hours={hours} and ram_gb={ram_gb}: expected numbers above 0")
        self._seconds = 3600 * hours
        self._plans = list(plans)
        self._bytes = None if ram_gb is None else 1e9 * ram_gb
        self._say, self._clock = say, clock
        # Only where it is needed: whoever else asks for the process's peak would get another one.
        self._memory = memory or (take_peak if ram_gb else lambda: None)
        self._began = clock()
        self._base = self._memory() or 0
        self._place = 0
        self._spent = [_Spent() for _ in plans]
        self._told = False

    @property
    def plan(self) -> Plan:
        """The plan in use."""
        return self._plans[self._place]

    def walk(
        self, images: Iterable[tuple[str, Path]], pixels: Mapping[str, int]
    ) -> Iterator[tuple[str, Path, Plan]]:
        """Yield id and path of each image for which there is time, and the plan to use.

        Args:
            images: id and path, as `Writer.todo` gives them.
            pixels: how many each of them has, as `Writer.pixels` gives them; 0 if not known.
        """
        waiting = dict(pixels)
        for image_id, path in images:
            size = waiting.pop(image_id, 0)
            needs, left = size * self._per_pixel(), self._left()
            while needs > left > 0 and self._place + 1 < len(self._plans):
                why = f"{_name(self.plan)} needs {needs:.0f} s of {left:.0f} for `{image_id}`"
                self._use_next(why)
                needs = size * self._per_pixel()
            if left <= 0 or needs > left:
                self._say(f"`{image_id}` is left out: it needs {needs:.0f} s of {max(left, 0):.0f}")
                continue
            began = self._clock()
            yield image_id, path, self.plan
            self._note(size, self._clock() - began)
            if waiting:
                self._tell(waiting)
                self._step_down(waiting)
        self._sum_up()

    def _left(self) -> float:
        """Return the seconds that may still be spent on images."""
        return (1 - _KEPT_BACK) * self._seconds - (self._clock() - self._began)

    def _per_pixel(self) -> float:
        """Return the seconds per pixel of the plan in use, 0 before it has done an image."""
        spent = self._spent[self._place]
        return spent.seconds / spent.pixels if spent.pixels else 0.0

    def _note(self, size: int, seconds: float) -> None:
        spent = self._spent[self._place]
        if size:  # one that cannot be read says nothing about others
            spent.images += 1
            spent.pixels += size
            spent.seconds += seconds
        spent.largest = max(spent.largest, size)
        spent.peak = max(spent.peak, self._memory() or 0)

    def _is_known(self) -> bool:
        """Whether the plan in use has done enough to say how long it takes."""
        spent = self._spent[self._place]
        return spent.images >= _FEW or spent.seconds >= _MUCH * self._seconds

    def _tell(self, waiting: Mapping[str, int]) -> None:
        """Say once what the first images promise for all."""
        if self._told or not self._is_known():
            return
        self._told = True
        needs = self._per_pixel() * sum(waiting.values())
        self._say(
            f"{_count(self._spent[self._place].images)} done, {len(waiting)} to go: with "
            f"{_name(self.plan)} they take {_hours(needs)}, {_hours(self._left())} are left"
        )

    def _step_down(self, waiting: Mapping[str, int]) -> None:
        """Go to the next plan if the one in use takes too long or too much memory."""
        why = self._too_slow(waiting) or self._too_large(waiting)
        if why and self._place + 1 < len(self._plans):
            self._use_next(why)

    def _use_next(self, why: str) -> None:
        self._place += 1
        self._say(f"{why}: from now on {_name(self.plan)}")

    def _too_slow(self, waiting: Mapping[str, int]) -> str:
        needs, left = self._per_pixel() * sum(waiting.values()), self._left()
        if not self._is_known() or needs <= left:
            return ""
        return f"{_name(self.plan)} would take {_hours(needs)}, {_hours(left)} are left"

    def _too_large(self, waiting: Mapping[str, int]) -> str:
        spent, largest = self._spent[self._place], max(waiting.values())
        growth = max(1.0, largest / spent.largest) if spent.largest else 1.0
        needs = self._base + growth * max(0, spent.peak - self._base)
        if self._bytes is None or needs <= self._bytes:
            return ""
        return (
            f"{_name(self.plan)} would take {needs / 1e9:.1f} GB for an image of "
            f"{largest / 1e6:.0f} megapixels, {self._bytes / 1e9:.1f} GB are allowed"
        )

    def _sum_up(self) -> None:
        images = sum(spent.images for spent in self._spent)
        seconds = sum(spent.seconds for spent in self._spent)
        if not images or not seconds:
            return
        enough = int((1 - _KEPT_BACK) * self._seconds * images / seconds)
        self._say(
            f"{_count(images)} took {_hours(seconds)}; {self._seconds / 3600:g} h are enough for "
            f"{enough:,} like these"
        )


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.2f} h" if seconds >= 360 else f"{seconds:.0f} s"


def _count(images: int) -> str:
    return "1 image" if images == 1 else f"{images:,} images"


def _name(plan: object) -> str:
    """Return how messages call a plan: keywords as they are written, a function by its name."""
    if isinstance(plan, Mapping):
        return ", ".join(f"{key}={value!r}" for key, value in plan.items()) or "no options"
    return str(getattr(plan, "__name__", plan))
