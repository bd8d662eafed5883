import threading

import numpy as np
import pytest
import torch

from tests.make_believe import There, a_gpu


def test_numbers_come_back_as_the_cpu_computes_them(monkeypatch):
    here = torch.rand(4, 5)
    with a_gpu(monkeypatch):
        there = here.to("cuda")
        assert isinstance(there, There)
        assert there.device == torch.device("cuda:0")
        rows = torch.arange(5, device="cuda").narrow(0, 1, 3)
        rows.mul_(2)
        assert torch.equal(
            (there.sum(0)[1:4] * rows).cpu(), here.sum(0)[1:4] * 2 * torch.arange(1, 4)
        )


def test_what_was_left_on_the_cpu_is_noticed(monkeypatch):
    with a_gpu(monkeypatch):
        there = torch.zeros(3, device="cuda")
        assert (there + torch.tensor(1.0)).sum().item() == 3  # a number may lie anywhere
        with pytest.raises(RuntimeError, match="some tensors are on the GPU, some on the CPU"):
            there + torch.zeros(3)
        with pytest.raises((RuntimeError, TypeError)):
            there.numpy()


def test_a_dtype_that_it_has_not_is_noticed(monkeypatch):
    numbers = torch.from_numpy(np.zeros(3))
    with a_gpu(monkeypatch, [torch.float64]):
        with pytest.raises(TypeError, match=r"the GPU has no torch\.float64"):
            numbers.to("cuda")
        assert numbers.float().to("cuda").dtype == torch.float32


@pytest.mark.parametrize(
    ("work", "waits"),
    [
        (lambda there: there + there, False),
        (lambda there: there[1:].clone(), False),
        (lambda there: torch.zeros(3).to("cuda", non_blocking=True), False),
        (lambda there: torch.zeros(3).to("cuda"), True),
        (lambda there: there.cpu(), True),
        (lambda there: there.sum().item(), True),
        (lambda there: bool(there.sum() > 0), True),
        (lambda there: there[[0, 2]], True),
        (lambda there: there[there > 0], True),
        (lambda there: torch.nonzero(there), True),
    ],
)
def test_tells_what_is_waited_for(work, waits, monkeypatch):
    with a_gpu(monkeypatch) as asked:
        there = torch.ones(3, device="cuda")
        asked.clear()
        work(there)
    assert asked
    assert any(each.waits for each in asked) == waits


def test_is_there_in_other_threads_and_gone_afterwards(monkeypatch):
    found = []
    with a_gpu(monkeypatch):
        thread = threading.Thread(target=lambda: found.append(torch.zeros(3).to("cuda")))
        thread.start()
        thread.join()
        assert isinstance(found[0], There)
    with pytest.raises(AssertionError, match="outside of `a_gpu`"):
        found[0] + 1
