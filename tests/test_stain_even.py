import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kagglekit import stain


def cells(rng, ground, nuclei, spread=2.0):
    """Nuclei of one colour on a ground of another, with a little noise."""
    y, x = np.mgrid[:80, :96]
    inside = ((y % 27 - 13) ** 2 + (x % 24 - 12) ** 2 < 40)[..., None]
    clean = np.where(inside, np.array(nuclei, float), np.array(ground, float))
    return (clean + rng.normal(0, spread, clean.shape)).clip(0, 255).astype(np.uint8), inside[
        ..., 0
    ]


def test_however_it_was_taken_nuclei_are_bright_and_the_ground_dark():
    rng = np.random.default_rng(0)
    taken = {
        "dim fluorescence": ((10, 10, 10), (35, 35, 35)),
        "bright field": ((220, 220, 220), (90, 90, 90)),
        "purple stain": ((190, 170, 215), (80, 40, 150)),
    }
    for ground, nuclei in taken.values():
        pixels, inside = cells(rng, ground, nuclei)
        made = stain.even(pixels)
        assert made.shape == pixels.shape
        assert made.dtype == np.uint8
        assert (made[inside].mean(axis=0) > 170).all()
        assert (made[~inside].mean(axis=0) < 80).all()


def test_noise_of_an_empty_picture_is_not_made_to_look_like_cells():
    pixels = np.random.default_rng(1).integers(10, 12, (64, 64, 3), np.uint8)
    assert stain.even(pixels).max() <= 64


@given(st.integers(0, 100), st.sampled_from([1, 2, 3]))
def test_more_or_less_light_makes_no_difference(offset, gain):
    """Exactly none, where nothing is rounded or cut off: channels keep their own scale."""
    pixels, _ = cells(np.random.default_rng(2), (5, 9, 3), (40, 30, 25))
    brighter = (pixels.astype(int) * gain + offset).astype(np.uint8)
    if np.median(brighter) <= 127:
        assert (stain.even(brighter) == stain.even(pixels)).all()


@pytest.mark.parametrize(
    ("pixels", "told"),
    [
        (np.zeros((8, 8, 3), np.float32), "pixels (8, 8, 3) float32: expected (h, w, C) uint8"),
        (np.zeros((8, 8), np.uint8), "pixels (8, 8) uint8: expected (h, w, C) uint8"),
        (np.zeros((0, 8, 3), np.uint8), "pixels (0, 8, 3) uint8: expected (h, w, C) uint8"),
    ],
)
def test_other_pixels_are_refused(pixels, told):
    with pytest.raises(ValueError) as raised:
        stain.even(pixels)
    assert str(raised.value) == told
