from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kagglekit.tiling import Axis, Blend, make_grid, plan_axis, plan_grid, scale_for

blends = st.sampled_from(get_args(Blend))

sides = st.integers(1, 3000)


@st.composite
def grids(draw):
    window = draw(st.integers(20, 700))
    # Steps below 20 pixels make millions of tiles and prove nothing more.
    return (draw(sides), draw(sides)), window, draw(st.integers(0, max(window - 20, 0)))


def spans(tiles, first):
    return sorted({(int(t[first]), int(t[first + 1])) for t in tiles})


@given(grids())
def test_grid_covers_every_pixel_inside_once_with_the_overlap_asked_for(grid):
    shape, window, min_overlap = grid
    tiles = make_grid(shape, window, min_overlap)
    assert len({tuple(t) for t in tiles.tolist()}) == len(tiles)
    for size, along in ((shape[0], spans(tiles, 0)), (shape[1], spans(tiles, 2))):
        assert along[0][0] == 0
        assert along[-1][1] == size
        assert {end - start for start, end in along} == {min(window, size)}
        for (_, end), (start, _) in pairwise(along):
            assert end - start >= min_overlap
    assert len(tiles) == len(spans(tiles, 0)) * len(spans(tiles, 2))


@given(sides, st.integers(2, 700), st.data())
def test_grid_has_no_tile_too_many(size, window, data):
    min_overlap = data.draw(st.integers(0, window // 2))
    count = len(make_grid((size, 1), window, min_overlap))
    fewer = count - 1  # as many as fit with exactly the overlap asked for: do they still cover?
    assert fewer == 0 or fewer * (window - min_overlap) + min_overlap < size


def test_grid_is_sorted_top_to_bottom_then_left_to_right():
    tiles = make_grid((1100, 1100), 1024, 512).tolist()
    assert tiles == sorted(tiles)


# What the tutorials' make_grid does with these is in brackets.
@pytest.mark.parametrize(
    ("shape", "window", "min_overlap", "expected"),
    [
        ((200, 300), 256, 32, [[0, 200, 0, 256], [0, 200, 44, 300]]),  # [rows -56 to 200]
        ((256, 256), 256, 32, [[0, 256, 0, 256]]),  # [the same tile four times]
        ((1024, 1024), 1024, 32, [[0, 1024, 0, 1024]]),  # [four identical tiles]
        ((1100, 1024), 1024, 512, [[0, 1024, 0, 1024], [76, 1100, 0, 1024]]),  # [0, 366, 76]
        ((1, 1), 256, 32, [[0, 1, 0, 1]]),  # [start -255]
    ],
)
def test_grid_where_the_tutorials_fail(shape, window, min_overlap, expected):
    assert make_grid(shape, window, min_overlap).tolist() == expected


def test_severstal_image_needs_no_doubled_tiles():
    assert len(make_grid((256, 1600), 256, 32)) == 7  # the tutorials make 16, 8 of them distinct


def test_hubmap_slide_needs_no_more_tiles_than_its_size_asks_for():
    assert len(make_grid((31278, 25794), 1024, 32)) == 832  # the tutorials make 864


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ((512, 512, 3), 256),
            "shape=(512, 512, 3) must be (height, width), both whole and at least 1 pixel",
        ),
        (((0, 5), 256), "shape=(0, 5) must be (height, width), both whole and at least 1 pixel"),
        (
            ((99.5, 150), 100),
            "shape=(99.5, 150) must be (height, width), both whole and at least 1 pixel",
        ),
        (((5, 5), 0), "window=0 must be at least 1 pixel"),
        (((5, 5), 8, 8), "min_overlap=8 must be in [0, window), window=8"),
        (((5, 5), 8, 9), "min_overlap=9 must be in [0, window), window=8"),
        (((5, 5), 8, -1), "min_overlap=-1 must be in [0, window), window=8"),
        (((5, 5), 8.5), "window=8.5 must be a whole number of pixels"),
        (((5, 5), 8, "4"), "min_overlap='4' must be a whole number of pixels"),
    ],
)
def test_grid_refuses(arguments, message):
    with pytest.raises(ValueError) as raised:
        make_grid(*arguments)
    assert str(raised.value) == message


@st.composite
def axes(draw):
    stride = draw(st.sampled_from([1, 4, 32]))
    window = stride * draw(st.integers(1, 20))
    min_overlap = draw(st.integers(0, window - stride))
    return plan_axis(draw(sides), window, min_overlap, stride), stride, min_overlap


@given(axes())
def test_axis_windows_lie_on_the_stride_and_cover_the_image(planned):
    axis, stride, min_overlap = planned
    assert all(start % stride == 0 for start in axis.starts)
    assert list(axis.starts) == sorted(set(axis.starts))
    assert axis.window % stride == 0
    assert axis.size <= axis.padded < axis.size + stride
    for left, right in pairwise(axis.starts):
        assert left + axis.window - right >= min_overlap


@given(axes(), blends)
def test_blend_weights_sum_to_one_at_every_pixel_exactly(planned, blend):
    axis, _, _ = planned
    weights = axis.weights(blend)
    total = np.zeros(axis.padded, np.float32)
    for start, weight in zip(axis.starts, weights, strict=True):
        total[start : start + axis.window] += weight
    assert weights.dtype == np.float32
    assert weights.min() >= 0
    assert (total == 1).all()


@given(axes())
def test_windows_beyond_the_end_see_the_image_mirrored(planned):
    axis, _, _ = planned
    canvas = np.pad(np.arange(axis.size), (0, axis.padded - axis.size), mode="reflect")
    for i, start in enumerate(axis.starts):
        assert np.array_equal(axis.sources(i), canvas[start : start + axis.window])


def formula(axis, blend):
    """The weights as the docstring words them, pixel by pixel."""
    found = np.zeros((len(axis.starts), axis.window))
    for p in range(axis.padded):
        values = {}
        for i, start in enumerate(axis.starts):
            x = p - start + 0.5
            if not 0 < x < axis.window:
                continue
            if blend == "constant":
                values[i] = 1.0
            elif blend == "hann":
                values[i] = np.sin(np.pi * x / axis.window) ** 2
            elif blend == "gaussian":
                values[i] = np.exp(-((x - axis.window / 2) ** 2) / (2 * (axis.window / 8) ** 2))
            elif blend == "crop":
                values[i] = -abs(x - axis.window / 2)  # the nearest centre takes it all
        if blend == "crop":
            nearest = [i for i, value in values.items() if value == max(values.values())]
            values = {i: float(i in nearest) for i in values}
        for i, value in values.items():
            found[i, p - axis.starts[i]] = value / sum(values.values())
    return found


@pytest.mark.parametrize("blend", ["constant", "hann", "gaussian", "crop"])
def test_blends_are_what_their_names_say(blend):
    axis = plan_axis(200, 64, 32, 4)
    np.testing.assert_allclose(axis.weights(blend), formula(axis, blend), atol=2 / 4096)


def test_a_blend_that_does_not_exist():
    with pytest.raises(ValueError) as raised:
        plan_axis(100, 64, 0).weights("linear")
    assert str(raised.value) == (
        "blend='linear' must be one of 'trapezoid', 'hann', 'gaussian', 'constant', 'crop'"
    )


def test_a_grid_is_every_row_with_every_column():
    grid = plan_grid((1000, 2000), window=512, min_overlap=64)
    assert grid.rows == plan_axis(1000, 512, 64)
    assert grid.columns == plan_axis(2000, 512, 64)
    assert grid.axes == (grid.rows, grid.columns)
    assert len(grid) == 3 * 5


@pytest.mark.parametrize(
    ("um_per_pixel", "model", "scale"),
    [(0.5, 2.0, 4), (0.4, 2.0, 5), (0.65, 2.0, 3), (1.0, 0.5, 1), (0.5, 0.5, 1)],
)
def test_pixel_sizes_become_the_nearest_scale(um_per_pixel, model, scale):
    assert scale_for(um_per_pixel, model) == scale


@pytest.mark.parametrize("sides", [(0, 1), (0.5, -1), (float("nan"), 1)])
def test_pixel_sizes_that_are_none(sides):
    with pytest.raises(ValueError) as raised:
        scale_for(*sides)
    assert str(raised.value) == (
        f"pixel sides of {sides[0]} and {sides[1]} µm: both must be above 0"
    )


def test_blend_weights_ignore_the_rim_that_a_neighbour_also_sees():
    first, second = Axis(896, 512, (0, 384)).weights()  # 128 shared, so 32 dead on each side
    assert (first[-32:] == 0).all()
    assert (second[:32] == 0).all()
    assert (first[:384] == 1).all()  # towards the image's border nothing fades
    assert (second[128:] == 1).all()


def test_axis_refuses_windows_off_the_stride():
    with pytest.raises(
        ValueError, match="^window=500 must be a multiple of the network's stride, 32$"
    ):
        plan_axis(1000, 500, 64)


@pytest.mark.parametrize(("size", "stride"), [(0, 32), (100, 0), (-5, 32)])
def test_axis_refuses_what_has_no_pixels(size, stride):
    with pytest.raises(ValueError) as raised:
        plan_axis(size, 64, 32, stride)
    assert str(raised.value) == f"size={size} and stride={stride} must be at least 1 pixel"


def test_axis_refuses_an_overlap_that_leaves_no_step():
    with pytest.raises(ValueError) as raised:
        plan_axis(1000, 512, 490)
    assert str(raised.value) == (
        "min_overlap=490 leaves no room to move a window of 512 by the network's stride, 32; "
        "give at most 480"
    )
