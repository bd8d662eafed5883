"""Answers come in order, from several cores, and leave torch as it was."""

import threading
import time
from types import SimpleNamespace

import pytest
import torch

from kagglekit.inference._answers import answers, cores_for
from kagglekit.inference._batches import Batch

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def batches(count, images=True):
    return [
        Batch(0, k, [0], 0, torch.full((1, 1, 2, 2), float(k)) if images else None, True)
        for k in range(count)
    ]


class Slow:
    """Answers later ones sooner, and notes who answers and how many threads torch gives it."""

    def __init__(self):
        self.threads, self.names = set(), set()

    def prob(self, images):
        self.names.add(threading.current_thread().name.split("_")[0])
        self.threads.add(torch.get_num_threads())
        time.sleep(0.01 if int(images[0, 0, 0, 0]) % 2 else 0.03)
        return images * 2


@pytest.fixture
def four_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("cores", [1, 2, 4])
def test_answers_come_in_the_order_of_the_batches(four_threads, cores):
    network = Slow()
    found = list(answers(iter(batches(9)), [network], cores))
    assert [batch.strip for batch, _, _ in found] == list(range(9))
    assert [float(prob.max()) for _, prob, _ in found] == [2.0 * k for k in range(9)]
    assert all(seconds >= 0.01 for _, _, seconds in found)
    assert torch.get_num_threads() == 4
    assert network.threads == ({4} if cores == 1 else {1})
    assert network.names == ({"MainThread"} if cores == 1 else {"kagglekit-network"})


def test_a_batch_without_windows_passes_through(four_threads):
    found = list(answers(batches(3, images=False), [Slow()], 2))
    assert [(prob, seconds) for _, prob, seconds in found] == [(None, 0.0)] * 3


@pytest.mark.parametrize("cores", [1, 3])
def test_what_a_network_raises_comes_out_and_torch_is_as_before(four_threads, cores):
    class Broken:
        def prob(self, images):
            raise ZeroDivisionError(int(images[0, 0, 0, 0]))

    with pytest.raises(ZeroDivisionError, match="^0$"):
        list(answers(batches(9), [Broken()], cores))
    assert torch.get_num_threads() == 4
    assert not [t for t in threading.enumerate() if t.name.startswith("kagglekit-network")]


def test_a_caller_who_stops_early_leaves_nothing_behind(four_threads):
    found = answers(iter(batches(50)), [Slow()], 2)
    next(found)
    found.close()
    assert torch.get_num_threads() == 4
    assert not [t for t in threading.enumerate() if t.name.startswith("kagglekit-network")]


def test_no_more_batches_are_asked_for_than_the_cores_can_work_on(four_threads):
    asked = []

    def counted():
        for batch in batches(20):
            asked.append(batch.strip)
            yield batch

    for batch, _, _ in answers(counted(), [SimpleNamespace(prob=lambda images: images)], 2):
        assert asked[-1] <= batch.strip + 2  # two are being worked on: that many buffers are kept


@pytest.mark.parametrize(
    ("windows", "batch_size", "device", "compiled", "cores"),
    [
        (500, 1, CPU, False, 4),
        (16, 1, CPU, False, 4),
        (15, 1, CPU, False, 1),
        (500, 100, CPU, False, 1),
        (500, 1, CPU, True, 1),
        (500, 1, GPU, False, 1),
    ],
)
def test_several_cores_for_many_windows_of_a_cpu(
    four_threads, windows, batch_size, device, compiled, cores
):
    assert cores_for(windows, batch_size, device, compiled) == cores
