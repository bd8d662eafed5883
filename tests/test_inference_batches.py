import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from kagglekit.inference._batches import Batches, ahead
from kagglekit.inference._feed import Demand, Feed
from kagglekit.inference._network import Network
from kagglekit.inference._track import Track
from kagglekit.models import Model, Recipe
from kagglekit.tiling import plan_grid
from kagglekit.tta import views
from tests.array_slide import ArraySlide

CPU = torch.device("cpu")


def workers():
    return [thread for thread in threading.enumerate() if thread.name == "kagglekit-batches"]


def test_ahead_keeps_the_order():
    assert list(ahead(iter(range(100)), 3)) == list(range(100))
    assert list(ahead(iter(()), 3)) == []
    assert not workers()


def test_ahead_passes_on_none_and_tuples():
    items = [None, (1, None), (object(), None), ()]
    assert list(ahead(iter(items), 1)) == items


def test_ahead_works_ahead_and_no_further():
    made, reached = [], threading.Event()

    def items():
        for k in itertools.count():
            made.append(k)
            if k == 3:
                reached.set()
            yield k

    found = ahead(items(), 2)
    assert next(found) == 0
    # One was taken, two wait in the queue, and the next is ready to be put there.
    assert reached.wait(10)
    assert made == [0, 1, 2, 3]
    found.close()
    assert not workers()


def test_ahead_raises_what_the_items_raise_after_those_before():
    def items():
        yield 1
        raise KeyError("two")

    found = ahead(items(), 2)
    assert next(found) == 1
    with pytest.raises(KeyError, match="two"):
        next(found)
    assert not workers()


@pytest.mark.parametrize("taken", [1, 2, 5])
def test_ahead_ends_its_thread_when_the_caller_stops(taken):
    found = ahead(itertools.count(), 2)
    assert list(itertools.islice(found, taken)) == list(range(taken))
    found.close()
    assert not workers()


def track(shape, scale, strips=None, axis=0):
    model = Model(torch.nn.Conv2d(3, 1, 1), Recipe(scale=scale, window=32, stride=8)).eval()
    grid = plan_grid(tuple(-(-side // scale) for side in shape), 32, 0, stride=8)
    along = grid.axes[axis]
    strips = strips or range(len(along.starts))
    network = Network([model], [1.0], views("none"), "prob", True, 4, False)
    return Track(scale, grid, axis, strips, range(along.size), network, "crop", CPU)


def batches_of(slide, tracks, batch_size, skip=False, look=lambda batch: None, device=CPU):
    """Return the batches, after looking at each while its images are there."""
    demands = [Demand(one.scale, one.grid, one.strips) for one in tracks]
    found = []
    with ThreadPoolExecutor(1) as pool, Feed(slide, tracks[0].axis, demands, pool) as feed:
        for batch in Batches(feed, tracks, batch_size, skip, device):
            look(batch)
            found.append(batch)
    return found


def test_images_are_brought_to_a_device_without_streams():
    slide = ArraySlide(np.zeros((32, 96, 3), np.uint8))
    nowhere = torch.device("meta")
    found = batches_of(slide, [track((32, 96), 1)], 2, device=nowhere)
    assert [batch.images.device for batch in found] == [nowhere] * 2


def glass(height, width):
    return np.full((height, width, 3), 245, np.uint8)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(
    ("batch_size", "sizes"), [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (8, [5])]
)
def test_a_strip_comes_in_batches_the_last_one_smaller(axis, batch_size, sizes):
    rng = np.random.default_rng(0)
    shape = [160, 160]
    shape[axis] = 96  # three strips of five windows
    slide = ArraySlide(rng.integers(0, 255, (*shape, 3), np.uint8), block=(32, 32))

    def look(batch):
        for j, image in zip(batch.windows, batch.images, strict=True):
            y, x = (batch.strip, j) if axis == 0 else (j, batch.strip)
            wanted = slide.pixels[y * 32 : y * 32 + 32, x * 32 : x * 32 + 32].transpose(2, 0, 1)
            assert np.array_equal(image.numpy(), wanted)

    found = batches_of(slide, [track(shape, 1, axis=axis)], batch_size, look=look)
    assert [len(batch.windows) for batch in found] == sizes * 3
    assert [batch.last for batch in found] == ([False] * (len(sizes) - 1) + [True]) * 3
    assert [batch.strip for batch in found] == [k for k in range(3) for _ in sizes]
    assert {batch.skipped for batch in found} == {0}
    for strip in range(3):
        windows = [j for batch in found if batch.strip == strip for j in batch.windows]
        assert windows == [0, 1, 2, 3, 4]


def test_background_is_left_out_and_counted():
    pixels = glass(64, 160)
    pixels[10:20, 40:50] = 90  # in window 1 of strip 0
    pixels[10:20, 130:140] = 90  # in window 4
    found = batches_of(ArraySlide(pixels), [track((64, 160), 1)], 2, skip=True)
    told = [(batch.strip, batch.windows, batch.skipped, batch.last) for batch in found]
    assert told == [(0, [1, 4], 3, True), (1, [], 5, True)]
    assert found[0].images is not None
    assert found[1].images is None


def test_two_tracks_come_in_the_order_of_the_sweep():
    shape = (256, 64)
    tracks = [track(shape, 1), track(shape, 2, strips=range(1, 4))]
    found = batches_of(ArraySlide(np.zeros((*shape, 3), np.uint8)), tracks, 8)
    first_row = [batch.strip * 32 * tracks[batch.track].scale for batch in found]
    assert first_row == [0, 32, 64, 64, 96, 128, 128, 160, 192, 192, 224]
    assert [batch.track for batch in found] == [0, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0]


def test_sixteen_bits_stay_sixteen_bits():
    pixels = np.full((32, 32, 3), 40_000, np.uint16)

    def look(batch):
        assert batch.images.dtype == torch.uint16
        assert batch.images.float().unique().tolist() == [40_000]

    assert len(batches_of(ArraySlide(pixels), [track((32, 32), 1)], 1, look=look)) == 1
