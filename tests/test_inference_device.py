"""What a GPU is asked to do, on one that is not there."""

from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn

from kagglekit.inference import _network, predict, predict_prob
from kagglekit.models import Model, Recipe
from kagglekit.slides import open_slide
from tests.array_slide import TILED, smooth_picture, write_image
from tests.make_believe import a_gpu

GPU = torch.device("cuda:0")


def model(scale=1, classes=2, channels=3, **recipe):
    """A convolution that no flip leaves as it is, and whose mask has outlines."""
    generator = torch.Generator().manual_seed(scale)
    net = nn.Conv2d(channels, classes, 5, padding=2)
    with torch.no_grad():
        net.weight.copy_(torch.rand(net.weight.shape, generator=generator) - 0.5)
        net.bias.zero_()
    recipe = {"in_channels": channels, "window": 64, "stride": 8} | recipe
    return Model(net, Recipe(scale=scale, classes=classes, **recipe)).eval()


def path_of(tmp_path, shape=(300, 417), channels=3, times=1, dtype=None):
    pixels = smooth_picture(shape, channels)
    if times > 1:
        pixels = pixels.astype(np.uint16) * times
    if dtype:
        pixels = pixels.astype(dtype)
    return write_image(tmp_path / "a.tiff", pixels, **TILED)


def masks_of(models, path, **options):
    with open_slide(path) as slide:
        found = predict(models, slide, progress=False, **{"batch_size": 3} | options)
    return [mask.to_text() for mask in found.masks]


CASES = {
    "full resolution": ({}, [1], {}),
    "to the right": ({"shape": (300, 177)}, [1], {}),
    "at a scale": ({}, [4], {}),
    "at a scale, to the right": ({"shape": (600, 177)}, [3], {}),
    "two scales": ({}, [1, 2], {"weights": (1, 2)}),
    "two scales, geometric": ({}, [1, 2], {"mean": "geometric"}),
    "two networks, all views": ({}, [4, 4], {"tta": "d4", "mean": "logit"}),
    "planes that exclude each other": ({}, [4], {"exclusive": True}),
    "planes in another order": ({}, [1], {"planes": (1, 0, 1), "threshold": (0.5, 0.5, 0.6)}),
    "a double threshold": ({}, [4], {"threshold": 0.5, "high_threshold": 0.6}),
    "background left out": ({}, [1], {"skip_background": True}),
    "many windows at once": ({}, [1], {"batch_size": 8}),
}


@pytest.mark.parametrize("unknown", [(), (torch.float64,)], ids=["all", "without float64"])
@pytest.mark.parametrize("case", CASES)
def test_masks_are_those_of_the_cpu(case, unknown, tmp_path, monkeypatch):
    picture, scales, options = CASES[case]
    path = path_of(tmp_path, **picture)
    expected = masks_of([model(scale) for scale in scales], path, **options)
    assert all(expected)
    with a_gpu(monkeypatch, unknown):
        models = [model(scale).to(GPU) for scale in scales]
        assert masks_of(models, path, amp=False, **options) == expected


@pytest.mark.parametrize(
    ("picture", "recipe"),
    [({"channels": 1}, {}), ({"channels": 1}, {"channels": 1, "mean": (0.5,), "std": (0.25,)}),
     ({"times": 257}, {"max_value": 65535.0}), ({"dtype": "float64"}, {}), ({"dtype": "int32"}, {})],
    ids=["grey", "grey for a grey network", "16 bits", "doubles", "wide integers"],
)  # fmt: skip
def test_pixels_of_other_kinds_arrive(picture, recipe, tmp_path, monkeypatch):
    path = path_of(tmp_path, **picture)
    expected = masks_of(model(**recipe), path)
    assert all(expected)
    with a_gpu(monkeypatch, [torch.float64]):
        assert masks_of(model(**recipe).to(GPU), path, amp=False) == expected


def test_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    path = path_of(tmp_path, (700, 417))
    expected = masks_of(model(2), path)
    calls = []

    def stop(module, given):
        calls.append(len(given[0]))
        if len(calls) == 8:
            raise KeyboardInterrupt

    with a_gpu(monkeypatch):
        one = model(2).to(GPU)
        options = {"amp": False, "checkpoint": tmp_path / "so far"}
        one.register_forward_pre_hook(stop)
        with pytest.raises(KeyboardInterrupt):
            masks_of(one, path, **options)
        assert masks_of(one, path, **options) == expected
    windows = 7 * 4
    assert windows < sum(calls) < 1.5 * windows


def test_half_precision_is_close(tmp_path, monkeypatch):
    path = path_of(tmp_path)
    options = {"progress": False, "dtype": "float32"}
    with open_slide(path) as slide:
        expected = predict_prob(model(), slide, tmp_path / "cpu.npy", **options)
        with a_gpu(monkeypatch):
            monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
            found = predict_prob(model().to(GPU), slide, tmp_path / "gpu.npy", **options)
    error = np.abs(found - expected).max()
    assert 1e-5 < error < 2e-3


def test_half_precision_goes_with_what_the_inference_mode_forbids(tmp_path, monkeypatch):
    """The device that is not there knows no such mode; a CPU does, and has half precision, too."""
    path = path_of(tmp_path, (300, 1500))
    options = {"tta": "flips", "mean": "logit", "dtype": "float32"}
    with open_slide(path) as slide:
        expected = predict_prob(model(), slide, tmp_path / "a.npy", progress=False, **options)
        monkeypatch.setattr(_network, "_is_cuda", lambda device: True)
        found = predict_prob(model(), slide, tmp_path / "b.npy", **options)  # and networks timed
    error = np.abs(found - expected).max()
    assert 1e-5 < error < 2e-3


def test_weights_are_cast_to_half_precision_once(tmp_path, monkeypatch):
    path = path_of(tmp_path)
    with a_gpu(monkeypatch) as asked:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        one = model().to(GPU)
        asked.clear()
        masks_of(one, path)
    cast = [a for a in asked if a.name == "_to_copy" and a.shapes == [one.net.weight.shape]]
    assert len(cast) == 1


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_networks_are_timed_with_what_will_come(dtype, tmp_path, monkeypatch):
    """Anything else, and a network would be compiled for both."""
    path, seen = path_of(tmp_path, (300, 1500), dtype=dtype), []
    with a_gpu(monkeypatch), open_slide(path) as slide:
        one = model(max_value=float(np.iinfo(dtype).max)).to(GPU)
        one.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
        predict(one, slide, amp=False, batch_size=2)
    timed, *came = [(each.dtype, each.is_inference(), each.stride()) for each in seen]
    assert len(came) > 30
    assert set(came) == {timed}


def test_batches_are_sent_from_pinned_memory_and_used_when_they_are_there(tmp_path, monkeypatch):
    path, sizes = path_of(tmp_path), []
    with a_gpu(monkeypatch) as asked:
        one = model().to(GPU)
        one.register_forward_pre_hook(lambda module, given: sizes.append(len(given[0])))
        masks_of(one, path, amp=False)
    count = Counter(each.name for each in asked)
    assert len(sizes) > 10
    assert {count[name] for name in ("pin_memory", "wait_event", "record_stream")} == {len(sizes)}


def test_weights_are_laid_out_as_the_pixels_lie_while_there_is_to_predict(tmp_path, monkeypatch):
    path, laid = path_of(tmp_path), []
    with a_gpu(monkeypatch):
        one = model().to(GPU)
        last = {"memory_format": torch.channels_last}
        one.register_forward_pre_hook(lambda *_: laid.append(one.net.weight.is_contiguous(**last)))
        masks_of(one, path, amp=False)
        assert laid
        assert all(laid)
        assert one.net.weight.is_contiguous()


def test_the_thread_that_sends_batches_is_at_their_gpu(tmp_path, monkeypatch):
    """Each thread begins at the first one, and would take memory of it."""
    path = path_of(tmp_path)
    with a_gpu(monkeypatch) as asked:
        masks_of(model().to("cuda:1"), path, amp=False)
    names = [each.name for each in asked]
    assert names.count("set_device cuda:1") == 1
    assert names.index("set_device cuda:1") < names.index("pin_memory")


def test_a_batch_that_does_not_fit_beside_the_one_before_is_sent_in_parts(tmp_path, monkeypatch):
    path, sizes = path_of(tmp_path), []
    expected = masks_of(model(), path)
    to = torch.Tensor.to

    def full(tensor, *args, non_blocking=False, **kwargs):
        if tensor.dtype == torch.uint8 and (non_blocking or len(tensor) > 2):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return to(tensor, *args, **kwargs)

    with a_gpu(monkeypatch):
        one = model().to(GPU)
        one.register_forward_pre_hook(lambda module, given: sizes.append(len(given[0])))
        monkeypatch.setattr(torch.Tensor, "to", full)
        with pytest.warns(UserWarning, match="^5 windows at once do not fit .* going on with 2$"):
            assert masks_of(one, path, amp=False, batch_size=5) == expected
    assert set(sizes) == {1, 2}


def test_nothing_waits_for_the_gpu_between_batches(tmp_path, monkeypatch):
    path = path_of(tmp_path, (300, 1500))
    waits = {}
    for size in (2, 8):
        with a_gpu(monkeypatch) as asked:
            one = model(window=128).to(GPU)
            asked.clear()
            masks_of(one, path, amp=False, batch_size=size)
        waits[size] = Counter(each.name for each in asked if each.waits)
    assert waits[2] == waits[8]
    # Once a strip: where masks change, and whether all predictions were numbers.
    assert set(waits[2]) == {"nonzero_numpy", "index", "to", "is_nonzero"}
