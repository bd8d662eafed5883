import numpy as np
import pytest
import rasterio

from kagglekit.rle import RLE
from kagglekit.slides import open_slide
from kagglekit.tiles import cut


@pytest.fixture
def slide(tmp_path):
    pixels = np.random.default_rng(3).integers(0, 255, (90, 130, 3), np.uint8)
    with (
        pytest.warns(rasterio.errors.NotGeoreferencedWarning),
        rasterio.open(
            tmp_path / "a.tiff", "w", driver="GTiff", height=90, width=130, count=3, dtype="uint8"
        ) as file,
    ):
        file.write(pixels.transpose(2, 0, 1))
    with open_slide(tmp_path / "a.tiff") as slide:
        yield slide, pixels


def some_mask(shape):
    mask = np.zeros(shape, np.uint8)
    mask[10:50, 30:100] = 1
    return mask


def test_tiles_hold_pixels_and_masks_of_the_same_place(slide):
    slide, pixels = slide
    mask = some_mask(slide.shape)
    images, masks = cut(slide, [RLE.from_mask(mask), RLE.from_mask(1 - mask)], window=64)
    assert images.shape == (6, 64, 64, 3)
    assert masks.shape == (6, 2, 64, 64)
    assert np.array_equal(images[0], pixels[:64, :64])
    assert np.array_equal(images[-1], pixels[-64:, -64:])
    assert np.array_equal(masks[-1, 0], mask[-64:, -64:])
    assert (masks[:, 0] + masks[:, 1] == 1).all()


def test_at_a_scale_pixels_are_averaged_and_masks_decided_by_half(slide):
    slide, _ = slide
    mask = np.zeros(slide.shape, np.uint8)
    mask[0:2, 0:1] = 1  # half of the cell at the corner
    mask[4:5, 4:5] = 1  # a quarter of another
    images, masks = cut(slide, [RLE.from_mask(mask)], window=32, scale=2)
    assert np.array_equal(images[0], slide.read(0, 64, 0, 64, 2))
    assert masks[0, 0, 0, 0] == 1
    assert masks[0].sum() == 1


def test_a_slide_smaller_than_the_window_is_mirrored(slide):
    slide, pixels = slide
    images, masks = cut(slide, [RLE.from_mask(some_mask(slide.shape))], window=160)
    assert images.shape == (1, 160, 160, 3)
    assert np.array_equal(images[0, :90, :130], pixels)
    assert np.array_equal(images[0, 90, :130], pixels[88])
    assert np.array_equal(masks[0, 0, :90, :130], some_mask(slide.shape))


def test_a_mask_of_another_shape_is_refused(slide):
    slide, _ = slide
    with pytest.raises(ValueError, match=r"^a mask is \(130, 90\), the slide \(90, 130\)$"):
        cut(slide, [RLE.empty((130, 90))], window=64)
