"""Which order and base strings are written in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kagglekit.rle import RLE, Dialect, detect

SHAPE = (60, 100)


def blobs(count=12, shape=SHAPE):
    """Masks of one ellipse each, some of which touch the border."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[: shape[0], : shape[1]]
    for _ in range(count):
        cy, cx = rng.integers(0, shape[0]), rng.integers(0, shape[1])
        ry, rx = rng.integers(8, 30, 2)
        yield RLE.from_mask(((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1)


@pytest.mark.parametrize("order", ["F", "C"])
@pytest.mark.parametrize("base", [1, 0])
def test_order_and_base_are_found(order, base):
    dialect = Dialect(order=order, base=base)
    texts = [dialect.write(rle) for rle in blobs()]
    found = detect(texts, [SHAPE] * len(texts))
    assert (found.order, found.base) == (order, base)


def test_the_evidence_is_said():
    texts = [rle.to_text() for rle in blobs()]
    assert str(detect(texts, [SHAPE] * len(texts))) == (
        "order F: 12 strings have more pixels beside each other in order F, 0 in order C\n"
        "base 1: 0 runs go around a corner read from 1, 42 read from 0"
    )


def test_the_last_pixel_decides_the_base():
    assert detect(["5901 99", "5901 100"], [SHAPE] * 2).evidence[1] == (
        "1 runs leave their image read from 0, none from 1"
    )


def test_square_images_cannot_tell_the_order():
    texts = [rle.to_text() for rle in blobs(shape=(80, 80))]
    found = detect(texts, [(80, 80)] * len(texts))
    assert found.order is None
    assert found.evidence[0] == "only images that are not square can tell, and there is none"
    assert found.base == 1


@pytest.mark.parametrize("texts", [[], ["", None, float("nan")], ["1 x", "1 2 3", "-"], ["5 1"]])
def test_undecided_is_an_answer(texts):
    found = detect(texts, [SHAPE] * len(texts))
    assert (found.order, found.base) == (None, None)


def test_strings_that_disagree_are_undecided():
    down = [rle.to_text() for rle in blobs()]
    along = [Dialect(order="C").write(rle) for rle in blobs()]
    assert detect(down + along, [SHAPE] * 24).order is None


def test_a_wrong_order_in_a_submission_shows():
    wrong = [RLE.from_mask(rle.to_mask().T).to_text() for rle in blobs()]
    assert detect(wrong, [SHAPE] * 12).order == "C"


@given(st.integers(0, 10**6))
def test_noise_has_no_order(seed):
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(15, 30)), int(rng.integers(31, 60)))
    noise = RLE.from_mask(rng.random(shape) < rng.uniform(0.2, 0.8))
    assert detect([noise.to_text()], [shape]).order is None
