import gc
import os
import subprocess
import sys
import weakref

import pytest
import torch

from kagglekit import models
from kagglekit.inference._activations import activation_bytes
from kagglekit.models import Model, Recipe


class Net(torch.nn.Module):
    def __init__(self, forward):
        super().__init__()
        self.anchor, self.run, self.sides = torch.nn.Parameter(torch.zeros(1)), forward, []

    def forward(self, x):
        self.sides.append(x.shape[-2:])
        return self.run(x)


def model_of(forward, **recipe):
    return Model(Net(forward), Recipe(**recipe)).eval()


# Three bytes for each pixel, and the floats that `Model` makes of them, stay all the time.
@pytest.mark.parametrize(
    ("forward", "floats"),
    [
        (lambda x: x[:, :1] + 1, 3 + 1),
        (lambda x: torch.cat([x, x])[:1, :1], 3 + 6),
        (lambda x: torch.cat([x, x])[:1, :1] + 1, 3 + 6 + 1),  # the view keeps all six
        (lambda x: (x[:, :1] + 1) + 1, 3 + 2),
        (lambda x: ((x[:, :1] + 1) + 1) + 1, 3 + 2),  # the first is gone by then
        (lambda x: (x[:, :1] + 1).mul_(2).mul_(2), 3 + 1),
        (lambda x: (x + 1).relu_()[:, :1], 3 + 3),
    ],
)
def test_what_is_there_at_a_time(forward, floats):
    assert activation_bytes(model_of(forward)) == 3 + 4 * floats


def test_it_is_measured_once_on_a_small_window():
    model = model_of(lambda x: x[:, :1], window=1024)
    for _ in range(2):
        activation_bytes(model)
    assert model.net.sides == [(128, 128)]


@pytest.mark.parametrize(
    ("window", "stride", "side"), [(64, 32, 64), (1024, 32, 128), (480, 48, 144), (512, 256, 256)]
)
def test_windows_are_on_the_networks_stride(window, stride, side):
    model = model_of(lambda x: x[:, :1], window=window, stride=stride)
    activation_bytes(model)
    assert model.net.sides == [(side, side)]


def test_a_network_that_takes_its_own_window_only():
    def forward(x):
        assert x.shape[-1] == 512
        return x[:, :1]

    assert activation_bytes(model_of(forward)) == 0


def test_a_models_channels_are_those_of_its_recipe():
    model = model_of(lambda x: x[:, :1] + 1, in_channels=5, mean=[0.5] * 5, std=[0.5] * 5)
    assert activation_bytes(model) == 5 + 4 * (5 + 1)


def test_models_are_not_kept_alive():
    model = models.build(Recipe("unet", {"width": 4}, window=64)).eval()
    activation_bytes(model)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


MEASURE = """
import sys, torch
from pathlib import Path
from kagglekit import models
from kagglekit.inference._activations import activation_bytes
from kagglekit.memory import _fields, peak_bytes

torch.set_num_threads(1)
model = models.build(models.Recipe("unet", {"width": 16}, window=1024)).eval()
told = activation_bytes(model) * 1024**2
pixels = torch.zeros(1, 1024, 1024, 3, dtype=torch.uint8).permute(0, 3, 1, 2)
before = _fields(Path("/proc/self/status"))["VmRSS"] << 10
with torch.inference_mode():
    model(pixels)
print(told, peak_bytes() - before, "torch._dynamo" in sys.modules)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_it_is_what_a_network_takes_and_loads_no_compiler():
    # What is freed goes back at once: by default glibc keeps up to as much again for later.
    env = os.environ | {"MALLOC_MMAP_THRESHOLD_": "131072"}
    command = [sys.executable, "-c", MEASURE]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    told, taken, has_compiler = done.stdout.split()
    assert float(told) == pytest.approx(float(taken), rel=0.1)
    assert has_compiler == "False"
