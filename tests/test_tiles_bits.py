"""Masks packed eight pixels to a byte, read back in windows."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kagglekit.rle import RLE
from kagglekit.tiles import _bits
from kagglekit.tiles._bits import Bits, write_bits


@given(st.data())
def test_windows_are_those_of_the_masks(tmp_path_factory, data):
    height, width = data.draw(st.tuples(st.integers(1, 30), st.integers(1, 30)))
    planes = data.draw(st.integers(1, 3))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    masks = rng.integers(0, 2, (planes, height, width), np.uint8)
    path = tmp_path_factory.mktemp("bits") / "a.masks.npy"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_bits, "_STRIP_PIXELS", data.draw(st.integers(1, 200)))
        write_bits([RLE.from_mask(mask) for mask in masks], (height, width), path)
    y0, x0 = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    y1, x1 = data.draw(st.integers(y0 + 1, height)), data.draw(st.integers(x0 + 1, width))
    bits = Bits(path)
    for reader in (bits, pickle.loads(pickle.dumps(bits))):  # noqa: S301 - its own
        found = reader.read(y0, y1, x0, x1)
        assert found.dtype == np.uint8
        assert np.array_equal(found, masks[:, y0:y1, x0:x1])
    assert [file.name for file in path.parent.iterdir()] == ["a.masks.npy"]


def test_what_is_pickled_is_the_path_alone(tmp_path):
    write_bits([RLE.empty((2000, 2000))], (2000, 2000), tmp_path / "a.masks.npy")
    bits = Bits(tmp_path / "a.masks.npy")
    bits.read(0, 1, 0, 1)
    assert len(pickle.dumps(bits)) < 1000
