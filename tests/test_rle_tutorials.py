"""Where the tutorials' functions went wrong without an error, this library does not."""

import numpy as np
import pytest

from kagglekit.rle import RLE, RLEBuilder, RLEError


@pytest.mark.parametrize("missing", [float("nan"), np.float64("nan"), np.float32("nan"), None, ""])
def test_a_missing_cell_is_an_empty_mask(missing):
    assert RLE.from_text(missing, (5, 5)) == RLE.empty((5, 5))


def test_pandas_na_is_an_empty_mask():
    pandas = pytest.importorskip("pandas")
    assert RLE.from_text(pandas.NA, (5, 5)) == RLE.empty((5, 5))


@pytest.mark.parametrize(
    "text",
    [
        "1 3 10",  # was read as `1 3 10 3`
        "0 3",  # painted nothing
        "-3 2",  # painted from the end
        "24 5",  # was cut to two pixels
        "1 5 3 5",  # painted seven pixels of ten
        "-1",  # was empty by luck
        "-",  # np.fromstring reads a zero
        "99999999999999999999 1",  # np.fromstring saturates
    ],
)
def test_what_was_read_silently_is_refused(text):
    with pytest.raises(RLEError, match="run"):
        RLE.from_text(text, (5, 5))


def test_the_shape_is_height_and_width():
    assert RLE.from_text("1 3", shape=(3, 5)).to_mask()[:, 0].tolist() == [1, 1, 1]
    assert RLE.from_text("1 3", shape=(3, 5)).to_mask().shape == (3, 5)


def test_the_first_pixel_is_number_one_in_both_directions():
    text = "1 3 257 2 409600 1"
    mask = RLE.from_text(text, (256, 1600)).to_mask()
    assert np.argwhere(mask).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1], [2, 0], [255, 1599]]
    assert RLE.from_mask(mask).to_text() == text


def test_a_decoded_mask_is_not_a_view_in_the_wrong_order():
    assert RLE.from_text("1 3", (5, 5)).to_mask().flags.c_contiguous


@pytest.mark.parametrize("labels", [[[0, 1, 2, 0]], [[1, 2, 2, 1]], [[1, 1], [2, 2]], [[3, 1]]])
@pytest.mark.parametrize("order", ["F", "C"])
def test_a_label_image_is_not_taken_for_a_mask(labels, order):
    with pytest.raises(RLEError, match="two different non-zero values"):
        RLE.from_mask(np.array(labels), order)


def test_a_label_that_only_shows_in_the_first_row_is_seen():
    with pytest.raises(RLEError, match="values, 1 and 2"):
        RLE.from_mask(np.array([[1, 2], [1, 2]], np.uint8))


def test_255_is_foreground():
    corners = np.zeros((3, 3), np.uint8)
    corners[::2, ::2] = 255
    assert RLE.from_mask(corners).to_text() == "1 1 3 1 7 1 9 1"
    assert RLE.from_mask(np.full((2, 2), 255, np.uint8)).to_text() == "1 4"


def test_the_first_and_the_last_pixel_are_kept():
    assert RLE.from_mask(np.ones((3, 3), np.uint8)).to_text() == "1 9"


def test_a_run_goes_on_in_the_next_column():
    mask = np.array([[0, 1], [1, 0]], bool)
    assert RLE.from_mask(mask).to_text() == "2 2"


def test_the_mask_is_not_changed():
    mask = np.full((3, 3), 255, np.uint8)
    RLE.from_mask(mask)
    builder = RLEBuilder((3, 3))
    builder.push(mask)
    builder.finish()
    assert (mask == 255).all()
