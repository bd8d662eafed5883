"""Answers come in order, from several cores, and leave torch as it was."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch

from kagglekit.inference._answers import answers, batch_for, cores_for, waiting, workers
from kagglekit.inference._batches import Batch

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def batches(count):
    return [Batch(0, k, [0], 0, torch.full((1, 1, 2, 2), float(k)), True) for k in range(count)]


class Slow:
    """Answers later ones sooner, and notes who answers and how many threads torch gives it."""

    def __init__(self):
        self.threads, self.names = set(), set()

    def __call__(self, batch):
        self.names.add(threading.current_thread().name.split("_")[0])
        self.threads.add(torch.get_num_threads())
        time.sleep(0.01 if batch.strip % 2 else 0.03)
        return batch.images * 2


def ask(given, predict, cores):
    with workers(cores, 2) as pool:
        return list(answers(given, predict, cores, pool))


def left_over():
    return [t for t in threading.enumerate() if t.name.startswith("kagglekit-")]


@pytest.fixture
def four_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("cores", [1, 2, 4])
def test_answers_come_in_the_order_of_the_batches(four_threads, cores):
    predict = Slow()
    found = ask(iter(batches(9)), predict, cores)
    assert [batch.strip for batch, _, _ in found] == list(range(9))
    assert [float(answer.max()) for _, answer, _ in found] == [2.0 * k for k in range(9)]
    assert all(seconds >= 0.01 for _, _, seconds in found)
    assert torch.get_num_threads() == 4
    assert predict.threads == ({4} if cores == 1 else {1})
    assert predict.names == {"MainThread"} | ({"kagglekit-worker"} if cores > 1 else set())
    assert not left_over()


@pytest.mark.parametrize(
    ("cores", "readers", "names"),
    [
        (1, 3, ["kagglekit-decode_0", "kagglekit-decode_1", "kagglekit-decode_2"]),
        (3, 1, ["MainThread", "kagglekit-worker_0", "kagglekit-worker_1"]),
    ],
)
def test_decoding_shares_the_threads_of_the_network(four_threads, cores, readers, names):
    meet = threading.Barrier(3, timeout=10)

    def name_of_thread():
        meet.wait()
        return threading.current_thread().name

    with workers(cores, readers) as pool:
        tasks = [pool.submit(name_of_thread) for _ in range(3)]
        assert sorted(task.result() for task in tasks) == names


@pytest.mark.parametrize("cores", [1, 3])
def test_what_a_network_raises_comes_out_and_torch_is_as_before(four_threads, cores):
    def broken(batch):
        raise ZeroDivisionError(batch.strip)

    with pytest.raises(ZeroDivisionError, match="^0$"):
        ask(batches(9), broken, cores)
    assert torch.get_num_threads() == 4
    assert not left_over()


def test_a_caller_who_stops_early_leaves_nothing_behind(four_threads):
    with workers(2, 2) as pool:
        next(answers(iter(batches(50)), Slow(), 2, pool))
    assert torch.get_num_threads() == 4
    assert not left_over()


@pytest.mark.parametrize("cores", [1, 2])
def test_no_more_batches_are_asked_for_than_buffers_are_kept(four_threads, cores):
    asked = []

    def counted():
        for batch in batches(40):
            asked.append(batch.strip)
            yield batch

    with workers(cores, 2) as pool:
        for batch, _, _ in answers(counted(), lambda batch: batch.images, cores, pool):
            assert asked[-1] <= batch.strip + waiting(cores)


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


@pytest.mark.parametrize(
    ("windows", "side", "device", "compiled", "batch"),
    [
        (500, 512, CPU, False, 1),
        (500, 2048, CPU, False, 1),
        (500, 256, CPU, False, 2),
        (500, 128, CPU, False, 8),
        (80, 128, CPU, False, 5),  # four batches for each of four cores
        (15, 128, CPU, False, 1),
        (1, 128, CPU, False, 1),
        (500, 128, CPU, True, 1),
        (500, 2048, GPU, False, 8),
        (1, 128, GPU, True, 8),
    ],
)
def test_small_windows_are_predicted_together(four_threads, windows, side, device, compiled, batch):
    assert batch_for(windows, side * side, device, compiled) == batch
    assert cores_for(windows, batch, device, compiled) == cores_for(windows, 1, device, compiled)


FORKING = """
import multiprocessing, sys
import numpy as np, torch
from torch import nn
from kagglekit.inference import predict_mask
from kagglekit.models import Model, Recipe
from kagglekit.slides import open_slide

torch.set_num_threads(2)

def predict(window):
    torch.manual_seed(0)
    model = Model(nn.Conv2d(3, 1, 3, padding=1), Recipe(window=window)).eval()
    with open_slide(sys.argv[1]) as slide:
        return predict_mask(model, slide, progress=False).to_text(), torch.get_num_threads()

expected = [predict(window) for window in (128, 512)]  # for many windows, and for few
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(predict, (128, 512)) == expected
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes do not fork")
def test_a_fork_of_a_process_that_has_predicted_predicts(tmp_path):
    """OpenMP's threads stay behind in the parent, and torch would wait for them for ever."""
    np.save(tmp_path / "a.npy", np.random.default_rng(0).integers(0, 256, (600, 700, 3), np.uint8))
    command = [sys.executable, "-c", FORKING, tmp_path / "a.npy"]
    subprocess.run(command, check=True, timeout=120)
