"""The same pixels whoever reads: processes, threads, copies, with the user's own GDAL settings."""

import json
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from kagglekit.slides import open_slide
from tests.slides_damage import LAYOUTS
from tests.slides_factory import picture

SHAPE = (400, 300)
KINDS = ("strips of 8, raw, by pixel", "tiles, LZW, by pixel", "5-D", "PNG", "npy")
WINDOWS = 200
WORKERS = 4


def wrong_windows(slide, seed):
    """Read random windows of 64 and count those that differ from the truth."""
    rng, pixels, wrong = np.random.default_rng(seed), picture(SHAPE), 0
    for _ in range(WINDOWS):
        y, x = (int(rng.integers(side - 64)) for side in SHAPE)
        got = slide.read(y, y + 64, x, x + 64)
        wrong += not np.array_equal(got, pixels[y : y + 64, x : x + 64])
    return wrong


def in_threads(slide):
    together = threading.Barrier(WORKERS)

    def work(seed):
        together.wait()
        return wrong_windows(slide, seed)

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(work, range(WORKERS)))


def in_processes(slide, method):
    with multiprocessing.get_context(method).Pool(WORKERS) as pool:
        return pool.starmap(wrong_windows, [(slide, seed) for seed in range(WORKERS)])


def all_ways(folder, methods):
    """Count wrong windows of every way; run by the tests below in processes of their own."""
    counts = {}
    for kind in KINDS:
        LAYOUTS[kind](Path(folder, kind), picture(SHAPE))
        with open_slide(Path(folder, kind)) as slide:
            assert wrong_windows(slide, 99) == 0  # the parent's reader is open and used
            for method in methods:
                how = in_threads(slide) if method == "threads" else in_processes(slide, method)
                counts[f"{kind}, {method}"] = how
            assert wrong_windows(slide, 98) == 0
    return counts


@pytest.mark.parametrize("threads_of_gdal", [None, "2"])
def test_no_window_is_wrong_and_nobody_waits_for_ever(tmp_path, threads_of_gdal):
    # 4 workers x 200 windows x 5 kinds x 2 ways x 2 settings = 16,000.
    code = (
        "import json, sys; from tests.test_slides_workers import all_ways; "
        "print(json.dumps(all_ways(sys.argv[1], ['fork', 'threads'])))"
    )
    env = {key: value for key, value in os.environ.items() if key != "GDAL_NUM_THREADS"}
    if threads_of_gdal:
        env["GDAL_NUM_THREADS"] = threads_of_gdal
    run = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, tmp_path],
        cwd=Path(__file__).parents[1],
        env=env,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    counts = json.loads(run.stdout)
    assert counts == {f"{k}, {m}": [0] * WORKERS for k in KINDS for m in ("fork", "threads")}


@pytest.mark.parametrize("kind", ["strips of 8, raw, by pixel", "tiles, LZW, by pixel"])
def test_spawned_workers_and_copies(tmp_path, kind):
    LAYOUTS[kind](tmp_path / "a", picture(SHAPE))
    with open_slide(tmp_path / "a") as slide:
        assert wrong_windows(slide, 0) == 0
        assert in_processes(slide, "spawn") == [0] * WORKERS
        copy = pickle.loads(pickle.dumps(slide))  # noqa: S301
    with copy:
        assert wrong_windows(copy, 1) == 0


def own_reader(slide):
    """Read here, and return whether the reader that was used was opened here."""
    slide.read(0, 1, 0, 1)
    return (os.getpid(), threading.get_ident()) in slide._readers


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_worker_never_reads_through_its_parents_handle(tmp_path, method):
    # Wrong pixels come now and then only; what makes them impossible can be seen every time.
    LAYOUTS["5-D"](tmp_path / "a", picture(SHAPE))
    with open_slide(tmp_path / "a") as slide:
        assert own_reader(slide)
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(own_reader, [slide, slide]) == [True, True]


def test_threads_have_readers_of_their_own_and_leave_none_behind(tmp_path):
    LAYOUTS["5-D"](tmp_path / "a", picture(SHAPE))
    together = threading.Barrier(4)

    def work(_):
        together.wait()
        return own_reader(slide)

    with open_slide(tmp_path / "a") as slide:
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(work, range(4))) == [True] * 4
            readers = list(slide._readers.values())
            assert len({id(reader) for reader in readers}) == 4
        own_reader(slide)
        assert len(slide._readers) == 1


def test_close_closes_the_file_and_a_later_read_opens_it_again(tmp_path):
    LAYOUTS["tiles, LZW, by pixel"](tmp_path / "a", picture(SHAPE))

    def is_open():
        links = Path("/proc/self/fd").iterdir()
        return any(os.path.realpath(link) == str(tmp_path / "a") for link in links)

    slide = open_slide(tmp_path / "a")
    assert not is_open()
    slide.read(0, 9, 0, 9)
    assert is_open()
    slide.close()
    assert not is_open()
    np.testing.assert_array_equal(slide.read(0, 9, 0, 9), picture(SHAPE)[:9, :9])
