"""The store of out-of-fold predictions: right fold, nothing twice, kills, refusals."""

import json
import sys

import cv2
import numpy as np
import pytest
import torch

from kagglekit import tune
from kagglekit.errors import CheckpointError, DataError
from kagglekit.inference import _track
from tests.launching import ended, run
from tests.tune_worker import red, write_images


@pytest.fixture
def images(tmp_path):
    return write_images(tmp_path / "images", [(70, 50), (64, 64), (33, 90)])


def logit(x):
    return np.log(x / (1 - x))


def test_each_image_is_predicted_by_the_fold_that_did_not_see_it(images, tmp_path):
    shifts = [-1.0, 0.5]
    fold = {"i0": 1, "i1": 0, "i2": 1}
    store = tune.out_of_fold(
        [red(shift) for shift in shifts], images, fold, tmp_path / "oof", progress=False
    )
    assert list(store) == ["i0", "i1", "i2"]
    for image, prob in store.items():
        pixels = cv2.imread(str(images[image]))[:, :, 2] / 255
        wanted = 255 / (1 + np.exp(-logit(pixels.clip(1e-6, 1 - 1e-6)) - shifts[fold[image]]))
        assert prob.values.dtype == np.uint8
        assert prob.values.shape == (1, *pixels.shape)
        assert (prob.scale, prob.shape) == (1, pixels.shape)
        assert abs(prob.values[0] - wanted).max() <= 0.51
        assert isinstance(prob.values, np.memmap)
        with pytest.raises(ValueError):
            prob.values[0, 0, 0] = 1


def test_scale_dtype_and_names_with_slashes(images, tmp_path):
    named = {"case1/day2": images["i2"]}
    models = [red(scale=2), red(0.1, scale=4)]
    store = tune.probabilities(models, named, tmp_path / "p", "float16", progress=False)
    prob = store["case1/day2"]
    assert (prob.values.shape, prob.values.dtype) == ((1, 17, 45), np.float16)
    assert (prob.scale, prob.shape) == (2, (33, 90))
    with pytest.raises(KeyError):
        store["i2"]


def test_what_is_there_is_not_predicted_again(images, tmp_path):
    calls = []

    def predict(shift=0.0, tta="none", **recipe):
        calls.clear()
        model = red(shift, happens=lambda: calls.append(1), **recipe)
        tune.probabilities(model, images, tmp_path / "p", progress=False, tta=tta, batch_size=1)
        return len(calls)

    first = predict()
    assert first == 5
    assert predict() == 0
    assert predict(threshold=0.3) == 0  # no matter of probabilities
    assert predict(0.25) == first
    assert predict(0.25, tta="flips") == 4 * first
    assert predict(0.25, tta="flips", max_value=200.0) == 4 * first
    (tmp_path / "p" / "i1.npy").unlink()
    assert predict(0.25, tta="flips", max_value=200.0) == 4
    for damage in (b"", b"{", b"[]", b'{"key": 1}'):
        (tmp_path / "p" / "i1.json").write_bytes(damage)
        assert predict(0.25, tta="flips", max_value=200.0) == 4
    for damage in (b"", (tmp_path / "p" / "i1.npy").read_bytes()[:-1]):
        (tmp_path / "p" / "i1.npy").write_bytes(damage)
        with pytest.raises(DataError, match="lacks 1 of 3 images"):
            tune.Store(tmp_path / "p", list(images))
        assert predict(0.25, tta="flips", max_value=200.0) == 4
    cv2.imwrite(str(images["i0"]), np.zeros((64, 64, 3), np.uint8))
    assert predict(0.25, tta="flips", max_value=200.0) == 4


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kills")
    out = ended(run([sys.executable, "-m", "tests.tune_worker", folder]))
    return json.loads(out.splitlines()[-1])


@pytest.mark.slow
def test_kills_cost_no_more_than_a_strip(told):
    whole, alone = told["whole"], told["alone"]
    assert alone["same"]
    assert alone["left"] == []
    assert 3 <= alone["kills"] < 20
    # What the kill meets in the middle: a strip of up to six windows, in four views each.
    calls = len(whole["calls"])
    assert calls <= len(alone["calls"]) <= calls + alone["kills"] * 24


@pytest.mark.slow
def test_two_ranks_fill_a_store_as_one_does_across_kills(told):
    both = told["both"]
    assert both["same"]
    assert both["left"] == []
    assert 2 <= both["kills"] < 20
    assert set(both["calls"]) == {"0", "1"}
    assert len(both["calls"]) <= len(told["whole"]["calls"]) + both["kills"] * 2 * 24


@pytest.mark.slow
def test_ranks_share_out_what_is_left(told):
    assert told["rest"]["kills"] == 0
    assert told["rest"]["same"]
    assert set(told["rest"]["calls"]) == {"0", "1"}


def test_refusals(images, tmp_path):
    models = [red(0.0), red(0.5)]
    fold = {"i0": 0, "i1": 2}
    with pytest.raises(ValueError) as raised:
        tune.out_of_fold(models, images, fold, tmp_path / "oof")
    said = "images without a fold, a whole number from 0 to 1:"
    assert str(raised.value) == f"2 models, and 2 of 3 {said} i1, i2"
    with pytest.raises(ValueError, match=f"^2 models, and 1 of 3 {said} i2$"):
        tune.out_of_fold(models, images, {"i0": 0, "i1": 1, "i2": 1.0}, tmp_path / "oof")
    fold = dict.fromkeys(images, 0)
    with pytest.raises(CheckpointError, match="model 0 and model 1 hold the same weights"):
        tune.out_of_fold([red(0.5), red(0.5)], images, fold, tmp_path / "oof")
    with pytest.raises(DataError) as raised:
        tune.Store(tmp_path, ["i0", "i1"])
    assert str(raised.value) == (
        f"`{tmp_path}` lacks 2 of 2 images\n"
        "  - i0\n"
        "  - i1\n"
        "hint: predict again into that folder: it goes on where it was stopped"
    )


def test_memory_is_bounded_by_the_strip(tmp_path, monkeypatch):
    """No more of the map is asked for at a time than a strip of rows."""
    monkeypatch.setattr(_track, "VALUES_AT_ONCE", 32 * 64)
    images = write_images(tmp_path / "images", [(900, 64)])
    store = tune.probabilities(red(), images, tmp_path / "p", progress=False)
    seen = []
    original = torch.from_numpy
    monkeypatch.setattr(torch, "from_numpy", lambda a: (seen.append(a.nbytes), original(a))[1])
    tune._cut.cut_planes(store["i0"], [tune.Cut()], [0], False)
    assert seen
    assert max(seen) <= _track.VALUES_AT_ONCE * 4


def test_a_store_knows_of_which_planes_masks_are_made(tmp_path):
    images = write_images(tmp_path, [(40, 50)])
    store = tune.probabilities(red(planes=3), images, tmp_path / "p", progress=False, planes=(2, 1))
    assert store.planes == (2, 1)
    again = tune.probabilities(red(planes=3), images, tmp_path / "p", progress=False, planes=None)
    assert again.planes == (0, 1, 2)
    assert tune.Store(tmp_path / "p", list(images), planes=[1]).planes == (1,)
