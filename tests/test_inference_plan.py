import os
import subprocess
import sys
import time
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

from kagglekit.errors import PlanError
from kagglekit.inference import _plan, predict_mask, predict_prob
from kagglekit.inference._batches import ON_GPU, Batches
from kagglekit.inference._job import make_job
from kagglekit.inference._plan import Plan, make_plan
from kagglekit.inference._sweep import _network
from kagglekit.models import Model, Recipe
from kagglekit.slides import Slide, open_slide
from tests.array_slide import TILED, write_image
from tests.make_believe import a_gpu

PLAN = Plan(
    name="a.tiff", shape=(50_680, 39_960), scales=(4,), windows=3_036, strips=66, direction="down",
    device="cpu", host_bytes=198 << 20, layer_bytes=0, device_bytes=0, seconds=None,
)  # fmt: skip
START = "a.tiff: 50,680 x 39,960 pixels, scale 4: 3,036 windows in 66 strips down; "


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, START + "needs about 198 MB"),
        ({"seconds": 7.4}, START + "needs about 198 MB; the network alone 0:07 on cpu"),
        ({"seconds": 119.7}, START + "needs about 198 MB; the network alone 2:00 on cpu"),
        ({"seconds": 4021.0}, START + "needs about 198 MB; the network alone 67:01 on cpu"),
        (
            {"device": "cuda:0", "device_bytes": 1_500 << 20, "seconds": 61.0},
            START + "needs about 198 MB and 1,500 MB on cuda:0; the network alone 1:01 on cuda:0",
        ),
        (
            {"layer_bytes": 14_336 << 20, "seconds": 7.4},
            START + "needs about 198 MB and 14,336 MB for the layers; "
            "the network alone 0:07 on cpu",
        ),
        (
            {"scales": (1, 4), "direction": "to the right", "shape": (10, 2_000)},
            "a.tiff: 10 x 2,000 pixels, scale 1 and 4: 3,036 windows in 66 strips to the right; "
            "needs about 198 MB",
        ),
    ],
)
def test_text(changes, text):
    assert str(replace(PLAN, **changes)) == text


class Counting(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net, self.calls = torch.nn.Conv2d(3, 1, 1), 0

    def forward(self, x):
        self.calls += 1
        return self.net(x)


@pytest.fixture
def slide(tmp_path):
    path = write_image(tmp_path / "a.tiff", np.full((700, 500, 3), 9, np.uint8), **TILED)
    with open_slide(path) as opened:
        yield opened


def counting(**recipe):
    return Model(Counting(), Recipe(**{"window": 64, "stride": 32} | recipe)).eval()


def plan_of(models, slide, **options):
    job = make_job(models, slide, options)
    return make_plan(job, [_network(job, member) for member in job.members])


def test_counts_of_one_model(slide):
    plan = plan_of(counting(), slide, min_overlap=0, progress=False)
    assert (plan.name, plan.shape, plan.scales) == ("a.tiff", (700, 500), (1,))
    assert (plan.windows, plan.strips, plan.direction) == (11 * 8, 11, "down")
    assert (plan.device, plan.device_bytes, plan.seconds) == ("cpu", 0, None)


def test_on_a_gpu_a_strip_of_the_map_lies_there_and_what_is_made_of_it(slide, monkeypatch):
    with a_gpu(monkeypatch):
        plan = plan_of(counting().to("cuda"), slide, min_overlap=0, progress=False)
    floats, rows, columns = 4, 64, 512
    batches, answers = 5 * 8 * 64 * 64 * 3, 8 * 64 * 64 * (4 + 4)
    assert plan.device == "cuda:0"
    assert plan.device_bytes == floats * rows * columns + 12 * rows * 500 + batches + answers


def test_no_more_batches_lie_on_a_gpu_than_a_plan_counts(slide, monkeypatch):
    there, most, send = weakref.WeakSet(), [], Batches._send

    def counted(batches, host, batch):
        send(batches, host, batch)
        there.add(batch.images)
        time.sleep(0.01)
        most.append(len(there))

    monkeypatch.setattr(Batches, "_send", counted)
    with a_gpu(monkeypatch):
        model = counting().to("cuda")
        model.register_forward_pre_hook(lambda *_: time.sleep(0.05))
        predict_mask(model, slide, min_overlap=0, progress=False, batch_size=2, amp=False)
    assert max(most) == ON_GPU


def test_counts_of_two_scales(slide):
    plan = plan_of([counting(), counting(scale=4)], slide, min_overlap=0, progress=False)
    assert plan.scales == (1, 4)
    assert (plan.windows, plan.strips) == (11 * 8 + 3 * 2, 11 + 3)


def test_networks_are_timed_only_where_there_is_much_to_do(slide):
    much, little, silent = counting(), counting(window=512), counting()
    assert plan_of(much, slide, min_overlap=0).seconds > 0
    assert plan_of(little, slide, min_overlap=0).seconds is None
    assert plan_of(silent, slide, min_overlap=0, progress=False).seconds is None
    assert (much.net.calls, little.net.calls, silent.net.calls) == (2, 0, 0)


def test_seconds_are_those_of_all_windows(slide, monkeypatch):
    monkeypatch.setattr(_plan, "_seconds", lambda job, height, width, network: height / 1000)
    plan = plan_of([counting(), counting(scale=2, window=96)], slide, min_overlap=0)
    assert plan.seconds == pytest.approx(11 * 8 * 0.064 + 4 * 3 * 0.096)


def test_the_plan_is_told_before_the_start(slide, capsys):
    predict_mask(counting(), slide, min_overlap=0)
    told = capsys.readouterr()
    [line] = [line for line in (told.out + told.err).splitlines() if "windows in" in line]
    assert line.startswith("a.tiff: 700 x 500 pixels, scale 1: 88 windows in 11 strips down; ")
    predict_mask(counting(), slide, min_overlap=0, progress=False)
    assert capsys.readouterr() == ("", "")


@pytest.fixture
def reads(monkeypatch):
    found, read = [], Slide.read
    monkeypatch.setattr(Slide, "read", lambda *args: found.append(args) or read(*args))
    return found


def test_what_cannot_fit_is_refused_before_anything_starts(slide, reads, monkeypatch, tmp_path):
    model = counting()
    monkeypatch.setattr(_plan, "activation_bytes", lambda model: 0.0)
    need = plan_of(model, slide, progress=False).host_bytes
    monkeypatch.setattr(_plan, "available_bytes", lambda: need - 1)
    with pytest.raises(PlanError) as raised:
        predict_mask(model, slide)
    free = (need - 1) / (1 << 20)
    assert str(raised.value) == (
        f"a.tiff: predicting it needs about {need / (1 << 20):,.0f} MB, and {free:,.0f} MB are free"
        "\nhint: take a smaller window or batch_size, a coarser scale, fewer threads "
        "(torch.set_num_threads), or free memory first"
    )
    with pytest.raises(PlanError):
        predict_prob(model, slide, tmp_path / "new" / "a.npy", checkpoint=tmp_path / "notes")
    assert reads == []
    assert model.net.calls == 0
    assert [path.name for path in tmp_path.iterdir()] == ["a.tiff"]


@pytest.fixture
def two_cores():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_layers_count_where_a_heavy_networks_might_not_fit(slide, monkeypatch, two_cores):
    model, pixels = counting(), 2 * 3 * 64 * 64  # batches of three windows on two cores
    options = {"min_overlap": 0, "batch_size": 3, "progress": False}
    monkeypatch.setattr(_plan, "available_bytes", lambda: pixels * 4096 + 1)
    assert plan_of(model, slide, **options).layer_bytes == 0
    assert model.net.calls == 0
    monkeypatch.setattr(_plan, "available_bytes", lambda: pixels * 4096)
    plan = plan_of(model, slide, **options)
    assert plan.layer_bytes == pixels * 19  # bytes, their floats, a plane; no less, no more
    assert plan_of([counting(), model], slide, **options).layer_bytes == plan.layer_bytes
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setattr(_plan, "available_bytes", lambda: 2 * pixels * 4096)
    assert plan_of(model, slide, **options).layer_bytes == plan.layer_bytes


def test_layers_that_do_not_fit_are_refused(slide, monkeypatch):
    model = counting()
    plan = plan_of(model, slide, batch_size=2, progress=False)
    monkeypatch.setattr(_plan, "available_bytes", lambda: plan.host_bytes + (1 << 20))
    monkeypatch.setattr(_plan, "_layer_bytes", lambda job, pixels: 5 << 20)
    with pytest.raises(PlanError, match=rf"needs about {plan.host_bytes / (1 << 20) + 5:.0f} MB"):
        predict_mask(model, slide, batch_size=2, progress=False)
    assert model.net.calls == 0
    monkeypatch.setattr(_plan, "_layer_bytes", lambda job, pixels: 1 << 20)
    predict_mask(model, slide, batch_size=2, progress=False)


@pytest.mark.parametrize("free", [None, 1 << 40])
def test_what_fits_or_is_not_known_starts(slide, reads, monkeypatch, free):
    monkeypatch.setattr(_plan, "available_bytes", lambda: free)
    predict_mask(counting(), slide, progress=False)
    assert reads


def test_a_gpu_with_too_little_memory(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (900 << 20, 15_000 << 20))
    plan = replace(PLAN, device="cuda:0", device_bytes=1_500 << 20)
    with pytest.raises(PlanError) as raised:
        plan.check()
    assert str(raised.value) == (
        "a.tiff: predicting it needs about 1,500 MB of cuda:0, and 900 MB are free"
        "\nhint: take a smaller window or a coarser scale"
    )
    replace(plan, device_bytes=900 << 20).check()
    # What torch has taken from the device and not given out is there for the prediction.
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 2_000 << 20)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 1_400 << 20)
    plan.check()
    with pytest.raises(PlanError, match="1,501 MB of cuda:0, and 1,500 MB are free"):
        replace(plan, device_bytes=1_501 << 20).check()


def test_ranks_of_one_machine_need_their_memory_at_the_same_time(monkeypatch):
    monkeypatch.setattr(_plan, "available_bytes", lambda: 3_000 << 20)
    plan = replace(PLAN, host_bytes=1_600 << 20)
    plan.check()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(PlanError) as raised:
        plan.check()
    assert str(raised.value) == (
        "a.tiff: predicting it needs about 1,600 MB, in each of 2 processes, "
        "and 3,000 MB are free"
        "\nhint: take a smaller window or batch_size, a coarser scale, fewer threads "
        "(torch.set_num_threads), or free memory first"
    )


MEASURE = """
import sys
from pathlib import Path
import torch
from kagglekit.inference import predict_masks
from kagglekit.memory import _fields, peak_bytes
from kagglekit.models import Model, Recipe
from kagglekit.slides import open_slide
from tests.test_inference_plan import plan_of

small, large, scales, *numbers = sys.argv[1:]
window, planes = map(int, numbers)
torch.set_num_threads(1)
model = [
    Model(
        torch.nn.Conv2d(3, planes, 1),
        Recipe(scale=int(scale), window=window, stride=32, classes=planes),
    ).eval()
    for scale in scales.split()
]
with open_slide(small) as slide:  # what is loaded at first use belongs to no prediction
    predict_masks(model, slide, progress=False)
before = _fields(Path("/proc/self/status"))["VmRSS"] << 10
with torch.inference_mode():
    model[0](torch.zeros(1, 3, window, window, dtype=torch.uint8)).sigmoid()
alone = peak_bytes() - before
with open_slide(large) as slide:
    plan = plan_of(model, slide, progress=False)
    predict_masks(model, slide, progress=False)
print(peak_bytes() - before, plan.host_bytes, alone)
"""
"""Prints by how much memory grew at most, what was planned, and what the network took by itself."""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize(
    ("shape", "scales", "window", "planes", "layout"),
    [
        ((2_000, 5_000), "1", 512, 4, {"tiled": True, "blockxsize": 512, "blockysize": 512}),
        ((6_000, 5_000), "4", 256, 1, {"blockysize": 64}),
        ((6_000, 9_000), "1 8", 512, 1, {"blockysize": 64}),
    ],
)
def test_memory_grows_by_no_more_than_the_plan(tmp_path, shape, scales, window, planes, layout):
    paths = [
        write_image(tmp_path / f"{k}.tiff", np.zeros((*one, 3), np.uint8), compress="lzw", **layout)
        for k, one in enumerate([(100, 100), shape])
    ]
    command = [sys.executable, "-c", MEASURE, *paths, *map(str, (scales, window, planes))]
    # What is freed goes back at once: by default glibc keeps up to as much again for later.
    env = os.environ | {"MALLOC_MMAP_THRESHOLD_": "131072"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    grown, planned, alone = map(int, done.stdout.split())
    margin = 16 << 20  # runs, stacks of threads, small things
    assert grown <= planned + alone + margin
    assert planned <= 3 * grown  # it is an estimate, not a guess on the safe side
