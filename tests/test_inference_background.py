import cv2
import numpy as np
import pytest

from kagglekit.inference._background import is_background

WHITE, TISSUE, NUCLEUS = (244, 242, 245), (225, 190, 215), (90, 60, 120)


def plain(colour=WHITE, shape=(512, 512)):
    return np.broadcast_to(np.array(colour, np.uint8), (*shape, 3)).copy()


def grainy(colour=WHITE, sigma=3.0):
    noise = np.random.default_rng(0).normal(0, sigma, (512, 512, 3))
    return np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)


def jpeg(quality=70):
    # What JPEG makes of grainy glass: its grain becomes blocks of 8 pixels.
    _, data = cv2.imencode(".jpg", grainy(), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def spot(at, size=8, colour=NUCLEUS):
    pixels = grainy()
    pixels[at[0] : at[0] + size, at[1] : at[1] + size] = colour
    return pixels


def line():
    pixels = grainy()
    pixels[:, 200] = NUCLEUS
    return pixels


def faint_line():
    pixels = grainy()
    pixels[:, 200] = 200
    return pixels


def star():
    pixels = plain((0, 0, 0))
    pixels[100, 100] = 40
    return pixels


def ramp(least):
    """Glass that gets darker to the right by `255 - least`, as lamps that are off centre do."""
    shades = np.linspace(255, least, 512).astype(np.uint8)
    return np.repeat(np.tile(shades, (512, 1))[:, :, None], 3, 2)


BACKGROUND = {
    "glass": plain(),
    "grain of a camera": grainy(),
    "grain after JPEG": jpeg(),
    "pure white": plain((255, 255, 255)),
    "black around the scan": plain((0, 0, 0)),
    "black with grain": grainy((3, 3, 3), sigma=1.0),
    "grey slide": plain()[:, :, :1],
    "not square": plain(shape=(64, 320)),
    "smaller than a cell": plain(shape=(5, 3)),
    "one pixel": plain(shape=(1, 1)),
}

NOT_BACKGROUND = {
    "faint tissue in a corner": spot((480, 480), 32, TISSUE),
    "everywhere tissue of one colour": plain(TISSUE),
    "flat grey": plain((120, 120, 120)),
    "dark but not black": plain((20, 20, 20)),
    "a light colour": plain((255, 255, 215)),
    "a gradient": ramp(235),
    "half glass, half black": np.concatenate([plain(), plain((0, 0, 0))]),
    "a thin line": line(),
    "a thin line of little contrast": faint_line(),
    "one bright pixel in black": star(),
    "one dark pixel": spot((100, 100), 1, (90, 90, 90)),
    "noise": np.random.default_rng(0).integers(0, 255, (512, 512, 3), np.uint8),
    "a grey nucleus": spot((100, 100))[:, :, :1],
    "tissue in a window below a cell": spot((0, 0), 3)[:5, :5],
}  # fmt: skip


@pytest.mark.parametrize("what", BACKGROUND)
def test_background(what):
    assert is_background(BACKGROUND[what], max_value=255)


@pytest.mark.parametrize("what", NOT_BACKGROUND)
def test_not_background(what):
    assert not is_background(NOT_BACKGROUND[what], max_value=255)


@pytest.mark.parametrize("offset", range(8))
def test_one_nucleus_is_enough_wherever_it_lies(offset):
    # In the middle of four cells it darkens each by a quarter only.
    assert not is_background(spot((200 + offset, 304 + offset)), max_value=255)


def test_the_border_counts_too():
    for at in ((0, 0), (0, 504), (504, 0), (504, 504)):
        assert not is_background(spot(at), max_value=255)


@pytest.mark.parametrize("max_value", [65535, 4095])
@pytest.mark.parametrize("what", [*BACKGROUND, *NOT_BACKGROUND])
def test_more_bits_change_nothing(what, max_value):
    pixels = (BACKGROUND | NOT_BACKGROUND)[what].astype(float) / 255 * max_value
    expected = what in BACKGROUND and what != "black with grain"
    assert is_background(pixels.astype(np.uint16), max_value) == expected


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        (np.uint16, (0, 1018)),
        (np.uint16, (300, 300)),
        (np.float32, (0, 900)),
        (np.int16, (-900, -300)),
    ],
)
def test_what_lies_low_among_many_numbers_is_not_black(dtype, values):
    """12 bits of a camera kept in 16, and Hounsfield units."""
    pixels = np.random.default_rng(0).integers(values[0], values[1] + 1, (64, 64, 1)).astype(dtype)
    assert not is_background(pixels, max_value=65535)
    assert is_background(np.zeros_like(pixels), max_value=65535)


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint32, np.int64, np.float16])
def test_pixels_that_opencv_does_not_know(dtype):
    assert is_background(np.full((64, 64, 3), 120, dtype), max_value=122)
    assert not is_background(np.full((64, 64, 3), 60, dtype), max_value=122)


@pytest.mark.parametrize("place", [0, 4, 8])
def test_of_many_channels_all_are_looked_at(place):
    glass = np.full((70, 90, 9), 240, np.uint8)
    assert is_background(glass, max_value=255)
    glass[20:50, 30:60, place] = 190
    assert not is_background(glass, max_value=255)
