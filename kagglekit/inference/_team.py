"""A pool of threads of which the one that waits for a result is one.

A pool as large as there are cores and a caller with work of its own make one thread more than
cores. The system then stops one of them every few milliseconds, now and then just the one that
holds Python's lock, and all others wait for it. Here a thread that would wait does tasks instead.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

import torch

T = TypeVar("T")
P = ParamSpec("P")


class Team(Executor):
    """Does tasks, those that came first before others.

    Args:
        size: threads, the caller among them; at least 2. To torch each of them is one core.
        name: of the others.
    """

    def __init__(self, size: int, name: str) -> None:
        self._others = ThreadPoolExecutor(size - 1, name, torch.set_num_threads, (1,))
        self._tasks: deque[_Task[Any]] = deque()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Let it be called, by whoever has time; `result` of what is returned lends a hand."""
        task = _Task(partial(fn, *args, **kwargs), self)
        self._tasks.append(task)
        self._others.submit(self.work)
        return task

    def work(self) -> bool:
        """Do the task that has waited longest; False if none is waiting."""
        try:
            task = self._tasks.popleft()
        except IndexError:
            return False
        task.do()
        return True

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads; with `cancel_futures`, without what they have not begun."""
        if cancel_futures:
            for task in list(self._tasks):
                task.cancel()
        self._others.shutdown(wait, cancel_futures=cancel_futures)


class _Task(Future[T]):
    def __init__(self, call: Callable[[], T], team: Team) -> None:
        super().__init__()
        self._call, self._team = call, team

    def do(self) -> None:
        if not self.set_running_or_notify_cancel():
            return
        try:
            value = self._call()
        except BaseException as error:
            self.set_exception(error)
            if not isinstance(error, Exception):
                raise  # whoever presses Ctrl-C does not mean this task
        else:
            self.set_result(value)

    def result(self, timeout: float | None = None) -> T:
        """Return what came of it; until then, do whatever is waiting to be done."""
        while not self.done() and self._team.work():
            pass
        return super().result(timeout)
