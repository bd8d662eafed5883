"""`validate` against an oracle of the rules: the same answer for every file, sound or spoilt."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kagglekit import submission
from kagglekit.competitions import template
from kagglekit.rle import RLE
from kagglekit.submission.check import is_refusal
from kagglekit.submission.rows import write_rows
from kagglekit.submission.texts import to_texts
from tests import submission_oracle
from tests.submission_kinds import KINDS, make_test

SHAPES = {"a": (4, 6), "b": (5, 3), "c_1": (3, 3)}
TEXTS = st.one_of(
    st.sampled_from(
        ["", " ", "-", "-1", "1 0", "1 1", "0 1", "0 0", "nan", "1 1 1", "1 2 2 1", "3 1 1 1", "4 0 2 1", "1.0 1",
         "[1 1]", "1,1", "1 1 ", " 2  1", "2\t1", "1 24", "2 24", "+1 1", "01 1", "٣ 1", "1 99999999999999999999", "9" * 5000 + " 1 5 0", "1 0 5 " + "9" * 5000,
         "1 1 2 1", "1 2 2 0 3 1", "5 0", "2 1 1 0", "1\t0", "1 00"]
    ),
    st.text("0123456789 -", max_size=9),
    st.lists(st.integers(0, 26), max_size=6).map(lambda numbers: " ".join(map(str, numbers))),
    # Predictions: a class, a confidence, a mask (3 × 3 pixels full, 4 × 6 empty, not base64, not zlib, cut short).
    st.lists(
        st.tuples(
            st.sampled_from(["0", "0", "1"]),
            st.sampled_from(["0.5", "1", "1e-3", "2", "x", "nan", "inf", "1_0"]),
            st.sampled_from(["eJwzsAQAAJoAag==", "eJwzhAAAAIYAUg==", "eJzzyCgA", "!!!!", "MTIz", "0"]),
        ).map(" ".join),
        min_size=1, max_size=2,
    ).map(" ".join),
)  # fmt: skip
ROWS = ["drop", "twice", "again, other text", "short", "long", "blank line before"]
CELLS = [
    "another id",
    "another class",
    "text",
    "text",
    "text",
    "last number less",
    "swap runs",
    "size",
]
FILES = [
    "shuffle",
    "windows",
    "mark",
    "no end",
    "no header",
    "header",
    "columns",
    "quotes",
    "unclosed quote",
]


@pytest.fixture(scope="module", params=KINDS)
def place(request, tmp_path_factory):
    comp = KINDS[request.param]
    root = tmp_path_factory.mktemp("tree")
    return comp, make_test(root, comp, *SHAPES, shapes=list(SHAPES.values()))


@st.composite
def masks_of(draw, rules, shape):
    """Draw what `Writer` takes for one image."""
    count = shape[0] * shape[1]
    labels = np.frombuffer(draw(st.binary(min_size=count, max_size=count)), np.uint8) % 3
    pixels = labels.reshape(shape)
    if rules.rows == "one":
        return [RLE.from_mask(pixels == 1)]
    return [RLE.from_mask(pixels == label) for label in range(1, 3)]


@st.composite
def contents(draw, comp, sound):
    """Draw a sound file and change it, mostly for the worse."""
    texts = {
        i: to_texts(draw(masks_of(comp.submission, shape)), shape, comp.submission)
        for i, shape in SHAPES.items()
    }
    write_rows(sound, texts, SHAPES, comp.submission)
    header, *rows = csv.reader(io.StringIO(sound.read_text()))
    ends, start = "\n", ""
    quoting = csv.QUOTE_MINIMAL
    tail = ""
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 2, 3]))):
        row = draw(st.integers(0, len(rows) - 1)) if rows else None
        what = draw(st.sampled_from(FILES + 2 * (ROWS + CELLS)))
        if what == "shuffle":
            rows = draw(st.permutations(rows))
        elif what == "windows":
            ends = "\r\n"
        elif what == "mark":
            start = "\ufeff"
        elif what == "quotes":
            quoting = csv.QUOTE_ALL
        elif what in ("no end", "unclosed quote"):
            tail = what
        elif what == "no header" and rows:
            header, *rows = rows
        elif what == "header":
            header = [draw(st.sampled_from(["id", "ID", "", "predicted"])), *header[1:]]
        elif what == "columns":
            header, rows = [*header[::-1]], [row[::-1] for row in rows]
        elif row is not None:
            rows = spoil(draw, comp.submission, rows, row, what)
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator=ends, quoting=quoting).writerows([header, *rows])
    text = start + file.getvalue()
    if tail == "no end":
        text = text.removesuffix(ends)
    elif tail:
        text += '"'
    return text.encode()


def spoil(draw, rules, rows, number, what):
    """Change one row of a table."""
    rows = [list(row) for row in rows]
    row = rows[number]
    if what == "drop":
        del rows[number]
    elif what == "twice":
        rows.append(list(row))
    elif what == "again, other text":
        rows.append([*row[:-1], draw(TEXTS)])
    elif what == "short":
        row[-1:] = []
    elif what == "long":
        row.append("0.9")
    elif what == "blank line before":
        rows.insert(number, [])
    elif what == "another id" and row:
        known = template.fill(
            rules.key, **{"id": draw(st.sampled_from([*SHAPES, "d"])), "class": "1"}
        )
        row[0] = draw(st.sampled_from([known, row[0] + " ", "0" + row[0], "", row[0][:-1]]))
    elif what == "another class" and len(row) > 2:
        row[1] = draw(st.sampled_from(["bowel", "stomach", "", "1", "liver"]))
    elif what == "size" and len(row) > 3:
        row[1:3] = draw(
            st.sampled_from(
                [row[2:0:-1], ["4", "6"], ["4.0", "6"], [" " + row[1], row[2]], ["", ""]]
            )
        )
    elif what == "text" and row:
        row[-1] = draw(TEXTS)
    elif what == "last number less" and row:
        row[-1] = row[-1].rpartition(" ")[0]
    elif what == "swap runs" and row:
        words = row[-1].split()
        row[-1] = " ".join(words[2:4] + words[:2] + words[4:])
    return rows


@given(data=st.data())
@settings(max_examples=150)
def test_refused_exactly_when_the_competition_would_refuse(place, data) -> None:
    comp, tree = place
    path = tree.root / "submission.csv"
    content = data.draw(contents(comp, path))
    path.write_bytes(content)
    refused = any(map(is_refusal, submission.validate(path, comp, tree)))
    assert refused != submission_oracle.accepts(content, comp.submission, SHAPES)
