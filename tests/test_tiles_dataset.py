import numpy as np
import pytest
import rasterio
import torch
from torch.utils.data import DataLoader

from kagglekit import augment, tiles
from kagglekit.rle import RLE
from kagglekit.slides import open_slide

WINDOW = 32


@pytest.fixture
def pictures(tmp_path):
    """Two slides whose pixels say where they are, one of them a compressed TIFF."""
    made = []
    for number, scale in enumerate((1, 2)):
        height, width = 100 * scale, 150 * scale
        y, x = np.mgrid[:height, :width] // scale
        pixels = np.stack([y, x, np.full_like(y, number)], axis=2).astype(np.uint8)
        path = tmp_path / f"{number}.tiff"
        with (
            pytest.warns(rasterio.errors.NotGeoreferencedWarning),
            rasterio.open(
                path, "w", driver="GTiff", height=height, width=width, count=3, dtype="uint8",
                compress="lzw", tiled=True, blockxsize=64, blockysize=64,
            ) as file,
        ):  # fmt: skip
            file.write(pixels.transpose(2, 0, 1))
        mask = ((x // 8 + y // 8) % 2).astype(np.uint8)
        mask[:, : 70 * scale] = 0
        made.append(tiles.Picture(open_slide(path), [RLE.from_mask(mask)], scale))
    return made


def batches(dataset, sampler, workers, **options):
    loader = DataLoader(
        dataset,
        batch_size=4,
        sampler=sampler,
        num_workers=workers,
        multiprocessing_context="fork" if workers else None,
        **options,
    )
    pixels, masks = zip(*loader, strict=True)
    return torch.cat(pixels), torch.cat(masks)


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_forked_workers_read_the_right_windows_after_the_parent_has_read(pictures):
    index = tiles.index(pictures, WINDOW, min_overlap=4)  # reads all blocks in this process
    dataset = tiles.TileDataset(pictures, index)
    sampler = tiles.shuffled(index, seed=3)
    pixels, masks = batches(dataset, sampler, workers=2)
    assert len(pixels) == len(index)
    for one, mask, tile in zip(pixels, masks, sampler.order(), strict=True):
        y0, y1, x0, x1 = index.tile[tile]
        assert (one[0] == torch.arange(y0, y1)[:, None]).all()
        assert (one[1] == torch.arange(x0, x1)).all()
        assert (one[2] == index.picture[tile]).all()
        y, x = np.mgrid[y0:y1, x0:x1]
        assert np.array_equal(mask[0], ((x // 8 + y // 8) % 2) * (x >= 70))


def test_a_batch_is_what_torch_makes_with_channels_side_by_side(pictures):
    dataset = tiles.TileDataset(pictures, tiles.index(pictures, WINDOW))
    samples = [dataset[i] for i in range(5)]
    pixels, masks = tiles.collate(samples)
    assert same((pixels, masks), torch.utils.data.default_collate(samples))
    assert pixels.is_contiguous(memory_format=torch.channels_last)


def test_workers_epochs_and_resumption_change_nothing(pictures):
    index = tiles.index(pictures, WINDOW)
    dataset = tiles.TileDataset(pictures, index, augment.preset("heavy"))

    def run(workers, epochs, start=0):
        sampler = tiles.balanced(index, length=16, seed=5)
        seen = []
        for epoch in epochs:
            sampler.set_epoch(epoch)
            sampler.start = start
            seen.append(batches(dataset, sampler, workers))
        return seen

    alone = run(0, range(4))
    assert all(same(a, b) for a, b in zip(alone, run(2, range(4)), strict=True))
    assert not same(alone[0], alone[1])
    assert same(run(0, [3])[0], alone[3])  # begun again at epoch 3
    rest = run(2, [3], start=8)[0]  # and in its middle
    assert same(rest, [part[8:] for part in alone[3]])


def test_workers_that_are_kept_see_the_next_epoch(pictures):
    index = tiles.index(pictures, WINDOW)
    dataset = tiles.TileDataset(pictures, index, augment.preset("light"))
    sampler = tiles.shuffled(index)
    loader = DataLoader(
        dataset, batch_size=4, sampler=sampler, num_workers=2, persistent_workers=True,
        multiprocessing_context="fork",
    )  # fmt: skip
    seen = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        seen.append(torch.cat([pixels for pixels, _ in loader]))
    assert torch.equal(seen[0], seen[2])
    assert not torch.equal(seen[0], seen[1])


def test_a_plain_number_reads_the_tile_as_it_is(pictures):
    index = tiles.index(pictures, WINDOW)
    plain = tiles.TileDataset(pictures, index)
    changed = tiles.TileDataset(
        pictures, index, augment.preset("heavy"), [lambda p: p, lambda p: 255 - p]
    )
    last = len(index) - 1
    assert same(plain[0], changed[0])
    assert torch.equal(255 - plain[last][0], changed[last][0])
    assert plain[0][0].dtype == torch.uint8
    draw = tiles.Draw(0, seed=1, epoch=2, sample=3)
    pixels, masks = augment.preset("heavy")(*pictures[0].read(index.tile[0], WINDOW), (1, 2, 3))
    assert same(changed[draw], (torch.from_numpy(pixels).permute(2, 0, 1), torch.from_numpy(masks)))


def test_sixteen_bits_come_as_integers_that_torch_can_compute_with(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 65535, (40, 40, 1), np.uint16)
    np.save(tmp_path / "a.npy", pixels)
    picture = tiles.Picture(open_slide(tmp_path / "a.npy"), [RLE.empty((40, 40))])
    read, _ = tiles.TileDataset([picture], tiles.index([picture], 40))[0]
    assert read.dtype == torch.int32
    assert np.array_equal(read[0], pixels[:, :, 0])


def test_pictures_and_index_must_pair_up(pictures):
    index = tiles.index(pictures, WINDOW)
    with pytest.raises(ValueError, match=r"^1 pictures, and an index of 2: they do not pair up$"):
        tiles.TileDataset(pictures[:1], index)
    with pytest.raises(
        ValueError,
        match=r"^2 pictures and 1 functions to convert them, and an index of 2: they do not pair up$",
    ):
        tiles.TileDataset(pictures, index, convert=[np.copy])
