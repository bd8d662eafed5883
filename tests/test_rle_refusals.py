"""What is refused, and what the message says: every case of bad input a test of its own."""

import numpy as np
import pytest

from kagglekit.rle import RLE, Dialect, RLEBuilder, RLEError, detect, from_labels, from_polygons
from kagglekit.rle import to_labels as paint_labels

PAIRS = "hint: runs are pairs `start length`, 1-based, sorted by start, without overlap"
HEAD = "RLE text for shape (5, 5), order 'F': "


def one(problem, hint=PAIRS):
    return f"{HEAD}1 of 1 run is wrong\n  - run 1 {problem}\n{hint}"


def sign(text):
    return f"hint: if this is the competition's sign for an empty mask: Dialect(empty='{text}')"


TEXTS = {
    "5": one("(`5`): has no length; the count of numbers, 1, is odd"),
    "1 3 10": f"{HEAD}1 of 2 runs are wrong\n"
    f"  - run 2 (`10`): has no length; the count of numbers, 3, is odd\n{PAIRS}",
    "0 3": one("(`0 3`): starts at 0; the first pixel is 1"),
    "-3 2": one("(`-3 2`): starts at -3; the first pixel is 1"),
    "3 0": one("(`3 0`): is 0 pixels long; the shortest run has 1"),
    "3 -2": one("(`3 -2`): is -2 pixels long; the shortest run has 1"),
    "24 5": one("(`24 5`): ends at pixel 28, past the last pixel 25"),
    "26 1": one("(`26 1`): ends at pixel 26, past the last pixel 25"),
    "1 26": one("(`1 26`): ends at pixel 26, past the last pixel 25"),
    "1 5 3 5": f"{HEAD}1 of 2 runs are wrong\n"
    f"  - run 2 (`3 5`): starts before run 1 ends, at pixel 5\n{PAIRS}",
    "7 2 1 2": f"{HEAD}1 of 2 runs are wrong\n"
    f"  - run 2 (`1 2`): starts before run 1 ends, at pixel 8\n{PAIRS}",
    "4 2 4 2": f"{HEAD}1 of 2 runs are wrong\n"
    f"  - run 2 (`4 2`): starts before run 1 ends, at pixel 5\n{PAIRS}",
    "0 3 1 0 9 99 2 1 x 4": f"{HEAD}5 of 5 runs are wrong\n"
    "  - run 1 (`0 3`): starts at 0; the first pixel is 1\n"
    "  - run 2 (`1 0`): is 0 pixels long; the shortest run has 1\n"
    "  - run 3 (`9 99`): ends at pixel 107, past the last pixel 25\n"
    "  - run 4 (`2 1`): starts before run 3 ends, at pixel 107\n"
    f"  - run 5 (`x 4`): `x` is not an integer\n{PAIRS}",
    "1.0 3": one("(`1.0 3`): `1.0` is not an integer"),
    "1e1 3": one("(`1e1 3`): `1e1` is not an integer"),
    "1_0 3": one("(`1_0 3`): `1_0` is not an integer"),
    "1,3": one("(`1,3`): `1,3` is not an integer"),
    "[1 3]": one("(`[1 3]`): `[1` is not an integer"),
    "٣ 1": one("(`٣ 1`): `٣` is not an integer"),
    "²5 1": one("(`²5 1`): `²5` is not an integer"),
    "1 " + "9" * 5000: one(f"(`1 {'9' * 5000}`): `{'9' * 5000}` is not an integer"),
    "nan": one("(`nan`): `nan` is not an integer"),
    "+1 3": one("(`+1 3`): has a plus sign; write digits only"),
    "99999999999999999999 1": one(
        "(`99999999999999999999 1`): ends at pixel 99999999999999999999, past the last pixel 25"
    ),
    "1 99999999999999999999": one(
        "(`1 99999999999999999999`): ends at pixel 99999999999999999999, past the last pixel 25"
    ),
    "9223372036854775807 9223372036854775807": one(
        "(`9223372036854775807 9223372036854775807`): "
        "ends at pixel 18446744073709551613, past the last pixel 25"
    ),
    "-": one("(`-`): `-` is not an integer", sign("-")),
    "-1": one("(`-1`): has no length; the count of numbers, 1, is odd", sign("-1")),
    "1 0": one("(`1 0`): is 0 pixels long; the shortest run has 1", sign("1 0")),
    "authentic": one("(`authentic`): `authentic` is not an integer", sign("authentic")),
}


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text[:50]))
def test_text(text):
    with pytest.raises(RLEError) as caught:
        RLE.from_text(text, shape=(5, 5))
    assert str(caught.value) == TEXTS[text]


def test_a_thousand_bad_runs_do_not_fill_the_screen():
    with pytest.raises(RLEError) as caught:
        RLE.from_text("0 1 " * 1000, shape=(5, 5))
    assert len(caught.value.problems) == 101
    assert caught.value.problems[99].startswith("run 100 (`0 1`)")
    assert caught.value.problems[100] == "and 900 more"


def refused(call, *expected):
    with pytest.raises(RLEError) as caught:
        call()
    assert str(caught.value) == "\n".join(expected)


SIDES = "hint: for a colour image use image.shape[:2]"
OTHER = "hint: clip it to the mask; what lies outside is background"
FLOATS = "hint: if it holds probabilities, choose a threshold: `prob > 0.5`"
ROW = np.ones((1, 2), bool)
RECT = RLE.from_text("1 2", shape=(4, 6))

CALLS = {
    "text is a number": (
        lambda: RLE.from_text(5, (5, 5)),
        "an RLE text is a string, not int (5)",
        "hint: read the CSV file with dtype=str",
    ),
    "text is a list": (
        lambda: RLE.from_text([1, 2], (5, 5)),
        "an RLE text is a string, not list ([1, 2])",
        "hint: read the CSV file with dtype=str",
    ),
    "shape with channels": (
        lambda: RLE.from_text("1 2", (5, 5, 3)),
        "shape is (5, 5, 3): it is (height, width), two whole numbers of at least 1",
        SIDES,
    ),
    "shape of floats": (
        lambda: RLE.from_text("1 2", (5.0, 5)),
        "shape is (5.0, 5): it is (height, width), two whole numbers of at least 1",
        SIDES,
    ),
    "shape with a zero": (
        lambda: RLE.empty((0, 5)),
        "shape is (0, 5): it is (height, width), two whole numbers of at least 1",
        SIDES,
    ),
    "shape is a number": (
        lambda: RLE.empty(5),
        "shape is 5: it is (height, width), two whole numbers of at least 1",
        SIDES,
    ),
    "order": (
        lambda: RLE.empty((5, 5), "f"),
        "order is 'f': it is 'F' (down the columns) or 'C' (along the rows)",
    ),
    "runs unsorted": (
        lambda: RLE([4, 0], [1, 1], (3, 3)),
        "runs of shape (3, 3), order 'F': 1 of 2 runs are wrong",
        "  - run 2 (`1 1`): starts before run 1 ends, at pixel 5",
        PAIRS,
    ),
    "more starts than lengths": (
        lambda: RLE([0, 4], [1], (3, 3)),
        "there are 2 starts and 1 lengths",
    ),
    "starts of floats": (
        lambda: RLE([0.5], [1], (3, 3)),
        "starts have dtype float64 and shape (1,): "
        "a list or one-dimensional array of integers is needed",
    ),
    "lengths of two dimensions": (
        lambda: RLE([0], [[1]], (3, 3)),
        "lengths have dtype int64 and shape (1, 1): "
        "a list or one-dimensional array of integers is needed",
    ),
    "mask of probabilities": (
        lambda: RLE.from_mask(np.array([[0.2, 0.9]])),
        "the mask has dtype float64; a mask is bool or integer, with 0 for background",
        FLOATS,
    ),
    "mask of half floats": (
        lambda: RLE.from_mask(np.zeros((2, 2), np.float16)),
        "the mask has dtype float16; a mask is bool or integer, with 0 for background",
        FLOATS,
    ),
    "mask of NaN": (
        lambda: RLE.from_mask(np.full((2, 2), np.nan, np.float32)),
        "the mask has dtype float32; a mask is bool or integer, with 0 for background",
        FLOATS,
    ),
    "mask of objects": (
        lambda: RLE.from_mask(np.array([[None]])),
        "the mask has dtype object; a mask is bool or integer, with 0 for background",
        FLOATS,
    ),
    "mask with channels": (
        lambda: RLE.from_mask(np.zeros((4, 4, 1), bool)),
        "the mask has shape (4, 4, 1): two dimensions are needed, (height, width)",
        "hint: pick one channel, e.g. mask[..., 0], or drop the axes of length 1 with squeeze()",
    ),
    "mask of one dimension": (
        lambda: RLE.from_mask(np.zeros(4, bool)),
        "the mask has shape (4,): two dimensions are needed, (height, width)",
        "hint: pick one channel, e.g. mask[..., 0], or drop the axes of length 1 with squeeze()",
    ),
    "mask is a list": (
        lambda: RLE.from_mask([[0, 1]]),
        "the mask is a list, not a NumPy array",
        "hint: convert it: np.asarray",
    ),
    "mask without pixels": (
        lambda: RLE.from_mask(np.zeros((0, 0), bool)),
        "shape is (0, 0): it is (height, width), two whole numbers of at least 1",
        SIDES,
    ),
    "label image": (
        lambda: RLE.from_mask(np.array([[0, 1], [2, 0]])),
        "the mask has two different non-zero values, 1 and 2; foreground has one value",
        "hint: of a label image make one mask per label: rle.from_labels(labels)",
    ),
    "label image in order C": (
        lambda: RLE.from_mask(np.array([[0, 1], [2, 0]]), "C"),
        "the mask has two different non-zero values, 1 and 2; foreground has one value",
        "hint: of a label image make one mask per label: rle.from_labels(labels)",
    ),
    "strips of different values": (
        lambda: [builder := RLEBuilder((2, 2)), *map(builder.push, np.array([[[1, 1]], [[0, 9]]]))],
        "the mask has two different non-zero values, 1 and 9; foreground has one value",
        "hint: of a label image make one mask per label: rle.from_labels(labels)",
    ),
    "strips of different dtypes": (
        lambda: [builder := RLEBuilder((2, 2)), *map(builder.push, [ROW, ROW.astype("u2")])],
        "the strip has dtype uint16, those before bool",
        "hint: make them all alike, e.g. `strip > 0`",
    ),
    "strip too wide": (
        lambda: RLEBuilder((4, 4)).push(np.zeros((1, 5), bool)),
        "the strip is 5 pixels wide, the mask 4",
    ),
    "too many rows": (
        lambda: RLEBuilder((4, 4)).push(np.zeros((5, 4), bool)),
        "5 more rows after 0 are 5: the mask has 4",
        "hint: push every row once; strips must not overlap",
    ),
    "rows missing": (
        lambda: RLEBuilder((4, 4)).finish(),
        "0 of 4 rows were pushed",
        "hint: push the missing rows; background is np.zeros((n, width), bool)",
    ),
    "strip of floats": (
        lambda: RLEBuilder((4, 4)).push(np.zeros((1, 4))),
        "the strip of rows has dtype float64; a mask is bool or integer, with 0 for background",
        FLOATS,
    ),
    "window leaves the mask": (
        lambda: RECT.window(0, 5, 0, 6),
        "window y 0:5, x 0:6 is empty or leaves the mask of shape (4, 6)",
        OTHER,
    ),
    "window starts before the mask": (
        lambda: RECT.window(-1, 2, 0, 2),
        "window y -1:2, x 0:2 is empty or leaves the mask of shape (4, 6)",
        OTHER,
    ),
    "window without pixels": (
        lambda: RECT.crop(2, 2, 0, 2),
        "window y 2:2, x 0:2 is empty or leaves the mask of shape (4, 6)",
        OTHER,
    ),
    "patch leaves the mask": (
        lambda: RECT.paste(RECT, 1, 0),
        "window y 1:5, x 0:6 is empty or leaves the mask of shape (4, 6)",
        OTHER,
    ),
    "masks of two shapes": (
        lambda: RECT.dice(RLE.empty((6, 4))),
        "masks of shape (4, 6) and (6, 4) cannot be combined",
        "hint: crop, pad or resize one of them first",
    ),
    "negative padding": (
        lambda: RECT.pad(0, -1, 0, 0),
        "padding is 0, -1, 0, 0 pixels: none can be negative",
        "hint: use crop to make a mask smaller",
    ),
    "third axis": (
        lambda: RECT.flip(2),
        "axis is 2: it is 0 (upside down) or 1 (left to right)",
    ),
    "resize by one and a half": (
        lambda: RECT.resize((6, 9)),
        "shape (4, 6) cannot become (6, 9): a side is no whole multiple or part",
        "hint: decode with to_mask() and use cv2.resize with INTER_NEAREST",
    ),
    "labels of floats": (
        lambda: from_labels(np.zeros((2, 2))),
        "the label image has dtype float64; a mask is bool or integer, with 0 for background",
        FLOATS,
    ),
    "no masks to paint": (
        lambda: paint_labels({}),
        "no masks: the shape of the label image is not known",
    ),
    "masks to paint that do not fit": (
        lambda: paint_labels({1: RECT, 2: RECT, 3: RLE.empty((6, 4))}),
        "2 of 3 masks do not fit",
        "  - label 2: 2 pixels belong to label 1 already",
        "  - label 3: shape (6, 4), the first one has (4, 6)",
    ),
    "labels that cannot be painted": (
        lambda: paint_labels({0: RECT, 1.5: RECT, 2**31: RECT, 1: RECT}),
        "3 of 4 masks do not fit",
        "  - label 0: it is a whole number but 0, and of 32 bits",
        "  - label 1.5: it is a whole number but 0, and of 32 bits",
        "  - label 2147483648: it is a whole number but 0, and of 32 bits",
    ),
    "polygons that are none": (
        lambda: from_polygons(
            [
                {"type": "Point", "coordinates": [1, 2]},
                [(0, 0), (1, 1)],
                [[(0, 0), (1, 1)]],
                {"type": "Polygon"},
                {"type": "MultiPolygon", "coordinates": None},
                {"type": "Feature", "geometry": None},
            ],
            (4, 4),
        ),
        "6 of 6 polygons are wrong",
        "  - polygon 0: is a 'Point', not a Polygon",
        "  - polygon 1: a ring needs 3 or more (x, y), in a list of rings",
        "  - polygon 2: a ring needs 3 or more (x, y), in a list of rings",
        "  - polygon 3: a ring needs 3 or more (x, y), in a list of rings",
        "  - polygon 4: a ring needs 3 or more (x, y), in a list of rings",
        "  - polygon 5: is a None, not a Polygon",
    ),
    "detect with too few shapes": (
        lambda: detect(["1 2", "1 2"], [(5, 5)]),
        "2 strings have 1 shapes: one each is needed",
    ),
    "form of a dialect": (
        lambda: Dialect(form="rle"),
        "form is 'rle': it is one of pairs, gaps, counts, coco, open-images",
    ),
    "base of a dialect": (
        lambda: Dialect(base=2),
        "base is 2: the first pixel is number 1 or 0",
    ),
    "COCO along the rows": (
        lambda: Dialect(form="coco", order="C"),
        "order is 'C': 'coco' always runs down the columns, 'F'",
    ),
    "0-based text that is 1-based": (
        lambda: Dialect(base=0).read("25 1", (5, 5)),
        f"{HEAD}1 of 1 run is wrong",
        "  - run 1 (`25 1`): ends at pixel 25, past the last pixel 24",
        "hint: runs are pairs `start length`, 0-based, sorted by start, without overlap",
    ),
    "gaps past the end": (
        lambda: Dialect(form="gaps").read("20 6", (5, 5)),
        f"{HEAD}the counts add up to 26 pixels, the mask has 25",
        "hint: is the shape right? COCO writes its size as [height, width]",
    ),
    "gaps without a length": (
        lambda: Dialect(form="gaps").read("3", (5, 5)),
        f"{HEAD}gaps are whole numbers from 0 to 25",
        "  - the count of numbers, 1, is odd: gaps and lengths are pairs",
    ),
    "counts that are too short": (
        lambda: Dialect(form="counts").read("3 4", (5, 5)),
        f"{HEAD}the counts add up to 7 pixels, the mask has 25",
        "hint: is the shape right? COCO writes its size as [height, width]",
    ),
    "counts with junk": (
        lambda: Dialect(form="counts").read("3 -4 x 99", (5, 5)),
        f"{HEAD}counts are whole numbers from 0 to 25",
        "  - number 2 is `-4`",
        "  - number 3 is `x`",
        "  - number 4 is `99`",
    ),
    "compressed counts with junk": (
        lambda: Dialect(form="coco").read("3 \x7f", (5, 5)),
        f"{HEAD}not COCO's compressed counts, which use the characters '0' to 'o'",
        "  - character 2 is ' '",
        "  - character 3 is '\\x7f'",
    ),
    "compressed counts cut off": (
        lambda: Dialect(form="coco").read("3P", (5, 5)),
        f"{HEAD}COCO's compressed counts end in the middle of a count",
    ),
    "compressed counts below zero": (
        lambda: Dialect(form="coco").read("O", (5, 5)),
        f"{HEAD}counts are negative",
        "  - count 1 is -1",
    ),
    "a compressed count beyond 60 bits": (
        lambda: Dialect(form="coco").read("P" * 13 + "0", (5, 5)),
        f"{HEAD}a count has 14 groups of 5 bits; 12 is the most",
    ),
    "not base64": (
        lambda: Dialect(form="open-images").read("0 1.0 eJw=", (5, 5)),
        f"{HEAD}not zlib and base64 over COCO's counts (Only base64 data is allowed)",
        "hint: a prediction string holds `class confidence mask` triples: pass the mask alone",
    ),
    "not zlib": (
        lambda: Dialect(form="open-images").read("eJwA", (5, 5)),
        f"{HEAD}not zlib and base64 over COCO's counts "
        "(Error -5 while decompressing data: incomplete or truncated stream)",
        "hint: a prediction string holds `class confidence mask` triples: pass the mask alone",
    ),
}


@pytest.mark.parametrize("case", CALLS.values(), ids=CALLS.keys())
def test_call(case):
    refused(*case)
