import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from kagglekit.scaling import Upsampler, shrink


@given(st.integers(1, 17), st.integers(1, 17), st.integers(1, 5), st.sampled_from([1, 3, 4]))
def test_shrink_averages_cells_and_repeats_the_edge(height, width, scale, channels):
    pixels = np.random.default_rng(height * 31 + width).random(
        (height, width, channels), np.float32
    )
    small = shrink(pixels, scale)
    for y in range(-(-height // scale)):
        for x in range(-(-width // scale)):
            rows = np.minimum(np.arange(y * scale, (y + 1) * scale), height - 1)
            columns = np.minimum(np.arange(x * scale, (x + 1) * scale), width - 1)
            cell = pixels[np.ix_(rows, columns)].mean((0, 1))
            np.testing.assert_allclose(small[y, x], cell, atol=1e-6)
    assert small.shape == (-(-height // scale), -(-width // scale), channels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_shrink_keeps_the_dtype_and_rounds(dtype):
    assert shrink(np.array([[[1], [2]], [[2], [2]]], dtype), 2).tolist() == [[[2]]]


@given(st.integers(1, 200), st.integers(1, 40), st.integers(1, 5), st.integers(1, 3), st.data())
def test_upsampled_stream_equals_torch_on_the_whole_map(height, width, scale, planes, data):
    full = (
        height * scale - data.draw(st.integers(0, scale - 1)),
        width * scale - data.draw(st.integers(0, scale - 1)),
    )
    prob = np.random.default_rng(height).random((planes, height, width), np.float32)
    upsampler, blocks, first = Upsampler((height, width), full, scale), [], 0
    while first < height:
        n = data.draw(st.integers(1, height - first))
        blocks += upsampler.push(prob[:, first : first + n])
        first += n
    whole = F.interpolate(
        torch.from_numpy(prob)[None], scale_factor=scale, mode="bilinear", align_corners=False
    )[0].numpy()
    got = np.concatenate(blocks, axis=1)
    assert got.shape == (planes, *full)
    np.testing.assert_allclose(got, whole[:, : full[0], : full[1]], atol=1e-5)


@given(st.integers(2, 150), st.integers(2, 4))
def test_how_the_rows_arrive_changes_nothing(height, scale):
    prob = np.random.default_rng(1).random((1, height, 9), np.float32)
    at_once = np.concatenate(
        [*Upsampler((height, 9), (height * scale, 9 * scale), scale).push(prob)], axis=1
    )
    upsampler = Upsampler((height, 9), (height * scale, 9 * scale), scale)
    by_row = np.concatenate(
        [block for y in range(height) for block in upsampler.push(prob[:, y : y + 1])], axis=1
    )
    assert np.array_equal(at_once, by_row)
