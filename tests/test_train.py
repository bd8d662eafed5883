"""Trainings of a tiny network: killed, on several ranks, cut short, scored as a submission is."""

import csv
import json
import math
import signal
import sys
import warnings
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest
import torch

from kagglekit import augment, competitions, submission, tiles, train
from kagglekit.competitions.data import Data
from kagglekit.errors import CheckpointError
from kagglekit.inference import predict_mask
from kagglekit.losses import bce_dice_loss, bce_loss, tversky_loss
from kagglekit.models import Recipe, build
from kagglekit.rle import RLE
from kagglekit.slides import open_slide
from kagglekit.submission import score_masks
from kagglekit.tiles import TileDataset, evenly, shuffled
from kagglekit.train import Settings, Validation, _fit, _run
from kagglekit.train._clock import Clock
from kagglekit.train._settings import in_words
from tests import train_worker
from tests.holding import holding
from tests.launching import ended, launch_on, run
from tests.train_worker import COMP, SETTINGS, fit, parts

pytest.importorskip("accelerate")

STEEL = competitions.load("severstal-steel-defect-detection")
MASK = RLE.empty((8, 9))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("train")


@pytest.fixture(scope="module")
def told(folder):
    out = ended(run([sys.executable, "-m", "tests.train_worker", "cases", folder]))
    return json.loads(out.splitlines()[-1])


@pytest.mark.slow
def test_kills_change_nothing(told):
    alone = told["alone"]
    assert alone["kills"] == {"writings": 5, "log": True}
    assert alone["writings"] == alone["whole"]
    assert alone["log"] == alone["short"]
    assert [len(alone[name]["log"]) for name in ("whole", "short")] == [3, 1]


@pytest.mark.slow
def test_workers_that_are_killed_change_nothing(told):
    assert told["alone"]["workers"] == told["alone"]["whole"]


@pytest.mark.slow
def test_kills_of_two_ranks_change_nothing(told):
    ranks = told["ranks"]
    assert ranks["killed"] == ranks["statistics"]
    assert len(ranks["statistics"]["log"]) == 6
    first, second = ranks["statistics"]["random"]
    assert first != second  # each has its own


@pytest.mark.slow
def test_a_rank_that_loses_another_ends_and_says_so(told, folder):
    ranks = told["ranks"]
    assert ranks["left"] == [1, -signal.SIGKILL]
    assert ranks["why"].endswith(
        "\nThis was rank 0 of 2. If it lost the connection to another, that one has ended: by an error "
        "of its own, or killed by the system, e.g. for want of memory. The same command goes on from "
        f"`{folder / 'ranks' / 'left' / 'run' / 'state.pt'}`.\n"
    )
    assert "dying FAILED" in ranks["launcher"]


@pytest.mark.slow
def test_two_ranks_validate_and_train_as_one(told, folder, tmp_path):
    ranks = folder / "ranks"
    first, second = told["ranks"]["averages"]
    assert first == second
    results = [json.loads((ranks / f"{rank}.json").read_text()) for rank in (0, 1)]
    _, _, valid = parts(tmp_path / "images")
    state = torch.load(ranks / "statistics" / "state.pt", weights_only=True)
    alone, history = train_worker.model(), state["place"]["history"]
    alone.load_state_dict(state["average"])
    assert valid.score(alone.eval()).value == history[-1]["score"]
    best = max(row["score"] for row in history)
    # While one validates, the other waits for longer than NCCL would let it.
    assert results == 2 * [{"score": best, "longest wait": 3600}]
    one = fit(tmp_path / "one", replace(SETTINGS, batch_size=4, accumulate=1), statistics=False)
    two = torch.load(ranks / "two" / "state.pt", weights_only=True)["place"]["history"]
    for a, b in zip(one.history, two, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-4)
        assert a["score"] == pytest.approx(b["score"], abs=1e-3)


@pytest.mark.slow
def test_two_hosts_go_on_as_two_ranks_without_a_disk_in_common(told, folder, hosts):
    ranks = folder / "ranks"
    launch_on(hosts, 29621, "tests.train_worker", "launched", ranks)
    assert train_worker.outcome(ranks / "host0" / "run") == told["ranks"]["statistics"]
    assert list((ranks / "host1" / "run").iterdir()) == []


def test_accumulating_is_a_larger_batch_and_the_tail_counts(tmp_path):
    large = fit(tmp_path / "a", replace(SETTINGS, batch_size=4, accumulate=1), statistics=False)
    small = fit(tmp_path / "b", replace(SETTINGS, batch_size=1, accumulate=4), statistics=False)
    assert [row["steps"] for row in small.history] == [3, 6, 9]  # nine tiles: 4, 4 and 1
    for a, b in zip(large.history, small.history, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-4)


def test_the_score_is_that_of_the_submission(tmp_path, monkeypatch):
    result = fit(tmp_path / "run", replace(SETTINGS, epochs=2))
    _, _, valid = parts(tmp_path / "images")
    masks, shapes = {}, {}

    def noted(found, sizes, comp, truth):
        masks.update(found)
        shapes.update(sizes)
        return score_masks(found, sizes, comp, truth)

    monkeypatch.setattr("kagglekit.train._validation.score_masks", noted)
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    net = train_worker.model()
    net.load_state_dict(state["average"])
    score = valid.score(net.eval())
    tree = tmp_path / "tree"
    (tree / "test").mkdir(parents=True)
    for image_id, path in valid.images.items():
        (tree / "test" / f"{image_id}.tiff").write_bytes(path.read_bytes())
    (tree / "sample_submission.csv").write_text("id,predicted\nimage0,\nimage1,\n")
    data = Data(tree, COMP)
    with submission.Writer(COMP, data, tmp_path / "submission.csv") as out:
        for image_id, found in masks.items():
            out[image_id] = found
    written = submission.score(tmp_path / "submission.csv", COMP, data, valid.truth)
    assert written.value == score.value == result.history[-1]["score"]
    mean = sum(written.union_dice.values()) / 2
    assert mean == result.history[-1]["valid_dice"]
    assert 0 < written.value < 1


def test_time_runs_out_and_the_same_call_goes_on(tmp_path, seconds):
    whole = fit(tmp_path / "whole")
    brief = replace(SETTINGS, hours=40 / 3600)
    first = fit(tmp_path / "brief", brief)
    assert not first.is_finished
    assert first.path.is_file()
    while not first.is_finished:
        first = fit(tmp_path / "brief", brief)
    assert train_worker.outcome(tmp_path / "brief") == train_worker.outcome(tmp_path / "whole")
    assert first.score == whole.score


@pytest.fixture
def seconds(monkeypatch):
    """Every look at the clock takes a second, whatever the machine."""
    now = iter(range(10**6))
    monkeypatch.setattr(
        _fit, "Clock", lambda hours, every: Clock(hours, every, lambda: float(next(now)))
    )


def test_without_a_number_of_epochs_the_clock_ends_the_training(tmp_path, seconds):
    timed = replace(SETTINGS, epochs=None, hours=120 / 3600, warmup=0.25)
    result = fit(tmp_path / "run", timed)
    assert result.is_finished
    rates = [row["lr"] for row in result.history]
    peak = rates.index(max(rates))
    assert 0 < peak < len(rates) - 1
    assert rates == sorted(rates[: peak + 1]) + sorted(rates[peak + 1 :], reverse=True)
    assert rates[-1] < 0.05 * SETTINGS.lr
    assert 100 < result.history[-1]["seconds"] < 125  # each save after the last step looks thrice
    before = train_worker.outcome(tmp_path / "run")
    assert fit(tmp_path / "run", timed).history == result.history  # nothing is left to do
    assert train_worker.outcome(tmp_path / "run") == before
    longer = fit(tmp_path / "run", replace(timed, hours=240 / 3600))
    assert longer.history[: len(rates)] == result.history
    assert 220 < longer.history[-1]["seconds"] < 245


def test_a_training_by_the_clock_that_was_stopped_has_only_the_rest_left(
    tmp_path, seconds, monkeypatch
):
    timed = replace(SETTINGS, epochs=None, hours=120 / 3600)
    step, made = _fit.Run.step, []

    def stopped_at_ten(run, *arguments):
        if len(made) == 10:
            raise KeyboardInterrupt
        made.append(arguments[-1])
        step(run, *arguments)

    monkeypatch.setattr(_fit.Run, "step", stopped_at_ten)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "run", timed)
    monkeypatch.setattr(_fit.Run, "step", step)
    result = fit(tmp_path / "run", timed)
    assert result.is_finished
    assert 100 < result.history[-1]["seconds"] < 125
    assert result.history[-1]["lr"] < 0.05 * SETTINGS.lr


@pytest.fixture
def costs(monkeypatch):
    """A step takes a second, a validation twenty; returns how many validations there were."""
    now, judged = [0.0], []
    step, score = _fit.Run.step, Validation.score

    def timed_step(run, *arguments):
        now[0] += 1
        step(run, *arguments)

    def timed_score(valid, model):
        now[0] += 20
        judged.append(model)
        return score(valid, model)

    monkeypatch.setattr(_fit.Run, "step", timed_step)
    monkeypatch.setattr(Validation, "score", timed_score)
    monkeypatch.setattr(_fit, "Clock", lambda hours, every: Clock(hours, every, lambda: now[0]))
    return judged


def test_no_epoch_begins_whose_validation_would_end_too_late(tmp_path, costs):
    # Three epochs of three steps end at 69; one more validation would end at 90 or later.
    result = fit(tmp_path / "run", replace(SETTINGS, epochs=None, hours=81 / 3600))
    assert result.is_finished
    assert [row["seconds"] for row in result.history] == [3, 26, 49]  # validated behind


def test_a_kill_in_the_last_validation_costs_that_alone(tmp_path, costs, monkeypatch):
    timed, score = replace(SETTINGS, epochs=None, hours=40 / 3600), Validation.score

    def stopped(valid, model):
        if costs:
            raise KeyboardInterrupt
        return score(valid, model)

    monkeypatch.setattr(Validation, "score", stopped)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "run", timed)
    monkeypatch.setattr(Validation, "score", score)
    result = fit(tmp_path / "run", timed)
    assert result.is_finished
    assert [row["epoch"] for row in result.history] == [1, 2]


@pytest.mark.parametrize("content", [b"", b"PK", b"no state at all", {"weight": 1}, [1]])
def test_a_damaged_state(content, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    if isinstance(content, bytes):
        (folder / "state.pt").write_bytes(content)
    else:
        torch.save(content, folder / "state.pt")
    with pytest.raises(CheckpointError) as raised:
        fit(folder)
    assert str(raised.value) == (
        f"`{folder / 'state.pt'}` is damaged, or no state of a training\n"
        "hint: copy it again from where the training wrote it, or begin anew in another folder"
    )


def test_patience(tmp_path):
    still = replace(SETTINGS, epochs=9, lr=1e-12, patience=2)
    result = fit(tmp_path / "run", still)
    assert len(result.history) == 3
    assert result.is_finished


def test_the_log_and_the_curves(tmp_path):
    result = fit(tmp_path / "run", replace(SETTINGS, epochs=2))
    with (tmp_path / "run" / "log.csv").open() as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    assert rows == result.history
    assert (tmp_path / "run" / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "batch.png", "best.safetensors", "curves.png", "log.csv", "state.pt",
    ]  # fmt: skip
    picture = cv2.imread(str(tmp_path / "run" / "batch.png"))
    assert picture.shape == (4 * 32 + 3 * 4, 4 * 32 + 3 * 4, 3)


def test_other_settings_are_refused(tmp_path):
    fit(tmp_path / "run", replace(SETTINGS, epochs=1))
    with pytest.raises(CheckpointError) as raised:
        fit(tmp_path / "run", replace(SETTINGS, epochs=2, lr=0.1, progress=False, hours=3))
    assert str(raised.value) == (
        f"the training in `{tmp_path / 'run'}` cannot go on with other settings\n"
        "  - epochs: 1 when it began, 2 now\n"
        "  - lr: 0.003 when it began, 0.1 now\n"
        "hint: give what it began with, or another folder for a training of its own"
    )


def test_other_tiles_or_judges_are_refused(tmp_path):
    """A folder of another fold: its model has seen what this one is judged by."""
    settings = replace(SETTINGS, epochs=1)
    fit(tmp_path / "run", settings)
    dataset, sampler, valid = parts(tmp_path / "images")
    few = dataset.index.select(np.arange(len(dataset) - 1))
    one = dict(list(valid.images.items())[:1])

    def refused(dataset=dataset, sampler=sampler, valid=valid):
        with pytest.raises(CheckpointError) as raised:
            train.fit(train_worker.model(), dataset, sampler, tmp_path / "run", settings, valid)
        return [problem.partition(":")[0] for problem in raised.value.problems]

    assert refused(dataset=TileDataset(dataset.pictures, dataset.index)) == ["augmentation"]
    heavy = TileDataset(dataset.pictures, dataset.index, augment.preset("heavy"))
    assert refused(dataset=heavy) == ["augmentation"]
    assert refused(dataset=TileDataset(dataset.pictures, few, dataset.augment)) == ["tiles"]
    assert refused(sampler=evenly(np.arange(len(dataset)) > 2, seed=3)) == ["draws"]
    assert refused(valid=replace(valid, images=one)) == ["validation"]
    other = {"min_overlap": 8, "threshold": 0.9, "tta": None}
    assert refused(valid=replace(valid, options=other)) == [
        "validation.min_overlap", "validation.threshold",
    ]  # fmt: skip
    assert refused(valid=replace(valid, options={})) == ["validation.min_overlap"]
    assert refused(valid=replace(valid, finish=list)) == ["validation.finish"]
    assert refused(valid=None) == [
        "validation", "validation.finish", "validation.min_overlap",
    ]  # fmt: skip
    same = {"min_overlap": np.int64(0), "progress": False, "batch_size": 2, "amp": False}
    result = train.fit(
        train_worker.model(), dataset, sampler, tmp_path / "run", settings,
        replace(valid, options=same),
    )  # fmt: skip
    assert result.is_finished


def test_what_a_value_is_called_does_not_depend_on_the_process():
    rng = np.random.default_rng(0)
    assert " at 0x" not in in_words(rng)
    assert in_words(rng) == in_words(np.random.default_rng(0))
    assert in_words({"b", "a", "c"}) == in_words({"c", "b", "a"}) == "{'a', 'b', 'c'}"
    assert in_words(np.int64(3)) == in_words(3) == "3"
    assert in_words([bce_loss]) == in_words([bce_loss]).partition(" at 0x")[0]


def test_half_of_a_training_s_folder_is_refused(tmp_path):
    folder, settings = tmp_path / "run", replace(SETTINGS, epochs=1)
    fit(folder, settings)
    best = (folder / "best.safetensors").read_bytes()
    (folder / "best.safetensors").unlink()
    with pytest.raises(CheckpointError) as raised:
        fit(folder, settings)
    assert str(raised.value) == (
        f"`{folder}` has a training's `state.pt` and not its `best.safetensors`\n"
        "hint: copy that there, too, or take another folder for a training of its own"
    )
    (folder / "best.safetensors").write_bytes(best)
    (folder / "state.pt").unlink()
    with pytest.raises(CheckpointError, match=r"has a training's `best.safetensors` and not its"):
        fit(folder, settings)
    assert (folder / "best.safetensors").read_bytes() == best


def test_one_training_a_folder(tmp_path):
    (tmp_path / "run").mkdir()
    with holding(tmp_path / "run" / ".training-lock"), pytest.raises(CheckpointError) as raised:
        fit(tmp_path / "run", replace(SETTINGS, epochs=1))
    assert str(raised.value) == (
        f"another training is at work in `{tmp_path / 'run'}`\nhint: each needs a folder of its own"
    )


def test_numbers_of_numpy_and_losses_in_losses_go_on(tmp_path):
    loss = partial(sum_of, first=bce_loss, second=partial(tversky_loss, alpha=np.float64(0.3)))
    settings = replace(
        SETTINGS, epochs=np.int64(1), lr=np.float64(1e-3), clip=np.float32(1), loss=loss
    )
    dataset, _, valid = parts(tmp_path / "images")
    sampler = shuffled(dataset.index, seed=np.int64(3))
    for _ in range(2):
        model = train_worker.model()
        assert train.fit(model, dataset, sampler, tmp_path / "run", settings, valid).is_finished
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    assert state["shaping"]["loss"] == ("sum_of(first=bce_loss, second=tversky_loss(alpha=0.3))")


def test_nothing_to_train_on(tmp_path):
    dataset, _, valid = parts(tmp_path / "images")
    nothing = shuffled(dataset.index.select(np.zeros(len(dataset), bool)))
    with pytest.raises(ValueError, match="^the sampler draws no tile; expected at least one"):
        train.fit(train_worker.model(), dataset, nothing, tmp_path / "run", SETTINGS, valid)


def sum_of(logits, target, first, second):
    return first(logits, target) + second(logits, target)


def test_another_network_or_loss_is_refused(tmp_path):
    loss = partial(tversky_loss, alpha=0.3)
    settings = replace(SETTINGS, epochs=1, loss=loss)
    fit(tmp_path / "run", settings)
    dataset, sampler, valid = parts(tmp_path / "images")
    other = replace(settings, loss=partial(tversky_loss, alpha=0.9))
    recipe = Recipe("unet", {"width": 3, "depth": 2}, window=64, stride=4)
    with pytest.raises(CheckpointError) as raised:
        train.fit(build(recipe), dataset, sampler, tmp_path / "run", other, valid)
    told = str(raised.value)
    assert (
        "  - loss: 'tversky_loss(alpha=0.3)' when it began, 'tversky_loss(alpha=0.9)' now\n" in told
    )
    assert "  - recipe.window: 32 when it began, 64 now\n" in told
    assert "  - recipe.options: " in told


def test_a_state_that_is_no_number_is_not_kept(tmp_path):
    """A later call, with what helps, goes on from the one before."""
    seen = []

    def wavering(logits, target):
        seen.append(len(seen))
        return bce_dice_loss(logits, target) * (torch.nan if len(seen) == wrong else 1)

    wrong = -1
    settings = replace(SETTINGS, epochs=1, loss=wavering)
    fit(tmp_path / "one", settings)
    each, settings = len(seen), replace(settings, epochs=3)
    wrong = len(seen) + each + 2  # in the second epoch
    with pytest.raises(FloatingPointError):
        fit(tmp_path / "run", replace(settings, save_minutes=0))
    wrong = -1
    result = fit(tmp_path / "run", settings)
    assert result.is_finished
    assert [row["epoch"] for row in result.history] == [1, 2, 3]
    assert np.isfinite([row["loss"] for row in result.history]).all()


def test_a_loss_that_is_no_number(tmp_path):
    def nothing(logits, target):
        return logits.mean() * torch.nan

    with pytest.raises(FloatingPointError) as raised:
        fit(tmp_path / "run", replace(SETTINGS, loss=nothing))
    assert str(raised.value) == (
        "the loss of epoch 1 is nan: with precision='bf16' or 'no' the same call goes on from before; "
        "or clip gradients, or take a lower lr than 0.003, in a new folder"
    )


def test_settings_are_checked():
    with pytest.raises(ValueError) as raised:
        Settings(lr=0, schedule="step")
    assert str(raised.value) == (
        "lr must be above 0, not 0; schedule must be one of cosine, linear, constant, not 'step'"
    )
    for name in ("weight_decay", "auxiliary", "save_minutes", "workers"):
        with pytest.raises(ValueError) as raised:
            Settings(**{name: -1})
        assert str(raised.value) == f"{name} must not be below 0, not -1"
    for name, wrong in (("batch_size", 2.5), ("epochs", math.inf), ("workers", 1.0)):
        with pytest.raises(ValueError) as raised:
            Settings(**{name: wrong})
        assert str(raised.value) == f"{name} must be a whole number, not {wrong}"
    for wrong in (None, 0):
        with pytest.raises(ValueError) as raised:
            Settings(epochs=wrong)
        assert str(raised.value) == (
            f"epochs must be at least 1, or None where hours are given, not {wrong}"
        )


def test_validation_needs_truth(tmp_path):
    with pytest.raises(ValueError) as raised:
        Validation(COMP, {"a": tmp_path}, {})
    assert str(raised.value) == (
        "1 images to validate on, without truth: a; expected at least one image, each with its truth"
    )
    with pytest.raises(ValueError) as raised:
        Validation(STEEL, {"a": tmp_path, "b": tmp_path}, {"a": [MASK] * 4, "b": [MASK]})
    assert str(raised.value) == (
        "`severstal-steel-defect-detection` has 4 classes, and the truth of 1 images another number of "
        "masks: b 1"
    )


def test_planes_that_are_not_the_classes_are_refused_before_an_epoch(tmp_path):
    dataset, sampler, _ = parts(tmp_path / "images")
    model = train_worker.model()
    steel = Validation(STEEL, {"a": tmp_path}, {"a": [MASK] * 4})
    with pytest.raises(ValueError) as raised:
        train.fit(model, dataset, sampler, tmp_path / "run", SETTINGS, steel)
    assert str(raised.value) == (
        "1 planes are predicted, `severstal-steel-defect-detection` has 4 classes: give Validation the "
        "option planes, or a finish, which makes their masks"
    )
    assert not (tmp_path / "run").exists()
    replace(steel, finish=lambda planes: planes * 4).check(model)
    replace(steel, options={"planes": (0, 0, 0, 0)}).check(model)
    names = Recipe("unet", {"width": 2}, classes=4, class_names=("2", "1", "3", "4"))
    with pytest.raises(ValueError) as raised:
        steel.check(build(names))
    assert str(raised.value) == (
        "the model's planes are 2, 1, 3, 4, the classes of `severstal-steel-defect-detection` "
        "1, 2, 3, 4: give Validation the option planes, which puts them in order"
    )
    replace(steel, options={"planes": (1, 0, 2, 3)}).check(build(names))
    steel.check(build(replace(names, class_names=("a", "b", "c", "d"))))
    replace(steel, options={"planes": None}).check(build(Recipe("unet", {"width": 2}, classes=4)))


def test_pictures_at_another_scale_than_the_recipes_are_told_of(tmp_path):
    dataset, sampler, _ = parts(tmp_path / "images")
    other = [replace(picture, scale=2, stored_scale=2) for picture in dataset.pictures]
    told = (
        "the pictures are at scale 1, 4, and the model predicts at its recipe's scale=2: "
        "images would look other than it learnt them"
    )
    model = train_worker.model()
    model.recipe = replace(model.recipe, scale=2)
    dataset.pictures += tuple(other)
    with pytest.warns(UserWarning, match="the pictures are at scale") as warned:
        train.fit(model, dataset, sampler, tmp_path / "run", replace(SETTINGS, epochs=1))
    [warning] = [one for one in warned if "pictures" in str(one.message)]
    assert (str(warning.message), warning.filename) == (told, __file__)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.recipe = replace(model.recipe, scale=4)
        train.fit(model, dataset, sampler, tmp_path / "four", replace(SETTINGS, epochs=1))


def seen_dtypes(model):
    """Return where the dtypes of what the network's last layer makes will be noted, by mode."""
    found = {True: set(), False: set()}
    *_, layer = (part for part in model.modules() if isinstance(part, torch.nn.Conv2d))
    layer.register_forward_hook(lambda layer, _, out: found[layer.training].add(out.dtype))
    return found


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_half_precision_is_for_training_alone(tmp_path, monkeypatch, ema):
    monkeypatch.setattr(_run, "_half", lambda name, device: torch.bfloat16)
    dataset, sampler, valid = parts(tmp_path / "images")
    model = train_worker.model()
    found, losses = seen_dtypes(model), []

    def loss(logits, target):
        losses.append(logits.dtype)
        return bce_loss(logits, target)

    settings = replace(SETTINGS, epochs=1, ema=ema, loss=loss)
    train.fit(model, dataset, sampler, tmp_path / "run", settings, valid)
    assert found == {True: {torch.bfloat16}, False: {torch.float32}}
    assert set(losses) == {torch.float32}


def test_an_interrupted_training_goes_on_in_another_precision(tmp_path, monkeypatch):
    precisions = {"bf16": torch.bfloat16, "no": None}
    monkeypatch.setattr(_run, "_half", lambda name, device: precisions[name])
    dataset, sampler, _ = parts(tmp_path / "images")
    model = train_worker.model()
    found = seen_dtypes(model)
    settings = replace(SETTINGS, epochs=2, precision="bf16")

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_fit, "write_log", stop)
        with pytest.raises(KeyboardInterrupt):
            train.fit(model, dataset, sampler, tmp_path / "run", settings)
    assert found[True] == {torch.bfloat16}
    found[True].clear()
    result = train.fit(model, dataset, sampler, tmp_path / "run", replace(settings, precision="no"))
    assert result.is_finished
    assert found[True] == {torch.float32}


def test_pixels_of_another_range_than_the_recipes_are_told_of(tmp_path):
    dataset, sampler, _ = parts(tmp_path / "images")
    model = train_worker.model()
    model.recipe = replace(model.recipe, max_value=65535)
    with pytest.warns(
        UserWarning,
        match="^pixels are uint8, which go up to 255, and the recipe has max_value=65535",
    ):
        train.fit(model, dataset, sampler, tmp_path / "run", replace(SETTINGS, epochs=1))
    with (
        open_slide(train_worker.images(tmp_path / "images")[0]["image0"]) as slide,
        pytest.warns(
            UserWarning,
            match="^pixels are uint8, which go up to 255, and the recipe has max_value=65535",
        ),
    ):
        predict_mask(model, slide, progress=False)


def test_images_that_are_learnt_and_validated_are_told_of(tmp_path):
    dataset, sampler, _ = parts(tmp_path / "images")
    paths, truth = train_worker.images(tmp_path / "images")
    tiles.store(paths, lambda name, slide: truth[name], tmp_path / "store", progress=False)
    dataset.pictures += tuple(tiles.open_store(tmp_path / "store", ["image2"]))
    settings = replace(SETTINGS, epochs=1)
    with pytest.warns(UserWarning, match="learnt, too") as warned:
        train.fit(
            train_worker.model(), dataset, sampler, tmp_path / "run", settings,
            Validation(COMP, paths, truth),
        )  # fmt: skip
    assert [str(one.message) for one in warned] == [
        "2 of 3 images to validate on are learnt, too: image0, image2; the score says nothing of new ones"
    ]


def test_gradients_are_scaled_up_for_fp16_and_down_before_they_are_clipped(tmp_path, monkeypatch):
    monkeypatch.setattr(_run, "_half", lambda name, device: torch.float16)
    norms, clip = [], torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(
        torch.nn.utils, "clip_grad_norm_", lambda *args: norms.append(clip(*args)) or norms[-1]
    )
    dataset, sampler, _ = parts(tmp_path / "images")
    folder, settings = tmp_path / "run", replace(SETTINGS, epochs=1)
    train.fit(train_worker.model(), dataset, sampler, folder, settings)
    scaler = torch.load(folder / "state.pt", weights_only=True)["scaler"]
    assert scaler["scale"] == 2**16
    assert scaler["_growth_tracker"] == len(norms) == 3  # steps without an infinite gradient
    assert 0 < max(norms) < 100


@pytest.mark.parametrize("then", ["fp16", "no"])
def test_a_scale_of_fp16_goes_on_or_is_left(then, tmp_path, monkeypatch):
    halves = {"fp16": torch.float16, "no": None}
    monkeypatch.setattr(_run, "_half", lambda name, device: halves[name])
    dataset, sampler, _ = parts(tmp_path / "images")

    def fit_in(precision):
        settings = replace(SETTINGS, epochs=3, precision=precision)
        train.fit(train_worker.model(), dataset, sampler, tmp_path / "run", settings)

    with monkeypatch.context() as patch:
        patch.setattr(_fit, "write_log", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            fit_in("fp16")
    fit_in(then)
    scaler = torch.load(tmp_path / "run" / "state.pt", weights_only=True)["scaler"]
    assert scaler.get("_growth_tracker") == (3 * 3 if then == "fp16" else None)
