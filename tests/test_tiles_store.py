import json
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from kagglekit import cli, competitions, tiles
from kagglekit.competitions import fake
from kagglekit.errors import DataError
from kagglekit.rle import RLE
from kagglekit.slides import open_slide


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    found = {}
    for name, shape in {"a": (90, 131, 3), "b": (64, 50, 3), "c": (33, 47, 3)}.items():
        path = tmp_path / "in" / f"{name}.npy"
        path.parent.mkdir(exist_ok=True)
        np.save(path, rng.integers(0, 200, shape, np.uint8))
        found[name] = path
    return found


def blob(name, slide):
    mask = np.zeros(slide.shape, np.uint8)
    mask[5:40, 7:30] = 1
    return [RLE.from_mask(mask), RLE.empty(slide.shape, "C")]


@pytest.mark.parametrize("scale", [1, 3])
def test_a_stored_picture_is_the_slide_at_that_scale(images, tmp_path, scale):
    moments = tiles.store(images, blob, tmp_path / "out", scale, progress=False)
    stored = tiles.open_store(tmp_path / "out", images)
    everything = []
    for (name, path), picture in zip(images.items(), stored, strict=True):
        with open_slide(path) as slide:
            whole = slide.read(0, slide.shape[0], 0, slide.shape[1], scale)
            original = tiles.Picture(slide, blob(name, slide), scale)
        assert picture.shape == original.shape
        assert picture.model_scale == original.model_scale == scale
        height, width = picture.shape
        assert np.array_equal(picture.slide.read(0, height, 0, width), whole)
        everything.append(whole.reshape(-1, 3))
        for box in [(0, 9, 0, 9), (height - 9, height, width - 9, width)]:
            for a, b in zip(picture.read(box, 9), original.read(box, 9), strict=True):
                assert np.array_equal(a, b)
    pixels = np.concatenate(everything)
    assert np.allclose(moments.mean, pixels.mean(axis=0), rtol=1e-12)
    assert np.allclose(moments.std, pixels.std(axis=0), rtol=1e-12)


def test_tiles_of_a_stored_picture_put_together_are_the_picture(images, tmp_path):
    tiles.store(images, blob, tmp_path / "out", 2, progress=False)
    for picture in tiles.open_store(tmp_path / "out", images):
        pixels, masks = tiles.cut(picture.slide, picture.masks, window=24, min_overlap=5)
        height, width = picture.shape
        assert np.array_equal(
            tiles.join(pixels, picture.shape, 5), picture.slide.read(0, height, 0, width)
        )
        joined = tiles.join(masks.transpose(0, 2, 3, 1), picture.shape, 5)
        assert np.array_equal(joined[:, :, 0], picture.masks[0].to_mask())


def test_strips_join_without_a_seam(images, tmp_path, monkeypatch):
    tiles.store(images, blob, tmp_path / "whole", 3, progress=False)
    monkeypatch.setattr("kagglekit.tiles._store._STRIP_BYTES", 2000)
    monkeypatch.setattr("kagglekit.tiles._cut._STRIP_PIXELS", 700)
    tiles.store(images, blob, tmp_path / "strips", 3, progress=False)
    for name in images:
        a, b = (tmp_path / folder / f"{name}.npy" for folder in ("whole", "strips"))
        assert a.read_bytes() == b.read_bytes()
        masks = [json.loads(p.with_suffix(".json").read_text())["masks"] for p in (a, b)]
        assert masks[0] == masks[1]


def test_only_what_changed_is_written_again(images, tmp_path):
    out = tmp_path / "out"

    def written(masks=blob, scale=1):
        before = {path.name: path.stat().st_ino for path in out.glob("?.npy")}
        moments = tiles.store(images, masks, str(out), scale, progress=False)
        after = {path.name: path.stat().st_ino for path in out.glob("?.npy")}
        return moments, "".join(
            name[0] for name in sorted(after) if after[name] != before.get(name)
        )

    first, names = written()
    assert names == "abc"
    np.save(images["b"], np.zeros((20, 20, 3), np.uint8))
    (out / "c.json").unlink()  # as if killed before it was done
    again, names = written()
    assert names == "bc"
    assert again.count == first.count - 64 * 50 + 400
    assert tiles.open_store(str(out), ["b"])[0].shape == (20, 20)
    assert written()[1] == ""
    assert written(lambda name, slide: blob(name, slide)[: 1 if name == "c" else 2])[1] == "c"
    assert len(tiles.open_store(out, ["c"])[0].masks) == 1
    corrected = written(lambda name, slide: blob(name, slide)[:: -1 if name == "a" else 1])
    assert corrected[1] == "ac"
    assert tiles.open_store(out, ["a"])[0].masks[0].area == 0
    assert written(scale=2)[1] == "abc"


@pytest.mark.parametrize("name", ["a/b", "a.masks"])
def test_names_that_files_cannot_have(images, tmp_path, name):
    with pytest.raises(ValueError) as raised:
        tiles.store({"a": images["a"], name: images["b"]}, blob, tmp_path / "out", progress=False)
    assert str(raised.value) == f"names that files cannot have, with / or .masks: {name}"


@pytest.mark.parametrize("end", ["npy", "masks.npy"])
def test_a_file_that_was_cut_off_is_written_again(images, tmp_path, end):
    out = tmp_path / "out"
    tiles.store(images, blob, out, progress=False)
    content = (out / f"b.{end}").read_bytes()
    (out / f"b.{end}").write_bytes(content[:-9])
    with pytest.raises(DataError, match="lacks 1 of 3 pictures"):
        tiles.open_store(out, images)
    tiles.store(images, blob, out, progress=False)
    assert (out / f"b.{end}").read_bytes() == content


@pytest.mark.parametrize("content", ["", '{"scale": 1, "sour', "{}", "[]", "null"])
def test_what_a_power_cut_left_half_written_is_written_again(images, tmp_path, content):
    out = tmp_path / "out"
    first = tiles.store(images, blob, out, progress=False)
    (out / "b.json").write_text(content)
    with pytest.raises(DataError, match="lacks 1 of 3 pictures"):
        tiles.open_store(out, images)
    assert vars(tiles.store(images, blob, out, progress=False)) == vars(first)
    assert len(tiles.open_store(out, images)) == 3


def test_what_is_missing_is_named(images, tmp_path):
    out = tmp_path / "out"
    tiles.store({"a": images["a"]}, blob, out, progress=False)
    with pytest.raises(
        DataError,
        match=rf"^`{out}` lacks 2 of 3 pictures\n  - b\n  - c\nhint: run `kagglekit tiles` again: it goes on where it was stopped$",
    ):
        tiles.open_store(out, images)
    with pytest.raises(ValueError, match=r"^scale=0 must be at least 1$"):
        tiles.store(images, blob, out, 0)


@pytest.mark.parametrize("other", [("2", "64"), ("1", "32")])
def test_pngs_of_another_scale_or_window_do_not_stay(tmp_path, other, capsys):
    comp = competitions.load("data-science-bowl-2018")
    fake.make(comp, tmp_path / "tree", seed=1)

    def run(out, scale, window):
        given = ["tiles", "--competition", comp.slug, "--data", str(tmp_path / "tree"), "--png"]
        assert cli.main([*given, "--out", str(out), "--scale", scale, "--window", window]) == 0
        return {path.relative_to(out): path.read_bytes() for path in out.glob("*/*")}

    mine = tmp_path / "twice" / "mine.png"
    first = run(tmp_path / "twice", "1", "64")
    mine.write_bytes(b"mine")
    assert run(tmp_path / "twice", *other) == run(tmp_path / "once", *other) != first
    assert mine.exists()


def test_killed_and_run_again_the_command_leaves_what_one_run_leaves(tmp_path, capsys):
    comp = competitions.load("data-science-bowl-2018")
    fake.make(comp, tmp_path / "tree", seed=1)

    def arguments(out):
        given = ["tiles", "--competition", comp.slug, "--data", str(tmp_path / "tree")]
        return [*given, "--out", str(out), "--scale", "2", "--window", "64", "--png"]

    killed, once = tmp_path / "killed", tmp_path / "once"
    run = subprocess.Popen(
        [sys.executable, "-m", "kagglekit.cli", *arguments(killed)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while run.poll() is None and not list(killed.glob("*.json")):
        time.sleep(0.005)
    os.kill(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    assert not (killed / "index.csv").exists()
    summaries = []
    for out in (killed, once):
        assert cli.main(arguments(out)) == 0
        summaries.append(capsys.readouterr().out.replace(str(out), "OUT"))
    assert summaries[0] == summaries[1]
    assert "mean = (0." in summaries[0]
    contents = [
        {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        for out in (killed, once)
    ]
    assert contents[0] == contents[1]
    assert "index.csv" in contents[0]
    assert sum(name.endswith("_mask0.png") for name in contents[0]) > 10
    pngs = sorted(once.glob("*/*_mask0.png"))
    name, (y0, x0) = pngs[-1].parent.name, map(int, pngs[-1].name.split("_")[:2])
    picture = tiles.open_store(once, [name])[0]
    pixels, masks = picture.read((y0, y0 + 64, x0, x0 + 64), 64)
    read = cv2.imread(str(pngs[-1]).replace("_mask0", ""), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(read[:, :, ::-1], pixels)
    assert np.array_equal(cv2.imread(str(pngs[-1]), cv2.IMREAD_UNCHANGED), masks[0] * 255)


def test_a_full_disk_leaves_no_half_picture(images, tmp_path, monkeypatch):
    def no_more(*_, **__):
        raise OSError("No space left on device")

    out = tmp_path / "out"
    monkeypatch.setattr(tiles._bits.np, "packbits", no_more)
    with pytest.raises(OSError, match="No space left"):
        tiles.store(images, blob, out, progress=False)
    assert [path.name for path in out.glob(".*")] == []
