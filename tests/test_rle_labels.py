"""Label images and polygons."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kagglekit.rle import RLE, from_labels, from_polygons, to_labels

shapes = hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)
labels_ = st.sampled_from(["u1", "i2", "i4", "u2"]).flatmap(
    lambda dtype: hnp.arrays(dtype, shapes, elements=st.integers(-2 * (dtype[0] == "i"), 4))
)


@given(labels_, st.sampled_from(["F", "C"]))
def test_one_mask_per_label(labels, order):
    masks = from_labels(labels, order)
    assert list(masks) == [label for label in np.unique(labels).tolist() if label]
    for label, mask in masks.items():
        assert mask == RLE.from_mask(labels == label)
        assert mask.order == order
    if masks:
        assert np.array_equal(to_labels(masks), labels)


def test_touching_labels_stay_apart():
    labels = np.array([[1, 1, 2], [3, 2, 2]])
    texts = {label: mask.to_text() for label, mask in from_labels(labels).items()}
    assert texts == {1: "1 1 3 1", 2: "4 3", 3: "2 1"}


def inside(x, y, ring):
    """Cast a ray to the right and count the edges it crosses."""
    crossings = 0
    for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
            crossings += 1
    return crossings % 2 == 1


STAR = [(2.2, 1.3), (17.7, 4.1), (9.2, 8.3), (16.4, 15.9), (3.1, 13.2), (6.3, 7.7)]
HOLE = [(5.3, 4.2), (8.1, 4.4), (6.6, 6.1)]


@pytest.mark.parametrize(
    "polygon",
    [
        [STAR, HOLE],
        {"type": "Polygon", "coordinates": [STAR, HOLE]},
        {"type": "MultiPolygon", "coordinates": [[STAR, HOLE]]},
        {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [STAR, HOLE]}},
        [np.array(STAR).tolist(), np.array(HOLE).tolist()],
    ],
    ids=["rings", "geometry", "multi", "feature", "lists"],
)
def test_a_pixel_is_inside_if_its_centre_is(polygon):
    expected = np.zeros((17, 20), bool)
    for y, x in np.ndindex(expected.shape):
        centre = (x + 0.5, y + 0.5)
        expected[y, x] = inside(*centre, STAR) and not inside(*centre, HOLE)
    assert np.array_equal(from_polygons([polygon], (17, 20)).to_mask(), expected)


@given(st.lists(st.tuples(st.integers(0, 16), st.integers(0, 12)), min_size=3, max_size=6))
def test_a_ring_may_be_open_or_closed(ring):
    closed = from_polygons([[[*ring, ring[0]]]], (12, 16))
    assert from_polygons([[ring]], (12, 16)) == closed
    assert from_polygons([[[(0, 0), (10, 0), (0, 10)]]], (12, 12)).area == 55


def test_strips_join_without_a_seam(monkeypatch):
    polygons = [[STAR], [[(x + 12, y + 3) for x, y in STAR]]]
    whole = from_polygons(polygons, (40, 30), "C")
    monkeypatch.setattr("kagglekit.rle._polygons._STRIP", 30 * 3)
    assert from_polygons(polygons, (40, 30), "C") == whole
    assert whole.order == "C"


def test_polygons_are_cut_at_the_border_and_may_be_none():
    square = [[(-5, -5), (2, -5), (2, 2), (-5, 2)]]
    assert from_polygons([square], (4, 4)).to_text() == "1 2 5 2"
    assert from_polygons([], (4, 4)) == RLE.empty((4, 4))
