import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kagglekit.errors import SlideError
from kagglekit.inference import _feed
from kagglekit.inference._feed import Demand, Feed, chunk_edges
from kagglekit.slides import Slide, open_slide
from kagglekit.slides._window import pieces
from kagglekit.tiling import plan_grid
from tests.array_slide import TILED, ArraySlide, smooth_picture, write_image


@dataclass
class Case:
    slide: ArraySlide
    axis: int
    demands: list[Demand]


def demand(shape, scale, window=32, overlap=8, strips=None, axis=0):
    grid = plan_grid(tuple(-(-side // scale) for side in shape), window, overlap, stride=8)
    return Demand(scale, grid, strips or range(len(grid.axes[axis].starts)))


@st.composite
def cases(draw):
    shape = draw(st.tuples(st.integers(1, 150), st.integers(1, 150)))
    block = draw(
        st.sampled_from([(16, 16), (48, 64), (1, shape[1]), (7, shape[1]), (shape[0], 16), shape])
    )
    axis = draw(st.sampled_from([0, 1]))
    scales = draw(st.sampled_from([[1], [3], [4], [1, 4], [2, 3], [1, 3]]))
    channels = draw(st.sampled_from([1, 3]))
    dtype = draw(st.sampled_from([np.uint8, np.uint16]))
    seed = draw(st.integers(0, 2**32))
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, np.iinfo(dtype).max, (*shape, channels), dtype, endpoint=True)
    demands = [demand(shape, scale, axis=axis) for scale in scales]
    if draw(st.booleans()):  # only some strips, as a band of several devices asks for
        cut = []
        for one in demands:
            count = len(one.grid.axes[axis].starts)
            first = draw(st.integers(0, count - 1))
            cut.append(
                Demand(one.scale, one.grid, range(first, draw(st.integers(first + 1, count))))
            )
        demands = cut
    return Case(ArraySlide(pixels, block), axis, demands)


def shrunk(pixels, scale):
    """Average cells of scale x scale, the last row and column repeated; nothing is rounded."""
    missing = [(0, -side % scale) for side in pixels.shape[:2]]
    whole = np.pad(pixels, (*missing, (0, 0)), "edge").astype(float)
    height, width, channels = whole.shape
    return whole.reshape(height // scale, scale, width // scale, scale, channels).mean((1, 3))


def canvas_of(pixels, one):
    small = shrunk(pixels, one.scale)
    missing = [(0, a.padded - a.size) for a in one.grid.axes]
    return np.pad(small, (*missing, (0, 0)), "reflect")


def windows(case):
    """Name all windows in the order of the sweep: (demand, row, column) each."""
    found = []
    for one in case.demands:
        along, across = one.grid.axes[case.axis], one.grid.axes[1 - case.axis]
        for strip in one.strips:
            for j in range(len(across.starts)):
                i, k = (strip, j) if case.axis == 0 else (j, strip)
                found.append((along.starts[strip] * one.scale, one, i, k))
    return [rest for _, *rest in sorted(found, key=lambda entry: entry[0])]


def fill(feed, one, i, j):
    grid, slide = one.grid, feed.slide
    window = np.empty((grid.rows.window, grid.columns.window, slide.channels), slide.dtype)
    feed.fill(window, one.scale, grid, i, j)
    return window


@given(cases(), st.sampled_from([1, 400, 10_000]))
def test_windows_blocks_and_nothing_left(case, chunk):
    slide = case.slide
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_feed, "_CHUNK", chunk)
        patch.setattr(_feed, "AHEAD", 5_000)
        with ThreadPoolExecutor(2) as pool, Feed(slide, case.axis, case.demands, pool) as feed:
            for one, i, j in windows(case):
                canvas = canvas_of(slide.pixels, one)
                y, x = one.grid.rows.starts[i], one.grid.columns.starts[j]
                rows, columns = one.grid.rows.window, one.grid.columns.window
                wanted = canvas[y : y + rows, x : x + columns]
                found = fill(feed, one, i, j).astype(float)
                if one.scale == 1:
                    assert np.array_equal(found, wanted)
                else:  # halves may go up or down
                    assert np.abs(found - wanted).max() <= 0.5
        assert feed._chunks == {}
    check_reads(slide, feed.blocks, needed_pixels(case))


def needed_pixels(case):
    needed = np.zeros(case.slide.shape, bool)
    for one, i, j in windows(case):
        rows, columns = one.grid.rows.sources(i), one.grid.columns.sources(j)
        s = one.scale
        box = [slice(at.min() * s, (at.max() + 1) * s) for at in (rows, columns)]
        needed[tuple(box)] = True
    return needed


def check_reads(slide, counted, needed):
    """Each block belongs to one read at most, and what is needed to one exactly."""
    seen, blocks = np.zeros(slide.shape, int), 0
    for y0, y1, x0, x1 in slide.reads:
        seen[y0:y1, x0:x1] += 1
        for (first, last), block, side in zip(
            ((y0, y1), (x0, x1)), slide.block, slide.shape, strict=True
        ):
            assert first % block == 0
            assert last % block == 0 or last == side
        blocks += -(-(y1 - y0) // slide.block[0]) * -(-(x1 - x0) // slide.block[1])
    assert seen.max() <= 1
    assert (seen[needed] == 1).all()
    assert counted == blocks


@given(cases())
def test_edges_are_those_of_blocks_and_of_model_pixels(case):
    scales = [one.scale for one in case.demands]
    for edges, block, side in zip(
        chunk_edges(case.slide, case.axis, scales), case.slide.block, case.slide.shape, strict=True
    ):
        assert edges[0] == 0
        assert edges[-1] == side
        inner = np.array(edges[1:-1], int)
        assert (np.diff(edges) > 0).all()
        assert not (inner % block).any()
        assert not any((inner % scale).any() for scale in scales)


@pytest.mark.parametrize(
    ("scale", "area"), [(1, 1 << 18), (2, 1 << 20), (4, 1 << 22), (8, 1 << 22)]
)
def test_chunks_hold_as_many_pixels_at_network_resolution(scale, area):
    """And at most 4 Mi image pixels."""
    slide = SimpleNamespace(shape=(40_000, 50_000), block=(512, 512))
    rows, columns = chunk_edges(slide, 0, [scale])
    assert np.diff(rows)[0] * np.diff(columns)[0] == area
    # Cut up further, its pixels would be copied once more.
    assert len(pieces((0, 0), (rows[1], columns[1]), slide.block, scale, 3)) == 1


def test_only_some_strips_read_only_what_they_need():
    slide = ArraySlide(smooth_picture((1000, 64)), block=(8, 64))
    one = demand(slide.shape, 1, strips=range(10, 12))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_feed, "_CHUNK", 1)
        with ThreadPoolExecutor(2) as pool, Feed(slide, 0, [one], pool) as feed:
            for i in (10, 11):
                for j in range(len(one.grid.columns.starts)):
                    fill(feed, one, i, j)
    assert [box[:2] for box in sorted(slide.reads)] == [(y, y + 8) for y in range(240, 296, 8)]


def test_chunks_alive_do_not_grow_with_the_length_of_the_sweep(monkeypatch):
    monkeypatch.setattr(_feed, "_CHUNK", 1)
    monkeypatch.setattr(_feed, "AHEAD", 4 * 16 * 16 * 3)  # four blocks
    most = {}
    for height in (500, 4000):
        slide = ArraySlide(np.zeros((height, 96, 3), np.uint8), block=(16, 16))
        case = Case(slide, 0, [demand(slide.shape, 1)])
        with ThreadPoolExecutor(2) as pool, Feed(slide, 0, case.demands, pool) as feed:
            most[height] = max(len(feed._chunks) for one in windows(case) if len(fill(feed, *one)))
    # A strip of 32 rows lies in 3 rows of blocks at most, each of 6, and 4 blocks are ahead.
    assert most[4000] <= most[500] <= 3 * 6 + 4 + 1


class Reads:
    """Notes the boxes of all reads, and which thread read them."""

    def __init__(self, monkeypatch):
        self.boxes, self.threads, read = [], set(), Slide.read

        def noting(slide, *box_and_scale):
            self.boxes.append(box_and_scale[:4])
            self.threads.add(threading.current_thread().name)
            return read(slide, *box_and_scale)

        monkeypatch.setattr(Slide, "read", noting)


def sweep_down(slide, one, threads=4):
    case = Case(slide, 0, [one])
    with ThreadPoolExecutor(threads) as pool, Feed(slide, 0, case.demands, pool) as feed:
        for each in windows(case):
            fill(feed, *each)
    return feed


def test_a_png_is_read_by_one_thread_from_the_top(tmp_path, monkeypatch):
    pixels = smooth_picture((900, 301))
    reads = Reads(monkeypatch)
    monkeypatch.setattr(_feed, "_CHUNK", 5_000)
    with open_slide(write_image(tmp_path / "a.png", pixels, "PNG")) as slide:
        assert slide.sequential
        sweep_down(slide, demand(slide.shape, 2))
    assert len(reads.boxes) > 10
    assert reads.boxes == sorted(reads.boxes)
    assert {box[2:] for box in reads.boxes} == {(0, 301)}
    assert len(reads.threads) == 1


def test_a_damaged_block_is_told_and_the_threads_end(tmp_path):
    path = write_image(
        tmp_path / "a.tiff", np.random.default_rng(0).integers(0, 255, (900, 900, 3), np.uint8),
        compress="deflate", **TILED,
    )  # fmt: skip
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 9000] = bytes(9000)
    path.write_bytes(data)
    with open_slide(path) as slide, pytest.raises(SlideError, match="a.tiff: cannot read rows"):
        sweep_down(slide, demand(slide.shape, 1, window=64))
    assert not [t for t in threading.enumerate() if t.name.startswith("kagglekit-decode")]


def bytes_read():
    """Return the bytes this process has asked files for so far, whoever cached them."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["rchar"])


LAYOUTS = {
    "tiled LZW": {"compress": "lzw", "tiled": True, "blockxsize": 512, "blockysize": 512},
    "striped deflate": {"compress": "deflate", "blockysize": 64},
}


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="no /proc/self/io")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("axis", [0, 1])
def test_the_file_is_read_once(tmp_path, monkeypatch, layout, axis):
    """Each time it decodes a stored block, libtiff reads the block's bytes again."""
    pixels = smooth_picture((2700, 3300))  # 27 MB, which compress to about half
    pixels ^= np.random.default_rng(0).integers(0, 4, pixels.shape, np.uint8)
    path = write_image(tmp_path / "a.tiff", pixels, **LAYOUTS[layout])
    size = path.stat().st_size
    monkeypatch.setattr(_feed, "_CHUNK", 1 << 18)
    with open_slide(path) as slide:
        case = Case(slide, axis, [demand(slide.shape, 2, window=256, overlap=64, axis=axis)])
        before = bytes_read()
        with ThreadPoolExecutor(2) as pool, Feed(slide, axis, case.demands, pool) as feed:
            for each in windows(case):
                fill(feed, *each)
        read = bytes_read() - before
    assert size > 8_000_000
    # Each thread opens the file and reads its table of blocks; libtiff reads ahead a little.
    assert size <= read + 100_000
    assert read <= 1.02 * size + 200_000
