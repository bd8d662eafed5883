import cv2
import numpy as np
import pytest

from kagglekit.slides import tissue_mask

SHAPE = (300, 400)


def noise(spread, seed=0):
    return np.random.default_rng(seed).normal(0, spread, (*SHAPE, 3))


def as_uint8(values):
    return values.round().clip(0, 255).astype(np.uint8)


def blob(centre, radius):
    y, x = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < radius**2


TISSUE = blob((150, 180), 90) | blob((80, 320), 25)


def stained(colour=(190, 110, 160), background=238, spread=1.0):
    """Pink tissue with purple nuclei on glass."""
    picture = np.full((*SHAPE, 3), float(background))
    texture = cv2.GaussianBlur(noise(60, 1), (0, 0), 1.5)
    picture[TISSUE] = np.array(colour) + texture[TISSUE]
    return as_uint8(picture + noise(spread))


def fluorescent(peak=60):
    """Bright nuclei on black, grey."""
    picture = np.full((*SHAPE, 3), 4.0)
    for centre in ((60, 60), (150, 200), (220, 330)):
        picture[blob(centre, 18)] = peak
    soft = cv2.GaussianBlur(picture, (0, 0), 1)
    return as_uint8(soft + noise(0.7)[:, :, :1]), blob((60, 60), 18) | blob((150, 200), 18) | blob(
        (220, 330), 18
    )


def far(tissue, pixels=12):
    """What is surely background: nowhere near tissue."""
    return cv2.dilate(tissue.astype(np.uint8), np.ones((pixels, pixels), np.uint8)) == 0


def check(mask, tissue, most_wrong=0.01):
    assert mask.dtype == np.bool_
    assert mask.shape == tissue.shape
    assert mask[tissue].all()  # none of it lost
    assert mask[far(tissue)].mean() <= most_wrong


@pytest.mark.parametrize("colour", [(190, 110, 160), (225, 205, 220), (120, 60, 130)])
@pytest.mark.parametrize("spread", [0, 1, 2])
def test_stained_tissue_on_glass(colour, spread):
    check(tissue_mask(stained(colour, spread=spread)), TISSUE)


def test_tissue_beside_the_black_edge_of_a_scan():
    picture = stained()
    picture[:, :30] = 0
    picture[270:] = 255
    mask = tissue_mask(picture)
    assert mask[TISSUE].all()
    assert not mask[:264, :24].any()
    assert not mask[276:, :].any()


@pytest.mark.parametrize("peak", [25, 60, 250])
def test_nuclei_on_black(peak):
    picture, nuclei = fluorescent(peak)
    check(tissue_mask(picture), nuclei)
    check(tissue_mask(picture[:, :, :1]), nuclei)


def test_nuclei_of_16_bits_and_floats():
    picture, nuclei = fluorescent()
    check(tissue_mask(picture[:, :, :1].astype(np.uint16) * 40), nuclei)
    check(tissue_mask((picture / 255).astype(np.float32)), nuclei)


@pytest.mark.parametrize("level", [0, 3, 128, 243, 255])
def test_a_blank_slide_is_background(level):
    picture = as_uint8(np.full((*SHAPE, 3), level) + (noise(1) if level else 0))
    assert not tissue_mask(picture).any()


def test_a_blank_slide_of_floats_is_background():
    assert not tissue_mask(np.zeros((9, 9, 1), np.float32)).any()


def test_tissue_all_over_is_all_tissue():
    texture = cv2.GaussianBlur(noise(60, 1), (0, 0), 1.5)
    shades = np.where(blob((150, 180), 120)[:, :, None], (190, 110, 160), (226, 190, 210))
    assert tissue_mask(as_uint8(shades + texture)).all()


def test_holes_in_tissue_are_tissue():
    picture = stained()
    picture[blob((150, 180), 20)] = 238
    assert tissue_mask(picture)[TISSUE].all()


def test_not_a_number_is_background():
    picture = np.full((40, 40, 1), np.nan, np.float32)
    picture[10:20, 10:20] = np.random.default_rng(0).random((10, 10, 1))
    mask = tissue_mask(picture)
    assert mask[10:20, 10:20].all()
    assert not mask[25:, 25:].any()


def test_a_plane_is_no_thumbnail():
    with pytest.raises(ValueError) as raised:
        tissue_mask(np.zeros((4, 5)))
    assert str(raised.value) == "a thumbnail of shape (4, 5); expected (h, w, channels)"


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 50, 3), (2, 3, 1)])
def test_small_thumbnails(shape):
    assert tissue_mask(np.full(shape, 9, np.uint8)).shape == shape[:2]
