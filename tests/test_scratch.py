"""kagglekit.scratch: one piece of memory for each thread."""

import threading
import tracemalloc

import numpy as np

from kagglekit import scratch


def test_what_fits_is_the_same_memory_and_more_is_new():
    scratch.give_back()
    large = scratch.take(1000)
    assert (large.shape, large.dtype) == ((1000,), np.uint8)
    assert scratch.take(10).ctypes.data == large.ctypes.data
    assert scratch.take(1000).ctypes.data == large.ctypes.data
    assert not np.shares_memory(scratch.take(1001), large)
    assert scratch.take(0).size == 0


def test_each_thread_has_its_own():
    mine, found = scratch.take(100), []
    thread = threading.Thread(target=lambda: found.append(scratch.take(100)))
    thread.start()
    thread.join()
    assert not np.shares_memory(found[0], mine)


def test_memory_goes_when_it_is_given_back_and_with_its_thread():
    size = 8 << 20
    tracemalloc.start()
    try:
        scratch.take(size)
        assert tracemalloc.get_traced_memory()[0] > size
        scratch.give_back()
        thread = threading.Thread(target=scratch.take, args=(size,))
        thread.start()
        thread.join()
        del thread
        assert tracemalloc.get_traced_memory()[0] < size // 8
    finally:
        tracemalloc.stop()
