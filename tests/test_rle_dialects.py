"""Every competition's way of writing a mask, and what `lenient` repairs."""

import base64
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kagglekit.errors import RLEError
from kagglekit.rle import RLE, Dialect

masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))

DIALECTS = [
    Dialect(),
    Dialect(order="C"),
    Dialect(base=0),
    Dialect(order="C", base=0, empty="-"),
    Dialect(form="gaps", empty="-1"),
    Dialect(form="gaps", order="C"),
    Dialect(form="counts"),
    Dialect(form="coco"),
    Dialect(form="open-images"),
]


@pytest.mark.parametrize("dialect", DIALECTS, ids=repr)
@given(mask=masks, order=st.sampled_from(["F", "C"]))
def test_what_is_written_is_read_again(dialect, mask, order):
    rle = RLE.from_mask(mask, order)
    back = dialect.read(dialect.write(rle), mask.shape)
    assert back.order == dialect.order
    assert np.array_equal(back.to_mask(), mask)


L_SHAPE = RLE.from_mask(np.array([[1, 0, 0], [1, 1, 0]], bool))


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        (Dialect(), "1 2 4 1"),
        (Dialect(order="C"), "1 1 4 2"),
        (Dialect(base=0), "0 2 3 1"),
        (Dialect(form="gaps"), "0 2 1 1"),
        (Dialect(form="gaps", order="C"), "0 1 2 2"),
        (Dialect(form="counts"), "0 2 1 1 2"),
        (Dialect(form="coco"), "021O1"),
    ],
    ids=repr,
)
def test_one_mask_in_every_form(dialect, text):
    assert dialect.write(L_SHAPE) == text
    assert dialect.read(text, (2, 3)) == L_SHAPE


def test_open_images_is_zlib_and_base64_over_cocos():
    text = Dialect(form="open-images").write(L_SHAPE)
    assert zlib.decompress(base64.b64decode(text)) == b"021O1"


def circle():
    y, x = np.mgrid[:200, :300]
    return (y - 90) ** 2 + (x - 150) ** 2 < 4000


# What pycocotools 2.0.11 writes for the same masks.
COCO = {
    "321O0020N12O": lambda: np.random.default_rng(0).random((4, 5)) < 0.5,
    "3120321": lambda: np.random.default_rng(1).random((7, 3)) < 0.3,
    "01": lambda: np.ones((1, 1), bool),
    "9": lambda: np.zeros((3, 3), bool),
    "0i0": lambda: np.ones((5, 5), bool),
    (
        "k01U10N0h00eN0Q20UN0f00lN0k30`L0B0?0U50bK0d10lM0D0R10WO0\\O0f00c00dN0g00c10_20bK0`00S10;0hM0"
        "d51cJO60N0I0`30]N0XN0b10aN0\\10_N0i40PK0f20YO0dN"
    ): lambda: np.random.default_rng(2).random((40, 60)) < 0.02,
}


@pytest.mark.parametrize(("text", "make"), COCO.items(), ids=str)
def test_compressed_counts_are_those_of_pycocotools(text, make):
    mask = make()
    dialect = Dialect(form="coco", empty=text if not mask.any() else "")
    assert dialect.write(RLE.from_mask(mask)) == text
    assert np.array_equal(Dialect(form="coco").read(text, mask.shape).to_mask(), mask)


def test_large_compressed_counts_begin_like_pycocotools():
    text = Dialect(form="coco").write(RLE.from_mask(circle()))
    assert text.startswith("]Ra0;f5>E8I6J6J6K4L4L4M2M4M2M4M2N2M4M2N2N2N2N2N2N2O0O2N2N2O0O2N2O0O2")


@given(masks)
def test_counts_are_lengths_of_equal_pixels_down_the_columns(mask):
    counts, pixel = [0], False
    for value in mask.T.ravel():
        if value != pixel:
            counts.append(0)
            pixel = value
        counts[-1] += 1
    if mask.any():
        expected = " ".join(map(str, counts))
        assert Dialect(form="counts").write(RLE.from_mask(mask)) == expected


def test_counts_without_pixels_are_allowed_in_the_middle():
    rle = Dialect(form="counts").read("0 2 0 1 1 0 2", (2, 3))
    assert rle.to_text() == "1 3"


@pytest.mark.parametrize("sign", ["", "-", "-1", "1 0", "1 1", "authentic"])
def test_the_sign_for_an_empty_mask(sign):
    dialect = Dialect(order="C", empty=sign)
    assert dialect.write(RLE.empty((5, 5))) == sign
    for text in (sign, "", "  ", f" {sign} ", None, float("nan")):
        assert dialect.read(text, (5, 5)) == RLE.empty((5, 5))


def test_one_one_is_a_pixel_where_it_is_no_sign():
    assert Dialect().read("1 1", (5, 5)).area == 1


def test_line_ends_and_tabs_are_blanks():
    assert Dialect().read(" 1\t3\n10  5\r\n", (5, 5)).to_text() == "1 3 10 5"


REPAIRS = {
    "1 3 10": ("1 3", ["run 2 (`10`): dropped, it has no length"]),
    "-1 4 9 2": ("1 2 9 2", ["run 1 (`-1 4`): cut to pixels 1 to 25"]),
    "24 5": ("24 2", ["run 1 (`24 5`): cut to pixels 1 to 25"]),
    "3 0 30 2 5 1": (
        "5 1",
        [
            "run 1 (`3 0`): dropped, no pixel of it lies in the mask",
            "run 2 (`30 2`): dropped, no pixel of it lies in the mask",
        ],
    ),
    "9 2 1 2": ("1 2 9 2", ["runs were not sorted by start: sorted"]),
    "1 5 3 5 4 1": ("1 7", ["2 runs overlapped an earlier one: joined"]),
}


@pytest.mark.parametrize("text", REPAIRS, ids=repr)
def test_lenient_repairs_and_says_what(text):
    repaired, said = REPAIRS[text]
    with pytest.warns(UserWarning, match="repaired") as caught:
        rle = Dialect().read(text, (5, 5), lenient=True)
    assert rle.to_text() == repaired
    lines = ["RLE text for shape (5, 5), order 'F': repaired", *(f"  - {line}" for line in said)]
    assert [str(warning.message) for warning in caught] == ["\n".join(lines)]


@given(masks)
def test_lenient_leaves_what_is_right_alone(mask):
    rle = RLE.from_mask(mask)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Dialect().read(rle.to_text(), mask.shape, lenient=True) == rle


def test_lenient_does_not_guess_what_junk_means():
    with pytest.raises(ValueError, match="`x` is not an integer"):
        Dialect().read("1 x", (5, 5), lenient=True)


def test_numbers_of_thousands_of_digits_are_refused_like_others():
    with pytest.raises(RLEError, match="counts are whole numbers from 0 to 4"):
        Dialect("counts").read("9" * 5000, (2, 2))


def test_an_order_that_is_none():
    with pytest.raises(RLEError, match="^order is 'X': it is 'F' or 'C'$"):
        Dialect(order="X")
