"""Pseudo labels: which images are kept, what a profile reads of them, their share of an epoch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kagglekit import competitions, slides, tiles, tune
from kagglekit.competitions import fake
from kagglekit.errors import DataError
from kagglekit.rle import RLE
from kagglekit.tiles import Index
from kagglekit.tune._pseudo import _doubt
from tests.test_tune_search import Made

KIDNEY = "hubmap-kidney-segmentation"
STEEL = "severstal-steel-defect-detection"


@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(0, 200), st.integers(1, 54))
def test_doubt_is_what_lies_between(seed, planes, low, more):
    values = np.random.default_rng(seed).integers(0, 256, (planes, 13, 17), np.uint8)
    low, high = (low + 0.5) / 255, (low + more + 0.5) / 255
    unsure, share = _doubt(tune.Prob(values, 1, (13, 17)), (*range(planes),), low, high)
    prob = values / 255
    wanted = ((prob > low) & (prob <= high)).any(0)
    could = (prob > low).any(0).sum()
    assert (unsure.to_mask().astype(bool) == wanted).all()
    assert share == (wanted.sum() / could if could else 0)


def prob_of(mask, rim=0):
    """Sure inside and outside, with some rows of doubt."""
    values = np.where(mask, 250, 5).astype(np.uint8)
    values[:rim] = 120
    return tune.Prob(values[None], 1, values.shape)


def unlabelled(tmp_path, slug=KIDNEY, **sizes):
    """A synthetic tree, and maps of its test images as a sure model makes them."""
    comp = competitions.load(slug)
    truth = fake.make(comp, tmp_path / "tree", seed=3, train=2, test=3, **sizes)
    return comp, comp.find_data(tmp_path / "tree"), truth


def test_sure_images_are_kept_and_read_as_truth(tmp_path):
    comp, data, truth = unlabelled(tmp_path, size=(120, 150))
    maps = {image: prob_of(masks[0].to_mask().astype(bool)) for image, masks in truth.items()}
    images = data.test_images()
    unsure, *kept = images
    height = maps[unsure].shape[0]
    maps[unsure] = prob_of(truth[unsure][0].to_mask().astype(bool), rim=height // 3)
    labels = tune.pseudo_labels(Made(maps), comp)
    assert sorted(labels.truth) == kept
    could = np.asarray(maps[unsure].values[0] > 51)
    wanted = (height // 3) * maps[unsure].shape[1] / could.sum()
    assert labels.left_out == {unsure: pytest.approx(wanted)}
    for _ in range(2):  # a second time finds the first one's links
        pseudo = labels.write(comp, images, tmp_path / "pseudo")
    assert list(pseudo.train_images()) == kept
    for image, path in pseudo.train_images().items():
        assert pseudo.truth(image) == truth[image]
        assert path.resolve() == images[image].resolve()
        with slides.open_slide(path) as slide:
            assert list(tiles.planes(pseudo)(image, slide)) == truth[image]


@pytest.mark.parametrize(
    "slug",
    ["severstal-steel-defect-detection", "data-science-bowl-2018", "carvana-image-masking-challenge",
     "uw-madison-gi-tract-image-segmentation"],
)  # fmt: skip
def test_every_kind_of_table(tmp_path, slug):
    comp, data, truth = unlabelled(tmp_path, slug, size=(64, 80))
    if not comp.test.visible:
        fake.make(comp, tmp_path / "hidden", seed=3, train=0, test=3, size=(64, 80), hidden=True)
        data = comp.find_data(tmp_path / "hidden")
        truth = {image: [] for image in data.test_images()}
    images, maps = data.test_images(), {}
    rows = comp.submission.rows
    for image, path in images.items():
        shape = data.shape(path)
        planes = [m.to_mask() for m in truth[image]] or [np.zeros(shape)] * 4
        if rows == "instances":
            planes = [np.any(planes, axis=0)]
        planes = planes[: len(comp.submission.classes) or 1]
        values = (np.stack(planes) > 0) * np.uint8(255)
        maps[image] = tune.Prob(values, 1, shape)
    labels = tune.pseudo_labels(Made(maps), comp)
    pseudo = labels.write(comp, images, tmp_path / "pseudo")
    assert list(pseudo.train_images()) == list(images)
    for image in images:
        found = pseudo.truth(image)
        if rows != "instances":
            assert len(found) == len(maps[image].values)
        union = np.any([m.to_mask() for m in found], axis=0) if found else np.zeros((1, 1))
        assert (union == (maps[image].values > 0).any(0)).all()


def test_cuts_and_finish_shape_the_masks(tmp_path):
    comp = competitions.load(KIDNEY)
    values = np.full((1, 10, 10), 0, np.uint8)
    values[0, 2:6, 2:6], values[0, 8, 8] = 240, 240
    store = Made({"a": tune.Prob(values, 1, (10, 10))})
    [mask] = tune.pseudo_labels(store, comp, cuts=[tune.Cut(min_size=2)]).truth["a"]
    assert mask.area == 16
    [mask] = tune.pseudo_labels(store, comp, finish=lambda planes: ~planes[0]).truth["a"]
    assert mask.area == 83


def test_a_plane_that_no_mask_is_made_of_is_no_doubt():
    values = np.full((2, 10, 10), 120, np.uint8)
    values[1] = 250
    store = Made({"a": tune.Prob(values, 1, (10, 10))}, planes=(1,))
    cuts = [tune.Cut(), tune.Cut(min_size=2)]
    labels = tune.pseudo_labels(store, competitions.load(KIDNEY), cuts=cuts)
    assert [mask.area for mask in labels.truth["a"]] == [100]


def test_as_many_cuts_as_planes():
    values = np.zeros((4, 8, 8), np.uint8)
    store = Made({"a": tune.Prob(values, 1, (8, 8))})
    for count in (1, 5):
        with pytest.raises(ValueError, match=f"^{count} cuts for the 4 planes of `a`$"):
            tune.pseudo_labels(store, competitions.load(STEEL), cuts=[tune.Cut()] * count)


def test_what_is_not_kept_any_more_goes(tmp_path):
    comp, data, truth = unlabelled(tmp_path, size=(120, 150))
    maps = {image: prob_of(masks[0].to_mask().astype(bool)) for image, masks in truth.items()}
    labels = tune.pseudo_labels(Made(maps), comp)
    written = labels.write(comp, data.test_images(), tmp_path / "pseudo")
    assert len(written.train_images()) == len(maps)
    kept = list(maps)[:1]
    few = tune.pseudo_labels(Made({image: maps[image] for image in kept}), comp)
    again = few.write(comp, data.test_images(), tmp_path / "pseudo")
    assert list(again.train_images()) == kept
    assert [image for image in kept if again.truth(image)] == kept


def test_an_image_with_nothing_in_it_is_sure():
    values = np.zeros((1, 8, 8), np.uint8)
    labels = tune.pseudo_labels(
        Made({"a": tune.Prob(values, 1, (8, 8))}), competitions.load(KIDNEY)
    )
    assert labels.truth["a"][0].area == labels.doubt["a"].area == 0


def test_what_lies_in_a_folder_is_not_lost(tmp_path):
    comp, data, truth = unlabelled(tmp_path, size=(120, 150))
    maps = {image: prob_of(masks[0].to_mask().astype(bool)) for image, masks in truth.items()}
    labels = tune.pseudo_labels(Made(maps), comp)
    before = {path: path.read_bytes() for path in data.root.rglob("*") if path.is_file()}
    with pytest.raises(DataError) as raised:
        labels.write(comp, data.test_images(), data.root)
    assert str(raised.value) == (
        f"`{data.root}` has other things in it, which would be lost\nhint: name a new folder"
    )
    assert {path: path.read_bytes() for path in data.root.rglob("*") if path.is_file()} == before
    with pytest.raises(DataError, match="^`images` has no file of 3 of them, e.g. `"):
        labels.write(comp, {}, tmp_path / "pseudo")
    assert not (tmp_path / "pseudo").exists()


def test_refusals(tmp_path):
    comp = competitions.load(KIDNEY)
    with pytest.raises(ValueError) as raised:
        tune.pseudo_labels(Made({}), comp, sure=(0.8, 0.2))
    assert str(raised.value) == (
        "sure=(0.8, 0.2) and most=0.1: expected 0 <= low < high <= 1, and a share in [0, 1]"
    )
    nothing = tune.PseudoLabels({}, {}, {"a": 0.5, "b": 0.4})
    with pytest.raises(DataError) as raised:
        nothing.write(comp, {}, tmp_path)
    assert str(raised.value) == (
        "none of 2 images is kept: nothing to write\nhint: raise `most`, or move `sure` together"
    )
    with pytest.raises(DataError) as raised:
        nothing.write(competitions.load("hubmap-hacking-the-human-vasculature"), {}, tmp_path)
    assert str(raised.value) == (
        "`hubmap-hacking-the-human-vasculature` has no table of train masks to write\n"
        "hint: give `truth` to tiles.Picture itself"
    )


@given(
    st.integers(2, 60), st.integers(0, 2**32), st.integers(10, 200),
    st.sampled_from([0.1, 0.3, 0.5, 0.9]), st.sampled_from([0.0, 0.25, 1.0]),
)  # fmt: skip
def test_a_share_of_every_epoch(count, seed, length, share, negatives):
    rng = np.random.default_rng(seed)
    pseudo = rng.permutation(np.arange(count) < max(1, count // 3))
    area = rng.integers(0, 3, (count, 1))
    index = Index(
        8, np.zeros(count, int), np.zeros((count, 4), int), area, np.ones(count, np.float32)
    )
    sampler = tune.mixed(index, pseudo, share, length, negatives, seed=5)
    for epoch in range(2):
        sampler.set_epoch(epoch)
        drawn = np.array([draw.tile for draw in sampler])
        assert len(drawn) == length
        assert pseudo[drawn].sum() == round(share * length)
        for kind in (pseudo, ~pseudo):
            empty = kind & (area[:, 0] == 0)
            if empty.any() and (kind & ~empty).any():
                mine = drawn[kind[drawn]]
                assert empty[mine].sum() == round(negatives * len(mine))


def test_both_kinds_must_be_there():
    index = Index(
        8, np.zeros(3, int), np.zeros((3, 4), int), np.ones((3, 1), int), np.ones(3, np.float32)
    )
    with pytest.raises(ValueError) as raised:
        tune.mixed(index, np.zeros(3, bool), 0.3)
    assert str(raised.value) == (
        "share=0.3 of 3 draws, from 3 true and 0 pseudo-labelled tiles of 3 in the index: "
        "expected draws of both kinds"
    )


def test_the_doubt_of_each_tile(tmp_path):
    rng = np.random.default_rng(2)
    pictures = []
    for k, shape in enumerate([(50, 70), (41, 33)]):
        np.save(tmp_path / f"{k}.npy", rng.integers(0, 256, (*shape, 3), np.uint8))
        slide = slides.open_slide(tmp_path / f"{k}.npy")
        pictures.append(tiles.Picture(slide, [RLE.empty(shape)], scale=2))
    index = tiles.index(pictures, window=8)
    unsure = rng.random((41, 33)) < 0.3
    found = tune.doubt_share(index, pictures, {1: RLE.from_mask(unsure.astype(np.uint8))})
    for share, which, (y0, y1, x0, x1) in zip(found, index.picture, index.tile * 2, strict=True):
        assert share == (unsure[y0:y1, x0:x1].mean() if which else 0)
