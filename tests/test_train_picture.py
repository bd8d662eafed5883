import numpy as np
import pytest

from kagglekit import plots, slides, tiles
from kagglekit.rle import RLE
from kagglekit.tiles import Draw
from kagglekit.train._picture import draw_batch
from tests.tune_worker import blobs, red


def upside_down(pixels, masks, key):
    return pixels[::-1].copy(), masks[:, ::-1].copy()


@pytest.mark.parametrize(("channels", "dtype"), [(3, np.uint8), (1, np.uint16), (4, np.uint8)])
def test_each_row_is_a_tile_its_masks_augmented_and_predicted(tmp_path, channels, dtype):
    rng = np.random.default_rng(0)
    pixels = np.concatenate([blobs(rng, (40, 64)) for _ in range(2)], axis=2)[:, :, :channels]
    largest = np.iinfo(dtype).max
    np.save(tmp_path / "a.npy", (pixels.astype(float) * largest / 255).astype(dtype))
    true = pixels[:, :, 0] > 100
    slide = slides.open_slide(tmp_path / "a.npy")
    picture = tiles.Picture(slide, [RLE.from_mask(true.astype(np.uint8))])
    index = tiles.index([picture], window=32)
    dataset = tiles.TileDataset([picture], index, upside_down)
    model = red(in_channels=channels, max_value=float(largest))
    model.train()
    found = draw_batch(model, dataset, [Draw(2, 0, 0, 0), Draw(1, 0, 0, 1)])
    assert found.shape == (2 * 32 + 4, 4 * 32 + 3 * 4, 3)
    assert not model.training
    y0, y1, x0, x1 = index.tile[2]
    own = dataset[2][0].permute(1, 2, 0).numpy()
    before = plots.as_rgb8(own if channels in (1, 3) else own[:, :, :1])
    after = plots.as_rgb8((own if channels in (1, 3) else own[:, :, :1])[::-1])
    mask = true[y0:y1, x0:x1]
    predicted = (own[:, :, 0] > largest / 2)[::-1]
    columns = [found[:32, at : at + 32] for at in range(0, 4 * 36, 36)]
    assert (columns[0] == before).all()
    assert (columns[1] == plots.differences(before, [mask], [mask])).all()
    assert (columns[2] == plots.differences(after, [mask[::-1]], [mask[::-1]])).all()
    assert (columns[3] == plots.differences(after, [predicted], [mask[::-1]])).all()
    assert (found[:, 32:36] == 255).all()
    assert (found[32:36] == 255).all()
