"""RLE and RLEBuilder against dense masks and a slow walk over the pixels."""

import copy
import itertools
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kagglekit import rle as rle_module
from kagglekit.rle import RLE, RLEBuilder, _text

masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))
orders = st.sampled_from(["F", "C"])


def text_by_definition(mask, order="F"):
    """Walk the pixels one by one, as the competitions' pages describe it."""
    height, width = mask.shape
    if order == "F":
        pixels = [mask[y, x] for x in range(width) for y in range(height)]
    else:
        pixels = [mask[y, x] for y in range(height) for x in range(width)]
    words, length = [], 0
    for position, pixel in enumerate([*pixels, 0], start=1):
        if pixel:
            length += 1
        elif length:
            words += [str(position - length), str(length)]
            length = 0
    return " ".join(words)


def assert_is(rle, mask, order):
    """The RLE has exactly the runs of this mask."""
    assert rle.shape == mask.shape
    assert rle.order == order
    assert rle.starts.dtype == rle.lengths.dtype == np.int64
    assert rle.to_text() == text_by_definition(mask, order)


@given(masks, orders)
def test_text_is_what_a_walk_over_the_pixels_says(mask, order):
    assert_is(RLE.from_mask(mask, order), mask, order)


@given(masks, orders)
def test_text_and_mask_come_back(mask, order):
    rle = RLE.from_text(text_by_definition(mask, order), mask.shape, order)
    back = rle.to_mask()
    assert np.array_equal(back, mask)
    assert back.dtype == np.uint8
    assert back.flags.c_contiguous
    assert rle == RLE.from_mask(mask, order)


numbers = st.integers(1, 6) | st.integers(0, 34).map(lambda bits: 1 << bits)


@given(st.lists(st.tuples(numbers, numbers), max_size=30), st.sampled_from([0, 1]), st.data())
def test_numbers_of_any_length_are_written_as_python_writes_them(runs, base, data):
    ends = np.cumsum(np.array([part for run in runs for part in run], np.int64))
    starts, stops = ends[0::2], ends[1::2]
    expected = " ".join(f"{a + base} {b - a}" for a, b in zip(starts, stops, strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_text, "_FEW", data.draw(st.integers(0, 30)))
        patch.setattr(_text, "_PIECE", data.draw(st.integers(1, 40)))
        assert _text.write(starts, stops - starts, base) == expected


@pytest.mark.parametrize("order", ["F", "C"])
@pytest.mark.parametrize("shape", [(3, 700), (700, 3), (5, 1 << 19), (1000, 1000), (1, 1), (1, 9)])
def test_sizes_beyond_one_block_come_back(shape, order):
    mask = np.random.default_rng(1).random(shape) < 0.3
    rle = RLE.from_mask(mask, order)
    assert np.array_equal(rle.to_mask(), mask)
    assert rle.area == mask.sum()


@pytest.mark.parametrize("order", ["F", "C"])
@pytest.mark.parametrize("fill", [0, 1])
def test_empty_and_full(order, fill):
    mask = np.full((4, 3), fill, bool)
    rle = RLE.from_mask(mask, order)
    assert rle.to_text() == ("1 12" if fill else "")
    assert len(rle) == fill
    assert rle.bbox == ((0, 4, 0, 3) if fill else None)
    assert rle.centroid == ((1.5, 1.0) if fill else None)
    assert np.array_equal(rle.to_mask(), mask)


@pytest.mark.parametrize("dtype", [bool, "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"])
@pytest.mark.parametrize("order", ["F", "C"])
def test_every_integer_dtype_and_value_is_foreground(dtype, order):
    mask = np.random.default_rng(2).random((6, 7)) < 0.5
    most = 1 if dtype is bool else np.iinfo(dtype).max
    for value in {1, most, 0 if dtype is bool else np.iinfo(dtype).min} - {0}:
        filled = mask.astype(dtype) * np.array(value, dtype)
        assert_is(RLE.from_mask(filled, order), mask, order)


STRIDES = {
    "every other pixel": lambda big: big[::2, ::3],
    "upside down": lambda big: big[::-1],
    "mirrored": lambda big: big[:, ::-1],
    "transposed": lambda big: big.T,
    "one channel": lambda big: np.stack([big, ~big], axis=-1)[..., 0],
    "columns of a wider one": lambda big: big[:, 3:9],
    "one row repeated": lambda big: np.broadcast_to(big[4], (5, big.shape[1])),
    "read-only": lambda big: np.frombuffer(big.tobytes(), bool).reshape(big.shape),
}


@pytest.mark.parametrize("order", ["F", "C"])
@pytest.mark.parametrize("take", STRIDES.values(), ids=STRIDES.keys())
def test_any_strides(take, order):
    view = take(np.random.default_rng(3).random((13, 11)) < 0.5)
    assert_is(RLE.from_mask(view, order), view, order)


@given(masks, orders, st.lists(st.floats(0, 1), max_size=4))
def test_builder_equals_the_whole_mask(mask, order, cuts):
    builder = RLEBuilder(mask.shape, order)
    rows = sorted(round(cut * len(mask)) for cut in cuts)
    for top, bottom in itertools.pairwise([0, *rows, len(mask)]):
        strip = mask[top:bottom].copy()
        builder.push(strip)
        strip[:] = True  # the builder keeps no reference to the caller's array
    assert_is(builder.finish(), mask, order)


@given(masks, orders, st.data())
def test_window_and_crop_are_slices(mask, order, data):
    height, width = mask.shape
    y0 = data.draw(st.integers(0, height - 1))
    x0 = data.draw(st.integers(0, width - 1))
    y1 = data.draw(st.integers(y0 + 1, height))
    x1 = data.draw(st.integers(x0 + 1, width))
    rle = RLE.from_mask(mask, order)
    window = rle.window(y0, y1, x0, x1)
    assert np.array_equal(window, mask[y0:y1, x0:x1])
    assert np.array_equal(rle.to_mask(window=(y0, y1, x0, x1)), window)
    assert window.dtype == np.uint8
    assert window.flags.c_contiguous
    assert_is(rle.crop(y0, y1, x0, x1), mask[y0:y1, x0:x1], order)


@given(masks, orders, orders, st.data())
def test_set_operations_are_those_of_numpy(a, order, other_order, data):
    b = data.draw(hnp.arrays(bool, a.shape))
    left, right = RLE.from_mask(a, order), RLE.from_mask(b, other_order)
    assert_is(left | right, a | b, order)
    assert_is(left & right, a & b, order)
    assert_is(left - right, a & ~b, order)
    assert_is(left ^ right, a ^ b, order)
    assert_is(~left, ~a, order)


@given(masks, orders, orders, st.data())
def test_dice_and_iou_are_counts_of_pixels(a, order, other_order, data):
    b = data.draw(hnp.arrays(bool, a.shape))
    left, right = RLE.from_mask(a, order), RLE.from_mask(b, other_order)
    shared, total = (a & b).sum(), a.sum() + b.sum()
    assert left.dice(right, empty=0.25) == (2 * shared / total if total else 0.25)
    assert left.iou(right, empty=0.25) == (shared / (total - shared) if total else 0.25)
    assert RLE.empty((2, 2)).dice(RLE.empty((2, 2))) == 1.0
    assert RLE.empty((2, 2)).iou(RLE.empty((2, 2))) == 1.0


@given(masks, orders)
def test_measures_are_those_of_the_pixels(mask, order):
    rle = RLE.from_mask(mask, order)
    y, x = np.nonzero(mask)
    assert rle.area == len(y)
    if len(y):
        assert rle.bbox == (y.min(), y.max() + 1, x.min(), x.max() + 1)
        assert rle.centroid == pytest.approx((y.mean(), x.mean()))


@given(masks, orders)
def test_turning_is_that_of_numpy(mask, order):
    rle = RLE.from_mask(mask, order)
    assert_is(rle.flip(0), mask[::-1], order)
    assert_is(rle.flip(1), mask[:, ::-1], order)
    assert_is(rle.transpose(), mask.T, order)
    for times in range(-1, 5):
        assert_is(rle.rot90(times), np.rot90(mask, times), order)
    assert_is(rle.reorder("F"), mask, "F")
    assert_is(rle.reorder("C"), mask, "C")


@given(masks, orders, st.tuples(*[st.integers(0, 3)] * 4))
def test_pad_is_that_of_numpy(mask, order, sides):
    top, bottom, left, right = sides
    padded = np.pad(mask, ((top, bottom), (left, right)))
    assert_is(RLE.from_mask(mask, order).pad(*sides), padded, order)


@given(masks, orders, orders, st.data())
def test_paste_replaces_a_window(mask, order, patch_order, data):
    height, width = (data.draw(st.integers(1, side)) for side in mask.shape)
    y0 = data.draw(st.integers(0, mask.shape[0] - height))
    x0 = data.draw(st.integers(0, mask.shape[1] - width))
    patch = data.draw(hnp.arrays(bool, (height, width)))
    expected = mask.copy()
    expected[y0 : y0 + height, x0 : x0 + width] = patch
    pasted = RLE.from_mask(mask, order).paste(RLE.from_mask(patch, patch_order), y0, x0)
    assert_is(pasted, expected, order)


@given(masks, orders, st.integers(1, 4), st.integers(1, 4))
def test_resize_repeats_pixels_and_takes_the_first_of_each_block(mask, order, up, down):
    rle = RLE.from_mask(mask, order)
    large = np.repeat(np.repeat(mask, up, axis=0), down, axis=1)
    assert_is(rle.resize(large.shape), large, order)
    block = np.kron(mask, np.ones((up, down), bool))
    block[1::up] ^= up > 1  # all but the first row and column of a block are noise
    block[:, 1::down] ^= down > 1
    assert_is(RLE.from_mask(block, order).resize(mask.shape), block[::up, ::down], order)


def test_resize_goes_both_ways_at_once():
    mask = np.random.default_rng(4).random((6, 5)) < 0.5
    expected = np.repeat(mask[::3], 2, axis=1)
    for order in "FC":
        assert_is(RLE.from_mask(mask, order).resize((2, 10)), expected, order)


def test_a_builder_can_be_used_again():
    builder = RLEBuilder((2, 3), "C")
    for value in (0, 1, 255):
        builder.push(np.full((2, 3), value, np.uint8))
        assert builder.finish().area == 6 * (value > 0)


def test_equal_means_the_same_pixels_in_either_order():
    mask = np.array([[1, 1, 0], [0, 1, 0]], bool)
    rle = RLE.from_mask(mask)
    assert rle == RLE.from_mask(mask, "C")
    assert hash(rle) == hash(RLE.from_mask(mask, "C"))
    moved = rle.pad(1, 0, 0, 0), rle.pad(0, 1, 0, 0)
    assert hash(moved[0]) != hash(moved[1])
    assert rle != RLE.from_mask(mask.T)
    assert rle != RLE.from_mask(~mask)
    assert rle != RLE.from_mask(mask[:, ::-1])
    assert rle != rle.to_text()


def test_immutable():
    rle = RLE.from_text("1 2", shape=(3, 3))
    with pytest.raises(AttributeError):
        rle.shape = (9, 1)
    with pytest.raises(ValueError, match="read-only"):
        rle.starts[0] = 5
    with pytest.raises(ValueError, match="read-only"):
        rle.lengths[0] = 5


def test_the_constructor_copies_and_joins_touching_runs():
    starts = np.array([0, 2, 6])
    rle = RLE(starts, [2, 1, 1], (3, 3))
    starts[0] = 1
    assert rle.to_text() == "1 3 7 1"
    assert RLE([], [], [np.int64(3), 3]) == RLE.empty((3, 3))


def test_copies_and_pickles_are_equal():
    rle = RLE.from_text("1 2 5 3", shape=(3, 3), order="C")
    assert pickle.loads(pickle.dumps(rle)) == rle  # noqa: S301
    assert copy.deepcopy(rle) == rle


def test_repr_says_what_it_is_without_the_runs():
    rle = RLE.from_text("1 2 5 3", shape=(3, 3), order="C")
    assert repr(rle) == "RLE(2 runs, area 5, shape (3, 3), order 'C')"


@pytest.mark.parametrize("order", ["F", "C"])
def test_masks_beyond_the_reach_of_32_bits(order):
    shape = (70_000, 80_000)  # 5.6 billion pixels
    whole = RLE([0], [shape[0] * shape[1]], shape, order)
    assert whole.area == 5_600_000_000
    assert whole.to_text() == "1 5600000000"
    spot = RLE.empty(shape, order).paste(RLE.from_text("1 6", (2, 3), order), 69_998, 79_997)
    corner = [[0, 0, 0, 0], [0, 1, 1, 1], [0, 1, 1, 1]]
    assert spot.window(69_997, 70_000, 79_996, 80_000).tolist() == corner
    assert RLE.from_text(spot.to_text(), shape, order) == spot
    assert spot.reorder("F") == spot.reorder("C")
    assert (whole - spot).area == 5_600_000_000 - 6
    assert (~spot).dice(whole) == 2 * (5_600_000_000 - 6) / (2 * 5_600_000_000 - 6)
    assert spot.bbox == (69_998, 70_000, 79_997, 80_000)


def test_neither_import_nor_a_first_call_loads_numba_or_opencv():
    script = (
        "import sys, numpy; import kagglekit.rle, kagglekit.regions\n"
        "rle = kagglekit.rle.RLE.from_mask(numpy.eye(5, dtype=bool))\n"
        "rle = kagglekit.rle.RLE.from_text(rle.to_text(), (5, 5)); rle.to_mask(); rle.dice(rle)\n"
        "kagglekit.regions.drop_small(rle, 2)\n"
        "print(sorted({'numba', 'cv2', 'rasterio', 'pandas', 'scipy', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_every_public_name_is_there():
    for name in rle_module.__all__:
        assert getattr(rle_module, name).__doc__
    with pytest.raises(AttributeError, match="has no attribute 'encode'"):
        rle_module.encode  # noqa: B018
