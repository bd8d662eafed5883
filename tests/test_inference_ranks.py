import importlib.util
import json
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kagglekit.inference import collect, predict_banded, share
from kagglekit.inference._ranks import bands
from kagglekit.tiling import plan_grid
from tests import rank_worker
from tests.array_slide import TILED, smooth_picture, write_image
from tests.forks import free_port
from tests.launching import ended, launch, launch_on, run

LAUNCHED = ("tests.rank_worker", "launched")


def job_of(size, scales, window=64, overlap=16):
    """As much of a job as cutting it into bands asks for."""
    finest = min(scales)
    members = [
        SimpleNamespace(scale=s, grid=plan_grid((-(-size // s), 100), window, overlap, stride=16))
        for s in scales
    ]
    return SimpleNamespace(members=members, axis=0, small=(-(-size // finest), 100))


@given(st.integers(1, 3000), st.sampled_from([[1], [3], [1, 4], [2, 8]]), st.integers(1, 9))
def test_bands_cover_everything_in_order_and_begin_where_strips_do(size, scales, world):
    job = job_of(size, scales)
    found = bands(job, world)
    assert len(found) == world
    assert [row for band in found for row in band] == list(range(job.small[0]))
    assert found[0]
    starts = job.members[0].grid.rows.starts
    assert {band.start for band in found if band} <= set(starts)


@given(st.integers(300, 6000), st.integers(2, 6))
def test_bands_are_equally_much_work(size, world):
    job = job_of(size, [1])
    axis = job.members[0].grid.rows
    work = [
        sum(1 for start in axis.starts if start < band.stop and start + axis.window > band.start)
        for band in bands(job, world)
        if band
    ]
    # A last strip that lies close to the one before it can cost a rank one more.
    assert max(work) - min(work) <= 2 or len(axis.starts) < 2 * world
    assert max(work) <= (len(axis.starts) + world - 1) / world + 2


def test_alone():
    assert share(iter("abc")) == ["a", "b", "c"]
    assert collect({"a": 1}) == {"a": 1}


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    return write_image(folder / "a.tiff", smooth_picture((520, 210)), **TILED)


def test_alone_a_band_is_the_whole(slide):
    assert rank_worker.banded(slide, [3], {}) == rank_worker.alone(slide, [3], {})


@pytest.mark.parametrize(
    "call", [lambda: share("abc"), lambda: collect({}), lambda: predict_banded([], None)]
)
def test_several_that_are_not_connected(monkeypatch, call):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RuntimeError) as raised:
        call()
    assert str(raised.value) == (
        "this is one of several processes, and they are not connected: "
        "create accelerate.PartialState() first"
    )


@pytest.fixture(scope="module")
def told(slide, tmp_path_factory):
    worker = [sys.executable, "-m", "tests.rank_worker", "cases", slide]
    out = ended(run([*worker, tmp_path_factory.mktemp("forks")]))
    return json.loads(out.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("name", [*(name for name, *_ in rank_worker.CASES), "checkpoint"])
def test_several_ranks_find_what_one_finds(told, name):
    first, *others = told[name]["ranks"]
    assert first == told[name]["one"]
    assert all(first)  # something was found in each plane
    assert others == [None] * len(others)


@pytest.mark.slow
def test_items_are_shared_and_what_was_found_comes_together(told):
    assert told["share"] == [["slide 0", "slide 3"], ["slide 1", "slide 4"], ["slide 2"]]
    by = {0: 0, 3: 0, 1: 1, 4: 1, 2: 2}
    assert told["collect"] == [{f"slide {k}": f"by {rank}" for k, rank in by.items()}, {}, {}]


@pytest.mark.slow
def test_what_one_rank_cannot_read_fails_on_all_and_the_next_slide_is_right(told):
    (first, error, last), (other, same, another) = told["damaged"]
    assert first == last == told["two"]["one"]
    assert other is another is None
    assert "damaged.tiff: cannot read rows " in error[0]
    assert error[0] in same[0]
    assert sorted([error[1:], same[1:]]) == [[], ["This happened on rank 1."]]


@pytest.mark.slow
def test_ranks_with_different_slides_are_refused(told):
    expected = (
        "the ranks were given different slides (rank 0: Slide(a.tiff, shape=(520, 210), channels=3); "
        "rank 1: Slide(damaged.tiff, shape=(3000, 210), channels=3))"
    )
    assert told["different slides"] == [expected] * 2


@pytest.mark.slow
def test_what_is_refused_on_one_rank_is_on_all(told):
    assert told["a wrong option"] == ["batch_size=0 must be a whole number of at least 1"] * 2


@pytest.mark.slow
def test_notes_of_all_ranks_stay_until_the_masks_are_there(told):
    first, second = told["unwell"]
    assert first == ["UntoldError: no memory left", True]
    assert second[0].startswith("RuntimeError: UntoldError: ('no memory left'")
    assert second[1:] == [False]
    assert not told["left"]


@pytest.mark.slow
def test_a_rank_is_waited_for_longer_than_the_group_would(told):
    assert told["late"] == [told["two"]["one"], None]


needs_accelerate = pytest.mark.skipif(
    importlib.util.find_spec("accelerate") is None, reason="accelerate is not installed"
)


def check(slide, folder, world="2 gloo"):
    assert (folder / "world.txt").read_text() == world
    expected = rank_worker.alone(slide, [1], {})
    assert (folder / "masks.txt").read_text().split("\n") == expected


@pytest.mark.slow
@needs_accelerate
def test_notebook_launcher(slide, tmp_path):
    ended(run([sys.executable, "-m", "tests.rank_worker", "notebook", slide, tmp_path]))
    check(slide, tmp_path)


@pytest.mark.slow
@needs_accelerate
def test_accelerate_launch_on_one_machine(slide, tmp_path):
    options = ("--num_machines", "1", "--main_process_port", free_port())
    ended(run(launch(*LAUNCHED, slide, tmp_path, options=options)))
    check(slide, tmp_path)


@pytest.mark.slow
@needs_accelerate
def test_accelerate_launch_on_two_hosts(slide, tmp_path, hosts):
    launch_on(hosts, 29619, *LAUNCHED, slide, tmp_path)
    check(slide, tmp_path)
