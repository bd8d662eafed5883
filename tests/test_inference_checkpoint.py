import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from kagglekit.inference import _job, _predict, predict_mask, predict_prob
from kagglekit.inference._answers import cores_for
from kagglekit.inference._checkpoint import Checkpoint, key_of
from kagglekit.inference._job import make_job
from kagglekit.models import Model, Recipe
from kagglekit.slides import open_slide
from tests.array_slide import TILED, smooth_picture, write_image
from tests.holding import holding

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "scales", "mode", "a_strip"),
    [
        ((500, 200), "1", "mask", 6),  # windows of one strip, the widest
        ((200, 500), "1", "mask", 6),
        ((200, 500), "4", "mask", 1),
        ((500, 200), "1,4", "mask", 6),
        ((200, 500), "1", "prob", 6),
        ((500, 200), "1,4", "prob", 6),
    ],
)
def test_killed_at_any_moment_it_goes_on_and_loses_a_strip_at_most(
    tmp_path, shape, scales, mode, a_strip
):
    path = write_image(tmp_path / "a.tiff", smooth_picture(shape), **TILED)
    done = subprocess.run(
        [sys.executable, "-m", "tests.kill_worker", path, tmp_path, scales, mode],
        cwd=ROOT, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    views = 4
    whole = told["whole"]["call"]
    assert told["same"]
    assert told["size"] > 50
    assert whole > 5 * a_strip * views or scales == "4"
    for one in told["attempts"]:
        assert one["killed"], one
        assert one["right"], one
        assert one["clean"], one
        assert whole <= one["calls"] <= whole + a_strip * views, one
        assert one["kept"] or one["moment"][1] < 0.2, one
    assert told["thrice"] == {"killed": 3, "calls": told["thrice"]["calls"], "right": True}
    assert told["thrice"]["calls"] <= whole + 3 * a_strip * views


class Stops(torch.nn.Module):
    """The red value as a logit; stops, as Ctrl-C would, at one of its calls."""

    def __init__(self, at=None):
        super().__init__()
        self.at, self.calls = at, 0

    def forward(self, x):
        if self.calls == self.at:
            raise KeyboardInterrupt
        self.calls += 1
        return (x[:, :1] - 0.5) * 20


def model(at=None, **recipe):
    recipe = {"window": 64, "stride": 32, "mean": (0.0,), "std": (1.0,)} | recipe
    return Model(Stops(at), Recipe(**recipe)).eval()


@pytest.fixture(autouse=True)
def one_window_after_the_other():
    """With several cores, which windows are done before the one that stops is left to chance."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def slide(tmp_path):
    with open_slide(
        write_image(tmp_path / "a.tiff", smooth_picture((500, 100)), **TILED)
    ) as opened:
        yield opened


def stopped(slide, folder, **options):
    with pytest.raises(KeyboardInterrupt):
        predict_mask(model(at=8), slide, progress=False, checkpoint=folder, **options)
    assert (folder / "prediction-state.npz").exists()


OTHERS = {
    "threshold": ({"threshold": 0.7}, {}),
    "overlap": ({"min_overlap": 0}, {}),
    "views": ({"tta": "flips"}, {}),
    "blend": ({"blend": "hann"}, {}),
    "double threshold": ({"high_threshold": 0.9}, {}),
    "background": ({"skip_background": True}, {}),
    "normalisation": ({}, {"std": (0.5,)}),
    "window": ({}, {"window": 96}),
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_another_prediction_left_is_not_used(slide, tmp_path, what):
    folder = tmp_path / "notes"
    stopped(slide, folder)
    options, recipe = OTHERS[what]
    expected = predict_mask(model(**recipe), slide, progress=False, **options)
    with pytest.warns(UserWarning) as told:  # noqa: PT030  compared below
        found = predict_mask(model(**recipe), slide, progress=False, checkpoint=folder, **options)
    assert [str(one.message) for one in told] == [
        f"{folder} is of another prediction (slide, models or options differ): starting anew"
    ]
    assert found == expected
    assert not folder.exists()


def test_another_slide_and_other_weights_are_other_predictions(slide, tmp_path):
    stopped(slide, tmp_path / "notes")
    path = write_image(tmp_path / "b.tiff", smooth_picture((500, 100), seed=1), **TILED)
    with open_slide(path) as other, pytest.warns(UserWarning, match="another prediction"):
        found = predict_mask(model(), other, progress=False, checkpoint=tmp_path / "notes")
    assert np.array_equal(found.to_mask(), smooth_picture((500, 100), seed=1)[:, :, 0] > 127)
    with pytest.raises(KeyboardInterrupt):
        predict_mask(weighted(0.3, at=8), slide, progress=False, checkpoint=tmp_path / "notes")
    with pytest.warns(UserWarning, match="another prediction"):
        predict_mask(weighted(0.4), slide, progress=False, checkpoint=tmp_path / "notes")


def weighted(bias, at=None):
    found = model(at)
    found.net.bias = torch.nn.Parameter(torch.tensor(bias))
    return found


def test_a_map_and_a_mask_are_different_predictions(slide, tmp_path):
    folder, path = tmp_path / "notes", tmp_path / "map.npy"
    options = {"progress": False, "checkpoint": folder}
    expected = predict_mask(model(), slide, progress=False)

    def map_stopped():
        with pytest.raises(KeyboardInterrupt):
            predict_prob(model(at=8), slide, path, **options)

    map_stopped()
    with pytest.warns(UserWarning, match="another prediction"):
        assert predict_mask(model(), slide, **options) == expected
    stopped(slide, folder)
    with pytest.warns(UserWarning, match="another prediction"):
        whole = np.array(predict_prob(model(), slide, path, **options))
    map_stopped()
    with pytest.warns(UserWarning, match="another prediction"):
        coarse = predict_prob(model(), slide, path, dtype="uint8", **options)
    assert np.abs(coarse / 255 - whole).max() < 0.003
    map_stopped()
    with pytest.warns(UserWarning, match="another prediction"):
        elsewhere = predict_prob(model(), slide, tmp_path / "other.npy", **options)
    assert np.array_equal(elsewhere, whole)


def test_what_was_appended_and_not_counted_is_ignored(slide, tmp_path):
    folder = tmp_path / "notes"
    expected = predict_mask(model(), slide, progress=False)
    stopped(slide, folder, batch_size=1)
    with (folder / "prediction-changes-0").open("ab") as file:
        file.write(b"half of a pos")
    (folder / ".prediction-state.npz.part").write_bytes(b"half of a state")
    resumed = model()
    options = {"batch_size": 1, "progress": False, "checkpoint": folder}
    assert predict_mask(resumed, slide, **options) == expected
    assert resumed.net.calls == 15 * 3 - 2 * 3  # two strips were done


def test_it_goes_on_in_as_many_threads_as_it_began(slide, tmp_path, monkeypatch):
    """A layer that torch splits over its threads may come out with another last digit."""
    asked = []

    def noted(*given):
        asked.append(given)
        return cores_for(*given)

    monkeypatch.setattr(_job, "cores_for", noted)
    stopped(slide, tmp_path / "notes", batch_size=1)
    predict_mask(model(), slide, batch_size=1, progress=False, checkpoint=tmp_path / "notes")
    began, went_on = asked
    assert began == went_on


def test_a_folder_that_another_process_is_at_work_in(slide, tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    with holding(folder / ".prediction-lock"):
        with pytest.raises(ValueError) as raised:
            predict_mask(model(), slide, progress=False, checkpoint=folder)
        assert str(raised.value) == (
            f"another prediction is at work with checkpoint='{folder}': "
            "each prediction needs a folder of its own"
        )
    predict_mask(model(), slide, progress=False, checkpoint=folder)
    assert not folder.exists()


def test_the_folder_may_hold_other_files(slide, tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    names = ["changes-2026.txt", "lock", "mine.txt", "state.npz"]
    for name in names:
        (folder / name).write_text("stays")
    predict_mask(model(), slide, progress=False, checkpoint=folder)
    assert sorted(path.name for path in folder.iterdir()) == names


def test_nothing_there_is_nothing_to_load(tmp_path):
    assert Checkpoint(tmp_path / "none", "key").load() is None
    assert not (tmp_path / "none").exists()


def test_saved_is_loaded_and_grows_at_its_end(tmp_path):
    note, arrays = Checkpoint(tmp_path / "notes", "key"), [np.array([3, 1], np.uint32)]
    note.save({"a": np.arange(3)}, [arrays, []])
    sizes = [(tmp_path / "notes" / f"prediction-changes-{k}").stat().st_size for k in (0, 1)]
    arrays.append(np.array([7], np.uint32))
    note.save({"a": np.arange(4)}, [arrays, []])
    state, changes = Checkpoint(tmp_path / "notes", "key").load()
    assert sizes == [8, 0]
    assert state["a"].tolist() == [0, 1, 2, 3]
    assert [np.concatenate(one).tolist() for one in changes] == [[3, 1, 7], []]
    assert {one[0].dtype for one in changes} == {np.dtype(np.uint32)}


def test_a_slide_that_differs_in_its_middle_is_another(tmp_path):
    """As uncompressed slides do, whose margins are empty glass."""
    keys = set()
    for value in (255, 20, 90):
        pixels = np.full((1500, 800, 3), 255, np.uint8)
        pixels[300:1200, 200:600] = value
        np.save(tmp_path / "a.npy", pixels)
        with open_slide(tmp_path / "a.npy") as opened:
            keys.add(key_of(make_job(model(), opened, {}), []))
    assert len(keys) == 3


def test_a_slide_of_another_name_is_another(tmp_path):
    keys = set()
    for name in ("a.npy", "b.npy"):
        np.save(tmp_path / name, smooth_picture((80, 70)))
        with open_slide(tmp_path / name) as opened:
            keys.add(key_of(make_job(model(), opened, {}), []))
    assert len(keys) == 2


class Named(torch.nn.Module):
    """A layer that tells of a function, and so of where that lies in memory."""

    def __init__(self, place):
        super().__init__()
        self.place = place

    def extra_repr(self):
        return f"<function cut at 0x{self.place:x}>"


class Shifted(torch.nn.Module):
    """Holds a number that no checkpoint has."""

    def __init__(self, shift):
        super().__init__()
        self.register_buffer("shift", torch.tensor(shift), persistent=False)

    def forward(self, x):
        return x + self.shift


def test_networks_that_differ_in_more_than_weights_are_others(slide):
    def key(*layers):
        net = torch.nn.Sequential(torch.nn.Conv2d(3, 1, 1), *layers)
        torch.nn.init.ones_(net[0].weight)
        torch.nn.init.zeros_(net[0].bias)
        found = Model(net, Recipe(window=64, stride=32)).eval()
        return key_of(make_job(found, slide, {}), [])

    assert key(torch.nn.LeakyReLU(0.1)) != key(torch.nn.LeakyReLU(0.2))
    assert key(torch.nn.LeakyReLU(0.1)) == key(torch.nn.LeakyReLU(0.1))
    assert key(Named(0x7F10)) == key(Named(0x7F20))
    assert key(Shifted(1.0)) != key(Shifted(2.0))


def two_scales(at=None):
    """The fine model's first strip yields nothing: the coarse one's map is needed, too."""
    return [model(), model(at, scale=4)]


def test_a_map_of_which_nothing_was_written_goes_on(slide, tmp_path):
    path, options = tmp_path / "map.npy", {"progress": False, "batch_size": 1}
    expected = np.array(predict_prob(two_scales(), slide, path, **options))
    path.unlink()
    folder = tmp_path / "notes"
    with (tmp_path / "map.npy.part").open("wb") as file:
        np.save(file, np.zeros(3))  # left by something else
    with pytest.raises(KeyboardInterrupt):
        predict_prob(two_scales(at=0), slide, path, checkpoint=folder, **options)
    assert np.load(tmp_path / "map.npy.part").shape == (3,)
    assert (folder / "prediction-state.npz").exists()
    found = predict_prob(two_scales(), slide, path, checkpoint=folder, **options)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("left", ["nothing", "another"])
def test_a_map_that_is_gone_is_made_anew(slide, tmp_path, left):
    path, folder = tmp_path / "map.npy", tmp_path / "notes"
    expected = np.array(predict_prob(model(), slide, path, progress=False))
    with pytest.raises(KeyboardInterrupt):
        predict_prob(model(at=8), slide, path, progress=False, checkpoint=folder)
    begun = tmp_path / "map.npy.part"
    begun.unlink()
    if left == "another":
        with begun.open("wb") as file:
            np.save(file, np.zeros((1, 500, 100), np.uint8))
    with pytest.warns(UserWarning) as told:  # noqa: PT030  compared below
        found = predict_prob(model(), slide, path, progress=False, checkpoint=folder)
    assert [str(one.message) for one in told] == [f"{begun} is gone: starting anew"]
    assert np.array_equal(found, expected)
    assert not folder.exists()


@pytest.mark.parametrize("call", ["mask", "map"])
def test_notes_stay_until_the_result_is_there(slide, tmp_path, monkeypatch, call):
    folder, path = tmp_path / "notes", tmp_path / "map.npy"

    def predicted(network):
        if call == "mask":
            return predict_mask(network, slide, progress=False, checkpoint=folder).to_mask()
        return np.array(predict_prob(network, slide, path, progress=False, checkpoint=folder))

    expected = predicted(model())
    assert not folder.exists()

    def dies(*_):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(_predict, "masks_of", dies)
        patched.setattr(_predict._MapSink, "close", dies)
        with pytest.raises(MemoryError):
            predicted(model())
    resumed = model()
    assert np.array_equal(predicted(resumed), expected)
    assert resumed.net.calls == 0
    assert not folder.exists()


def test_of_a_folder_of_another_prediction_nothing_counts_once_it_is_written_to(tmp_path):
    folder = tmp_path / "notes"
    Checkpoint(folder, "A").save({}, [[np.array([5, 6], np.uint32)]])

    class Killed(np.ndarray):
        def tobytes(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Checkpoint(folder, "B").save({}, [[np.array([7], np.uint32).view(Killed)]])
    assert Checkpoint(folder, "A").load() is None


@pytest.mark.parametrize("what", ["cut", "changed", "gone"])
def test_notes_that_are_not_whole_are_not_used(tmp_path, what):
    folder = tmp_path / "notes"
    note, arrays = Checkpoint(folder, "A"), [np.array([5, 6], np.uint32)]
    note.save({}, [arrays])
    note.save({}, [[*arrays, np.array([7], np.uint32)]])
    path = folder / "prediction-changes-0"
    if what == "gone":
        path.unlink()
    else:
        whole = path.read_bytes()
        path.write_bytes(whole[:8] if what == "cut" else whole[:8] + b"8" + whole[9:])
    with pytest.warns(UserWarning) as told:  # noqa: PT030  compared below
        assert Checkpoint(folder, "A").load() is None
    assert [str(one.message) for one in told] == [f"{folder} is damaged: starting anew"]


def test_what_was_appended_before_anything_counted_is_thrown_away(tmp_path):
    note = Checkpoint(tmp_path, "A")
    note.save({}, [])  # no part of the map was finished yet
    (tmp_path / "prediction-changes-0").write_bytes(b"not counted")
    again = Checkpoint(tmp_path, "A")
    assert again.load() == ({}, [])
    again.save({}, [[np.array([5], np.uint32)]])
    _, [[positions]] = Checkpoint(tmp_path, "A").load()
    assert positions.tolist() == [5]


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\3\4 cut off", b"something else"])
def test_a_damaged_state_is_not_used(tmp_path, content):
    (tmp_path / "prediction-state.npz").write_bytes(content)
    with pytest.warns(UserWarning) as told:  # noqa: PT030  compared below
        assert Checkpoint(tmp_path, "A").load() is None
    assert [str(one.message) for one in told] == [f"{tmp_path} is damaged: starting anew"]


def test_a_state_of_which_some_bytes_changed_is_not_used(tmp_path):
    note, state = Checkpoint(tmp_path, "A"), {"sums": np.arange(400), "done": np.array(3)}
    note.save({f"{name}-0": value for name, value in state.items()}, [[np.arange(9)]])
    whole, random = (tmp_path / "prediction-state.npz").read_bytes(), np.random.default_rng(0)
    used = 0
    for _ in range(400):
        damaged = np.frombuffer(whole, np.uint8).copy()
        places = random.integers(len(whole), size=random.integers(1, 40))
        damaged[places] = random.integers(256, size=len(places))
        (tmp_path / "prediction-state.npz").write_bytes(damaged.tobytes())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = Checkpoint(tmp_path, "A").load()
        if found is not None:  # changed where nothing depends on it, as a date
            used += 1
            assert all(np.array_equal(found[0][f"{name}-0"], state[name]) for name in state)
    assert used < 100


def test_a_state_of_something_else_is_not_used(tmp_path):
    np.savez(tmp_path / "prediction-state.npz", a=np.arange(3))
    with pytest.warns(UserWarning, match="another prediction"):
        assert Checkpoint(tmp_path, "A").load() is None


def test_a_full_disk_ends_the_notes_and_not_the_prediction(slide, tmp_path, monkeypatch):
    folder = tmp_path / "notes"
    expected = predict_mask(model(), slide, progress=False)
    options = {"batch_size": 1, "progress": False, "checkpoint": folder}
    sync, synced = os.fsync, []

    def full(number):
        synced.append(number)
        if len(synced) > 5:  # two of each strip: in the third
            raise OSError(28, "No space left on device")
        sync(number)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.warns(UserWarning) as told, pytest.raises(KeyboardInterrupt):  # noqa: PT030  compared below
            predict_mask(model(at=30), slide, **options)
    assert [str(one.message) for one in told] == [
        f"{folder}: what is done cannot be noted any more (No space left on device): going on "
        "without; after a kill, only what was noted before is there"
    ]
    resumed = model()
    assert predict_mask(resumed, slide, **options) == expected
    assert resumed.net.calls == 15 * 3 - 2 * 3  # two strips were noted
    assert not folder.exists()


def test_a_map_that_fails_leaves_nothing_behind(slide, tmp_path, monkeypatch):
    path = tmp_path / "new" / "map.npy"
    with pytest.raises(KeyboardInterrupt):
        predict_prob(model(at=8), slide, path, progress=False)
    assert list(path.parent.iterdir()) == []

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        predict_prob(model(), slide, path, progress=False)
    assert list(path.parent.iterdir()) == []


def test_a_map_cannot_take_the_slide_s_place(tmp_path):
    np.save(tmp_path / "slide.npy", np.zeros((40, 40, 3), np.uint8))
    (tmp_path / "link.npy").symlink_to("slide.npy")
    with open_slide(tmp_path / "slide.npy") as slide:
        for name in ("slide.npy", "link.npy"):
            with pytest.raises(ValueError, match=r"\.npy is the slide itself; name another file$"):
                predict_prob(model(), slide, tmp_path / name, progress=False)
    assert not np.load(tmp_path / "slide.npy").any()


def test_a_map_cannot_take_a_folder_s_place(slide, tmp_path):
    network = model()
    with pytest.raises(IsADirectoryError) as raised:
        predict_prob(network, slide, tmp_path, progress=False)
    assert str(raised.value) == f"{tmp_path} is a folder; name a file in it"
    assert network.net.calls == 0


def test_two_maps_are_not_written_into_one_file(slide, tmp_path):
    path, options = tmp_path / "map.npy", {"progress": False, "batch_size": 1}
    expected = np.array(predict_prob(model(), slide, path, **options))
    path.unlink()
    refused = []

    class Beside(torch.nn.Module):
        """Begins another prediction of the same file when this one has begun."""

        def forward(self, x):
            if (tmp_path / "map.npy.part").exists() and not refused:
                refused.append(None)
                with pytest.raises(ValueError) as raised:
                    predict_prob(model(), slide, path, **options)
                refused[0] = str(raised.value)
            return model().net(x)

    found = predict_prob(Model(Beside(), model().recipe).eval(), slide, path, **options)
    assert refused == [f"another prediction is writing {path}"]
    assert np.array_equal(found, expected)
    assert [each.name for each in tmp_path.iterdir() if "map" in each.name] == ["map.npy"]
