"""A team does each task once, in order, with as many threads as asked for, the caller's included."""

import threading
import time

import pytest
import torch

from kagglekit.inference._team import Team


@pytest.fixture
def team():
    team = Team(2, "kagglekit-test")
    yield team
    team.shutdown(cancel_futures=True)
    assert not [t for t in threading.enumerate() if t.name.startswith("kagglekit-test")]


@pytest.fixture
def busy(team):
    """A team whose other thread does nothing until the event is set."""
    begun, free = threading.Event(), threading.Event()

    def hold():
        begun.set()
        free.wait(10)

    team.submit(hold)
    assert begun.wait(10)
    yield free
    free.set()


def left_to_the_others(task):
    """Return what came of a task without lending a hand."""
    deadline = time.monotonic() + 10
    while not task.done() and time.monotonic() < deadline:
        time.sleep(0.001)
    assert task.done()
    return task.result()


def test_who_waits_works(team, busy):
    here = threading.current_thread()
    tasks = [team.submit(threading.current_thread) for _ in range(3)]
    assert [task.result() for task in tasks] == [here] * 3


def test_who_waits_does_first_what_came_first_and_no_more_than_it_has_to(team, busy):
    done = []
    tasks = [team.submit(done.append, k) for k in range(5)]
    tasks[2].result()
    assert done == [0, 1, 2]
    busy.set()
    tasks[4].result()
    assert done == [0, 1, 2, 3, 4]


def test_all_threads_work_at_the_same_time():
    meet = threading.Barrier(4, timeout=10)
    with Team(4, "kagglekit-test") as team:
        tasks = [team.submit(meet.wait) for _ in range(4)]
        assert sorted(task.result() for task in tasks) == [0, 1, 2, 3]


def test_what_another_thread_is_doing_is_waited_for(team):
    begun = threading.Event()

    def slow():
        begun.set()
        time.sleep(0.1)
        return "done"

    task = team.submit(slow)
    assert begun.wait(10)
    assert task.result() == "done"


def test_the_others_work_while_nobody_waits(team):
    task = team.submit(threading.current_thread)
    assert left_to_the_others(task).name == "kagglekit-test_0"


def test_what_a_task_raises_is_raised_by_its_own_result_only(team, busy):
    broken, sound = team.submit(divmod, 1, 0), team.submit(divmod, 7, 2)
    assert sound.result() == (3, 1)
    with pytest.raises(ZeroDivisionError):
        broken.result()


def test_an_interrupt_stops_the_one_who_waits_whatever_it_was_doing(team, busy):
    def interrupted():
        raise KeyboardInterrupt

    mine, other = team.submit(interrupted), team.submit(divmod, 7, 2)
    with pytest.raises(KeyboardInterrupt):
        other.result()
    assert mine.done()
    assert not other.done()


def test_what_has_not_begun_can_be_cancelled(team, busy):
    done = []
    one, two = team.submit(done.append, 1), team.submit(done.append, 2)
    assert one.cancel()
    two.result()
    assert done == [2]


def test_an_end_without_what_has_not_begun(busy, team):
    tasks = [team.submit(divmod, 7, 2) for _ in range(3)]
    threading.Timer(0.05, busy.set).start()
    team.shutdown(cancel_futures=True)
    assert all(task.cancelled() for task in tasks)


def test_an_end_with_all_that_was_asked_for():
    with Team(2, "kagglekit-test") as team:
        tasks = [team.submit(divmod, 7, 2) for _ in range(9)]
    assert all(task.done() and task.result() == (3, 1) for task in tasks)


def test_to_torch_each_of_the_others_is_one_core(team):
    assert left_to_the_others(team.submit(torch.get_num_threads)) == 1
