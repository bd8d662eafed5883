"""When to save, and when to stop so that the session ends after the training and not before."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SPARE = 1.5
"""How much longer than the longest so far the next validation may take."""


class Clock:
    """Counts from when it is made.

    Args:
        hours: how long a training may take; None for as long as it likes.
        save_minutes: how often it is to be saved.
        clock: seconds that pass; another one for tests.
    """

    def __init__(
        self,
        hours: float | None,
        save_minutes: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hours, self._every, self._clock = hours, 60 * save_minutes, clock
        self._began = self._saved = self._ticked = clock()
        self._longest_step = self._longest_pause = 0.0

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._began

    def tick(self) -> None:
        """Tell that a step is done."""
        now = self._clock()
        self._longest_step = max(self._longest_step, now - self._ticked)
        self._ticked = now

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Measure what comes between steps: saving, validating."""
        began = self._clock()
        yield
        self._saved = self._ticked = self._clock()
        self._longest_pause = max(self._longest_pause, self._ticked - began)

    def is_over(self) -> bool:
        """Whether one more step, and what may follow it, could take longer than there is."""
        if self._hours is None:
            return False
        needs = self._longest_step + _SPARE * self._longest_pause
        return self.seconds + needs > 3600 * self._hours

    def wants_save(self) -> bool:
        """Whether it is time to save."""
        return self._clock() - self._saved >= self._every
