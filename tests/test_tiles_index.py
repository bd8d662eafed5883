import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kagglekit import tiles
from kagglekit.rle import RLE
from kagglekit.slides import open_slide, tissue_mask


def make_picture(tmp_path, shape=(210, 330), scale=2, seed=0):
    rng = np.random.default_rng(seed)
    pixels = np.full((*shape, 3), 240, np.uint8)
    pixels[30:150, 100:260] = rng.integers(0, 255, (120, 160, 3))
    masks = [(rng.random(shape) < 0.1).astype(np.uint8), np.zeros(shape, np.uint8)]
    masks[1][40:90, 200:215] = 1
    path = tmp_path / f"{seed}.npy"
    np.save(path, pixels)
    orders = ("F", "C")
    rles = [RLE.from_mask(mask, order) for mask, order in zip(masks, orders, strict=True)]
    return tiles.Picture(open_slide(path), rles, scale), masks


@pytest.mark.parametrize("scale", [1, 2, 3])
@pytest.mark.parametrize("side", [1024, 70])  # a thumbnail as large as the slide, and a small one
def test_areas_and_tissue_are_those_of_the_whole_arrays(tmp_path, monkeypatch, scale, side):
    made = [make_picture(tmp_path, seed=seed, scale=scale) for seed in (0, 1)]
    slide_type = type(made[0][0].slide)
    read = slide_type.thumbnail
    monkeypatch.setattr(slide_type, "thumbnail", lambda self: read(self, side))
    index = tiles.index([picture for picture, _ in made], window=40, min_overlap=7)
    assert set(index.picture) == {0, 1}
    for i in range(len(index)):
        picture, masks = made[index.picture[i]]
        y0, y1, x0, x1 = index.tile[i] * scale
        assert index.area[i].tolist() == [mask[y0:y1, x0:x1].sum() for mask in masks]
        thumbnail, factor = picture.slide.thumbnail()
        whole = tissue_mask(thumbnail).repeat(factor, axis=0).repeat(factor, axis=1)
        whole = whole[: picture.slide.shape[0], : picture.slide.shape[1]]
        assert index.tissue[i] == pytest.approx(whole[y0:y1, x0:x1].mean(), abs=1e-6)
    assert index.tissue.max() - index.tissue.min() > 0.6


@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.integers(8, 40),
    st.integers(0, 7),
    st.tuples(st.integers(0, 60), st.integers(0, 60)),
)
def test_shifted_grids_stay_inside_cover_everything_and_repeat_nothing(shape, window, overlap, by):
    from kagglekit.tiles._index import _grid

    grid = _grid(shape, window, overlap, [(0, 0), by])
    assert len(np.unique(grid, axis=0)) == len(grid)
    seen = np.zeros(shape, bool)
    for y0, y1, x0, x1 in grid:
        assert 0 <= y0 < y1 <= shape[0]
        assert 0 <= x0 < x1 <= shape[1]
        assert (y1 - y0, x1 - x0) == (min(window, shape[0]), min(window, shape[1]))
        seen[y0:y1, x0:x1] = True
    assert seen.all()
    alone = _grid(shape, window, overlap, [(0, 0)])
    assert {tuple(tile) for tile in alone} <= {tuple(tile) for tile in grid}


def test_a_shifted_grid_shows_whole_what_the_first_cuts(tmp_path):
    picture, _ = make_picture(tmp_path, (256, 266), scale=2)
    index = tiles.index([picture], 64, min_overlap=8, shifts=[(0, 0), (32, 32)])
    corners = {tuple(tile) for tile in index.tile[:, [0, 2]].tolist()}
    plain = {(y, x) for y in (0, 32, 64) for x in (0, 34, 69)}
    assert corners == plain | {(y, x) for y in (32, 64) for x in (32, 66, 69)}


def test_tiles_can_be_selected_and_written_as_a_table(tmp_path):
    picture, _ = make_picture(tmp_path)
    index = tiles.index([picture], 32)
    some = index.select(index.area[:, 1] > 0)
    assert 0 < len(some) < len(index)
    assert (some.area[:, 1] > 0).all()
    some.to_csv(tmp_path / "index.csv", ["slide"])
    table = pd.read_csv(tmp_path / "index.csv")
    assert list(table) == ["picture", "y0", "y1", "x0", "x1", "area_0", "area_1", "tissue"]
    assert (table[["y0", "y1", "x0", "x1"]].to_numpy() == some.tile).all()
    assert (table.picture == "slide").all()


def test_what_cannot_be_listed_is_refused(tmp_path):
    picture, _ = make_picture(tmp_path)
    other = tiles.Picture(picture.slide, picture.masks[:1])
    with pytest.raises(
        ValueError,
        match=r"^2 picture\(s\) with \[1, 2\] masks: expected at least one picture, and as many masks for each$",
    ):
        tiles.index([picture, other], 32)
    with pytest.raises(ValueError, match=r"^shifts=\(\(0, -3\),\): none can be negative$"):
        tiles.index([picture], 32, shifts=[(0, -3)])
