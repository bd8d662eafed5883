import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest

from kagglekit import handles, tiles
from kagglekit.rle import RLE
from kagglekit.slides import open_slide


@pytest.fixture
def three(monkeypatch):
    monkeypatch.setattr(handles, "MOST", 3)


def test_the_one_idle_longest_is_let_go(three):
    one, other = dict.fromkeys("ab", "file"), dict.fromkeys("cd", "file")
    for held, key in ((one, "a"), (other, "c"), (one, "b"), (one, "a"), (other, "d")):
        handles.used(held, key)
    assert list(one) == ["a", "b"]
    assert list(other) == ["d"]


def test_what_its_owner_has_closed_already_does_no_harm(three):
    held = dict.fromkeys("abcd", "file")
    handles.used(held, "a")
    del held["a"]
    for key in "bcd":
        handles.used(held, key)
    assert list(held) == ["b", "c", "d"]


def test_a_forked_child_counts_its_own(three):
    held = dict.fromkeys("abc", "file")
    for key in "abc":
        handles.used(held, key)
    child = os.fork()
    if child == 0:
        handles.used(dict.fromkeys("x", "file"), "x")
        os._exit(0 if list(held) == ["a", "b", "c"] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


ENDING = """
import sys
from kagglekit import handles

class File:
    def __del__(self):
        print("late" if sys.is_finalizing() else "in time")

held = {"a": File()}
handles.used(held, "a")
"""


def test_at_the_end_of_the_process_files_are_closed_while_python_is_whole():
    ended = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True)
    assert (ended.stdout, ended.stderr) == ("in time\n", "")


def open_files(folder):
    """How many files in a folder this process has open."""
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that of the folder's own listing
            found += link.readlink().is_relative_to(folder)
    return found


@pytest.mark.parametrize("stored", [False, True])
def test_a_dataset_of_many_pictures_has_few_of_them_open(stored, tmp_path, three):
    paths = {str(shade): tmp_path / f"{shade}.png" for shade in range(8)}
    masks = {name: [RLE.from_mask(np.eye(32, k=int(name), dtype=np.uint8))] for name in paths}
    for name, path in paths.items():
        cv2.imwrite(str(path), np.full((32, 32, 3), int(name), np.uint8))
    if stored:
        tiles.store(paths, lambda name, slide: masks[name], tmp_path / "store", progress=False)
        pictures = tiles.open_store(tmp_path / "store", paths)
    else:
        pictures = [tiles.Picture(open_slide(paths[name]), masks[name]) for name in paths]
    dataset = tiles.TileDataset(pictures, tiles.index(pictures, 32))
    for _ in range(2):  # what was let go is opened again
        for number in range(8):
            pixels, mask = dataset[number]
            assert (pixels == number).all()
            assert (mask.numpy()[0] == np.eye(32, k=number)).all()
            assert open_files(tmp_path) <= 3


def test_a_slide_that_nobody_has_any_more_is_closed(tmp_path):
    path = tmp_path / "array.npy"
    np.save(path, np.zeros((8, 8, 3), np.uint8))
    slide = open_slide(path)
    slide.read(0, 8, 0, 8)
    assert open_files(tmp_path) == 1
    del slide
    assert open_files(tmp_path) == 0
