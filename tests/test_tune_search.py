"""The search against plain loops over pixels; what it keeps, tells, draws and hands on."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from kagglekit import competitions, models, plots, tune
from kagglekit.errors import DataError
from kagglekit.regions import components
from kagglekit.rle import RLE
from kagglekit.slides import open_slide
from kagglekit.submission import score_masks
from kagglekit.tune._measure import Measure
from kagglekit.tune._store import Prob
from kagglekit.tune._sums import THRESHOLDS, dice_sums
from tests.tune_worker import blobs, red, write_images

KIDNEY = competitions.load("hubmap-kidney-segmentation")
STEEL = competitions.load("severstal-steel-defect-detection")
BOWL = competitions.load("data-science-bowl-2018")


class Made(tune.Store):
    """Maps that are just there."""

    def __init__(self, maps, exclusive=False, planes=None):
        self.maps, self.exclusive, self._planes = maps, exclusive, planes

    def __len__(self):
        return len(self.maps)

    def __iter__(self):
        return iter(self.maps)

    def __getitem__(self, image):
        return self.maps[image]


def rle(mask):
    return RLE.from_mask(np.asarray(mask, np.uint8))


def noisy(rng, shape, gain, noise, cut=0.5):
    """A smooth picture in [0, 1], the mask of its upper part, and what a model might make of it."""
    picture = blobs(rng, shape, 12)[:, :, 0] / 255
    logits = gain * (picture - cut) + noise * rng.standard_normal(shape)
    prob = 255 / (1 + np.exp(-logits))
    return (picture > 0.6), prob.round().astype(np.uint8)


def case(count=6, gain=12.0, noise=0.5, cut=0.5, seed=0, shape=(60, 70)):
    rng = np.random.default_rng(seed)
    truth, maps = {}, {}
    for k in range(count):
        mask, prob = noisy(rng, shape, gain, noise, cut)
        truth[f"i{k}"] = [rle(mask)]
        maps[f"i{k}"] = Prob(prob[None], 1, shape)
    return Made(maps), truth


def plain_dice(mask, truth):
    total = mask.sum() + truth.sum()
    return 2 * (mask & truth).sum() / total if total else 1.0


def plain_cut(values, cut):
    """A mask of bytes by a cut, in plain pixels (one plane, scale 1)."""
    mask = values > 255 * cut.threshold
    eight = np.ones((3, 3))
    labels, count = ndimage.label(mask, eight)
    for k in range(1, count + 1):
        part = labels == k
        too_small = part.sum() < cut.min_size
        if too_small or (cut.high_threshold and values[part].max() <= 255 * cut.high_threshold):
            mask[part] = False
    labels, count = ndimage.label(~mask)
    border = {*labels[0], *labels[-1], *labels[:, 0], *labels[:, -1]}
    for k in range(1, count + 1):
        if k not in border and (labels == k).sum() <= cut.hole_size:
            mask[labels == k] = True
    return mask


@given(
    st.integers(0, 2**32),
    st.tuples(st.integers(1, 70), st.integers(1, 40)),
    st.sampled_from([1, 2, 3, 4]),
    st.booleans(),
    st.booleans(),
)
def test_one_look_gives_the_sums_of_255_thresholds(seed, shape, scale, exclusive, as_float):
    rng = np.random.default_rng(seed)
    small = [-(-side // scale) for side in shape]
    values = rng.integers(0, 256, (2, *small), np.uint8)
    if as_float:
        values = (values / 255).astype(np.float16)
    prob, true = Prob(values, scale, shape), rle(rng.random(shape) < 0.4)
    found = dice_sums(prob, 1, true, exclusive)
    assert len(found) == 255
    chosen = [int(k) for k in rng.choice(255, 6, replace=False)]
    masks = tune._cut.cut_planes(prob, [tune.Cut(THRESHOLDS[k]) for k in chosen], [1], exclusive)
    for k, [mask] in zip(chosen, masks, strict=True):
        # Where a byte is enlarged by 3, or is a float, rounding may put a pixel on either side.
        slack = 0 if scale in (1, 2, 4) and not as_float else 3
        assert abs(found[k].pred - mask.area) <= slack
        assert abs(found[k].both - (mask & true).area) <= slack
        assert found[k].truth == true.area


@given(
    st.integers(0, 2**32),
    st.integers(0, 254),
    st.integers(0, 254),
    st.integers(0, 30),
    st.integers(0, 30),
)
def test_a_cut_does_what_it_says(seed, low, high, min_size, hole_size):
    rng = np.random.default_rng(seed)
    values = blobs(rng, (30, 40), 4)[:, :, 0]
    cut = tune.Cut(THRESHOLDS[low], THRESHOLDS[high] if high > low else 0.0, min_size, hole_size)
    prob = Prob(values[None], 1, values.shape)
    [[found]] = tune._cut.cut_planes(prob, [cut], [0], False)
    assert (found.to_mask().astype(bool) == plain_cut(values, cut)).all()


def test_the_threshold_curve_is_the_metric_at_each_threshold():
    store, truth = case(count=5, cut=0.4)
    found = tune.search(store, KIDNEY, truth, parameters=["threshold"])
    curve = found.tuned[""][""].curves["threshold"]
    masks = {image: one[0].to_mask().astype(bool) for image, one in truth.items()}
    wanted = [
        np.mean([plain_dice(store[i].values[0] > 255 * t, masks[i]) for i in store])
        for t in curve.values
    ]
    assert np.allclose(curve.scores, wanted, rtol=0, atol=1e-12)
    assert curve.score >= max(wanted) - 0.002
    assert found.score == pytest.approx(curve.score, abs=1e-12)
    assert found.before == pytest.approx(wanted[127], abs=1e-12)
    assert found.score > found.before + 0.05  # the model says too much


def test_maps_are_looked_at_once(monkeypatch):
    store, truth = case(count=5)
    seen = []
    original = tune._measure.dice_sums
    monkeypatch.setattr(tune._measure, "dice_sums", lambda *a: (seen.append(1), original(*a))[1])
    groups = {f"i{k}": "ab"[k % 2] for k in range(5)}
    with pytest.warns(UserWarning, match="too few"):
        tune.search(store, KIDNEY, truth, groups, parameters=["threshold"])
    assert len(seen) == 5


def test_no_cut_is_counted_twice(monkeypatch):
    store, truth = case(count=5)
    asked = []
    original = tune._measure.cut_planes
    monkeypatch.setattr(
        tune._measure,
        "cut_planes",
        lambda prob, cuts, *a: (
            asked.extend((id(prob), c) for c in cuts),
            original(prob, cuts, *a),
        )[1],
    )
    tune.search(store, KIDNEY, truth)
    assert len(asked) == len(set(asked)) > 0


def specks(seed=1, count=6):
    """A disc with a hole that is none, and false specks around, all at the same probability."""
    rng = np.random.default_rng(seed)
    truth, maps = {}, {}
    y, x = np.mgrid[:80, :90]
    for k in range(count):
        far = np.hypot(y - 40, x - 45)
        prob = np.where(far < 25, 200, 20).astype(np.uint8)
        prob[38:41, 43:47] = 20  # a hole of 12 pixels
        for _ in range(9):
            a, b = rng.integers(0, 78), rng.choice([2, 8, 80, 86])
            prob[a : a + 2, b : b + 2] = 200  # specks of at most 16 pixels, when they touch
        truth[f"i{k}"] = [rle(far < 25)]
        maps[f"i{k}"] = Prob(prob[None], 1, prob.shape)
    return Made(maps), truth


def test_sizes_are_found_where_specks_and_holes_are():
    store, truth = specks()
    found = tune.search(store, KIDNEY, truth, tolerance=0.0005)
    [cut] = found.cuts()
    assert found.score == 1.0
    assert 4 < cut.min_size < 1900
    assert 12 <= cut.hole_size < 1900
    assert cut.high_threshold == 0
    assert found.before < 0.99
    low, high = found.tuned[""][""].curves["threshold"].plateau
    assert low > 20 / 255
    assert high < 200 / 255
    assert abs(cut.threshold - 110 / 255) < 0.05  # half-way between what it must tell apart


def test_a_double_threshold_is_found_where_it_is_what_tells():
    store, truth = specks()
    maps = {}
    for image, prob in store.items():
        values = prob.values.copy()
        values[0, :, :10] = np.minimum(values[0, :, :10], 150)
        values[0, :, 79:] = np.minimum(values[0, :, 79:], 150)
        # A rim that is no surer than the specks belongs to the disc.
        rim = truth[image][0].to_mask().astype(bool)
        inner = ndimage.binary_erosion(rim, iterations=3)
        values[0][rim & ~inner] = 140
        maps[image] = Prob(values, 1, prob.shape)
    found = tune.search(
        Made(maps), KIDNEY, truth, parameters=["threshold", "high_threshold"], tolerance=0.0005
    )
    [cut] = found.cuts()
    assert cut.threshold < 140 / 255
    assert 150 / 255 < cut.high_threshold < 200 / 255
    assert found.score > found.before + 0.005


def test_groups_get_cuts_of_their_own_and_small_ones_that_of_all():
    low, truth_low = case(count=6, cut=0.35, seed=1)
    high, truth_high = case(count=6, cut=0.75, seed=2)
    maps = {f"a{k}": p for k, p in low.maps.items()} | {f"b{k}": p for k, p in high.maps.items()}
    truth = {f"a{k}": t for k, t in truth_low.items()} | {f"b{k}": t for k, t in truth_high.items()}
    groups = {image: image[0] for image in truth}
    groups["bi5"] = "c"
    with pytest.warns(UserWarning, match="too few") as warned:
        found = tune.search(Made(maps), KIDNEY, truth, groups, parameters=["threshold"])
    assert [str(each.message) for each in warned] == [
        "too few images to tune on, expected at least 5: c (1); groups of few are cut as all images are"
    ]
    assert list(found.tuned) == ["", "a", "b", "c"]
    [a], [b], [c], [every] = (found.cuts(group) for group in ("a", "b", "c", ""))
    assert a.threshold > every.threshold > b.threshold
    assert c == every
    assert found.cuts("d") == (every,)
    alone = tune.search(
        Made({i: maps[i] for i in maps if i[0] == "a"}), KIDNEY, truth, parameters=["threshold"]
    )
    assert alone.cuts() == (a,)
    assert found.score > found.tuned[""][""].score  # each its own is better than one for all


def test_images_of_no_group_are_cut_as_all_are():
    store, truth = case(count=12)
    groups = {image: ("", None, "a")[k // 2] if k < 6 else "a" for k, image in enumerate(store)}
    found = tune.search(store, KIDNEY, truth, groups, parameters=["threshold"])
    assert {name: of[""].images for name, of in found.tuned.items()} == {"": 12, "a": 8}
    alone = tune.search(store, KIDNEY, truth, parameters=["threshold"])
    assert found.cuts() == found.cuts("b") == alone.cuts()


def test_groups_that_a_recipe_could_not_keep():
    store, truth = case(count=5)
    with pytest.raises(ValueError) as raised:
        tune.search(store, KIDNEY, truth, {"i3": 2})
    assert str(raised.value) == (
        "groups are texts, or None, not 2 as of `i3`: a recipe keeps their cuts by name"
    )
    with pytest.raises(ValueError, match="^group=2 must be the text that the search had$"):
        tune.cuts_of(models.Recipe(), 2)


def test_few_images_are_told_of():
    store, truth = case(count=4)
    with pytest.warns(UserWarning, match="too few") as warned:
        tune.search(store, KIDNEY, truth, parameters=["threshold"])
    assert str(warned[0].message) == "too few images to tune on, expected at least 5: all (4)"


def test_each_class_has_a_cut_of_its_own():
    rng = np.random.default_rng(3)
    maps, truth = {}, {}
    for k in range(5):
        pairs = [noisy(rng, (40, 50), 12.0, 0.5, cut) for cut in (0.35, 0.5, 0.6, 0.75)]
        truth[f"i{k}"] = [rle(mask) for mask, _ in pairs]
        maps[f"i{k}"] = Prob(np.stack([prob for _, prob in pairs]), 1, (40, 50))
    found = tune.search(Made(maps), STEEL, truth)
    cuts = found.cuts()
    thresholds = [cut.threshold for cut in cuts]
    assert thresholds == sorted(thresholds, reverse=True)
    masks = {
        image: [rle(plain_cut(v, cut)) for v, cut in zip(prob.values, cuts, strict=True)]
        for image, prob in maps.items()
    }
    shapes = dict.fromkeys(maps, (40, 50))
    assert found.score == score_masks(masks, shapes, STEEL, truth).value
    assert found.score == pytest.approx(np.mean([t.score for t in found.tuned[""].values()]))


def test_planes_that_no_mask_is_made_of_change_nothing():
    rng = np.random.default_rng(3)
    maps, behind, truth = {}, {}, {}
    for k in range(5):
        pairs = [noisy(rng, (40, 50), 12.0, 0.5, cut) for cut in (0.35, 0.5, 0.6, 0.75)]
        truth[f"i{k}"] = [rle(mask) for mask, _ in pairs]
        values = np.stack([prob for _, prob in pairs])
        maps[f"i{k}"] = Prob(values, 1, (40, 50))
        background = 255 - values.max(0, keepdims=True)
        behind[f"i{k}"] = Prob(np.concatenate([values[::-1], background]), 1, (40, 50))
    plain = tune.search(Made(maps), STEEL, truth)
    found = tune.search(Made(behind, planes=(3, 2, 1, 0)), STEEL, truth)
    assert found.tuned == plain.tuned
    assert (found.score, found.before) == (plain.score, plain.before)
    assert found.cuts() == (*plain.cuts()[::-1], tune.Cut())
    assert found.changes()["threshold"] == tuple(cut.threshold for cut in found.cuts())


def test_one_plane_of_two_is_tuned_as_if_it_were_alone():
    store, truth = case()
    both = {
        i: Prob(np.concatenate([255 - p.values, p.values]), 1, p.shape) for i, p in store.items()
    }
    found, plain = (tune.search(each, KIDNEY, truth) for each in (Made(both, planes=(1,)), store))
    assert found.tuned == plain.tuned
    assert (found.score, found.before) == (plain.score, plain.before)
    assert found.cuts() == plain.cuts() * 2


def test_exclusive_planes_are_tuned_as_they_are_predicted():
    rng = np.random.default_rng(5)
    maps, truth = {}, {}
    for k in range(5):
        values = np.stack([blobs(rng, (40, 50))[:, :, 0] for _ in range(4)])
        winner = values.argmax(0)
        truth[f"i{k}"] = [rle((winner == p) & (values[p] > 100)) for p in range(4)]
        maps[f"i{k}"] = Prob(values, 1, (40, 50))
    assert tune.search(Made(maps, True), STEEL, truth, parameters=["threshold"]).score > 0.995
    assert tune.search(Made(maps), STEEL, truth, parameters=["threshold"]).score < 0.9


def test_instances_are_measured_as_instances():
    rng = np.random.default_rng(7)
    maps, truth = {}, {}
    for k in range(5):
        mask, prob = noisy(rng, (60, 70), 12.0, 0.2, 0.4)
        truth[f"i{k}"] = components(rle(mask))
        maps[f"i{k}"] = Prob(prob[None], 1, (60, 70))
    found = tune.search(Made(maps), BOWL, truth, parameters=["threshold", "min_size"])
    [cut] = found.cuts()
    shapes = dict.fromkeys(maps, (60, 70))

    def score(cut):
        masks = {i: components(rle(plain_cut(p.values[0], cut))) for i, p in maps.items()}
        return score_masks(masks, shapes, BOWL, truth).value

    assert found.score == score(cut)
    assert found.before == score(tune.Cut())
    assert found.score > found.before + 0.1
    whole = tune.search(
        Made(maps), BOWL, truth, parameters=["threshold"], finish=lambda planes: planes
    )
    assert whole.score < found.score  # one mask for all is no way to make instances


def test_a_threshold_near_zero_is_found():
    """A timid network of surfaces or instances may be best at a hundredth."""
    maps, truth = {}, {}
    for k in range(5):
        values = np.full((1, 40, 50), 3, np.uint8)
        values[0, 5 + k : 20, 10:30] = 5
        maps[f"i{k}"] = Prob(values, 1, (40, 50))
        truth[f"i{k}"] = [rle(values[0] > 4)]
    found = tune.search(Made(maps), BOWL, truth, parameters=["threshold"])
    assert found.score == 1
    assert 3 < found.cuts()[0].threshold * 255 < 5


@pytest.mark.parametrize(
    "slug",
    [
        "uw-madison-gi-tract-image-segmentation",
        "blood-vessel-segmentation",
        "hubmap-hacking-the-human-vasculature",
        "tgs-salt-identification-challenge",
        "vesuvius-challenge-ink-detection",
        "google-research-identify-contrails-reduce-global-warming",
    ],
)
def test_every_metric_finds_the_threshold_between_true_and_false(slug):
    """True pixels are at 180, false ones at 140: the half is far too low."""
    comp, rng = competitions.load(slug), np.random.default_rng(1)
    planes = len(comp.submission.classes) or 1
    maps, truth = {}, {}
    for k in range(6):
        pictures = [blobs(rng, (24, 30), 6)[:, :, 0] for _ in range(planes)]
        values = np.stack([np.select([p > 150, p > 110], [180, 140], 20) for p in pictures])
        image = f"case1_day1_slice_{k:04}"
        maps[image] = Prob(values.astype(np.uint8), 1, (24, 30))
        truth[image] = [rle(p > 150) for p in pictures]
        if comp.submission.rows == "instances":
            truth[image] = components(truth[image][0])
    found = tune.search(Made(maps), comp, truth, parameters=["threshold", "min_size"])
    assert found.score == pytest.approx(1.0)
    assert found.before < 0.9
    for cut in found.cuts():
        assert 140 / 255 < cut.threshold < 180 / 255
        assert cut.min_size == 0


def test_rows_of_one_are_united_whatever_makes_them():
    store, truth = case(count=5, cut=0.4)
    plain = tune.search(store, KIDNEY, truth, parameters=["threshold"])
    in_parts = tune.search(
        store, KIDNEY, truth, parameters=["threshold"], finish=lambda planes: components(planes[0])
    )
    assert in_parts.before == plain.before
    assert in_parts.score == pytest.approx(plain.score, abs=0.002)


def test_a_single_measure_keeps_to_the_images_asked_for():
    store, truth = case(count=3)
    measure = Measure(store, KIDNEY, truth, None, None)
    [one] = measure.scores(["i1"], [tune.Cut(THRESHOLDS[127])])
    assert one == plain_dice(store["i1"].values[0] > 127, truth["i1"][0].to_mask().astype(bool))


def test_what_was_found_is_kept_in_the_recipe_and_used(tmp_path):
    images = write_images(tmp_path / "images", [(60, 70)] * 6)
    model = red(-1.0)
    store = tune.probabilities(model, images, tmp_path / "p", "float16", progress=False)
    truth, pixels = {}, {}
    for image, path in images.items():
        pixels[image] = cv2.imread(str(path))[:, :, 2]
        truth[image] = [rle(ndimage.binary_opening(pixels[image] > 150, iterations=2))]
    groups = dict.fromkeys(images, "x")
    found = tune.search(store, KIDNEY, truth, groups, tolerance=0.0)
    models.save(model_file(model), tmp_path / "m.safetensors", **found.changes())
    recipe = models.Recipe.from_json(recipe_text(tmp_path / "m.safetensors"))
    assert tune.cuts_of(recipe, "x") == list(found.cuts("x"))
    assert tune.cuts_of(recipe, "y") == list(found.cuts())
    assert recipe.thresholds == (found.cuts()[0].threshold,)
    tuned = replace(model.recipe, cuts=json.loads(json.dumps(found.changes()["cuts"])))
    model.recipe = tuned
    for image, path in images.items():
        with open_slide(path) as slide:
            [mask] = tune.predict_masks(model, slide, "x", progress=False)
        logits = np.log(
            (pixels[image] / 255).clip(1e-6, 1 - 1e-6)
            / (1 - (pixels[image] / 255).clip(1e-6, 1 - 1e-6))
        )
        prob = 255 / (1 + np.exp(1.0 - logits))
        assert (mask.to_mask().astype(bool) == plain_cut(prob, found.cuts("x")[0])).all()


def test_a_recipe_s_cuts_are_used_plane_by_plane(tmp_path):
    images = write_images(tmp_path, [(60, 70)], seed=7)
    low, middle, high = (THRESHOLDS[k] for k in (76, 101, 203))
    cuts = [tune.Cut(middle, 0.0, 60, 20), tune.Cut(low, high), tune.Cut(middle)]
    model = red(planes=3)
    model.recipe = replace(model.recipe, cuts={"": [vars(cut) for cut in cuts]})
    pixels = cv2.imread(str(images["i0"]))[:, :, ::-1]
    with open_slide(images["i0"]) as slide:
        masks = tune.predict_masks([model], slide, "anything", progress=False)
        assert tune.predict_masks(model, slide, planes=None, progress=False) == masks
        chosen = tune.predict_masks(model, slide, planes=(2, 0, 2), progress=False)
        for name in ("threshold", "high_threshold"):
            with pytest.raises(ValueError) as raised:
                tune.predict_masks(model, slide, **{name: 0.9}, progress=False)
            assert str(raised.value) == (
                f"{name} cannot be given: the cuts in the model's recipe say; "
                "inference.predict_masks takes thresholds"
            )
        for planes in ([3], 1, [1.0]):
            with pytest.raises(ValueError, match="must be a list of whole numbers from 0 to 2"):
                tune.predict_masks(model, slide, planes=planes, progress=False)
    assert chosen == [masks[2], masks[0], masks[2]]
    for plane, (mask, cut) in enumerate(zip(masks, cuts, strict=True)):
        wanted = plain_cut(pixels[:, :, plane], cut)
        assert (mask.to_mask().astype(bool) == wanted).all()
        if not cut.is_bare:  # what comes after the threshold changes something
            assert (wanted != (pixels[:, :, plane] > 255 * cut.threshold)).any()


def model_file(model):
    """The same recipe with a network that can be saved."""
    return models.Model(model.net, model.recipe)


def recipe_text(path):
    metadata, _ = models._checkpoint.read_safetensors(path)
    return metadata["kagglekit"]


def test_without_cuts_there_is_nothing_to_predict_by(tmp_path):
    images = write_images(tmp_path, [(40, 40)])
    with open_slide(images["i0"]) as slide, pytest.raises(ValueError) as raised:
        tune.predict_masks(red(), slide, "x")
    assert str(raised.value) == (
        "the model's recipe holds no cuts: save it with those that were found, "
        "models.save(model, path, **tune.search(...).changes())"
    )


def test_the_table_and_the_picture(tmp_path):
    store, truth = case(count=11, cut=0.4)
    groups = {image: "few" if image == "i10" else "kidney" for image in store}
    with pytest.warns(UserWarning, match="too few"):
        found = tune.search(store, KIDNEY, truth, groups)
    lines = found.table().splitlines()
    assert (
        lines[0] == f"mean dice {found.before:.4f} at a threshold of 0.5, {found.score:.4f} tuned"
    )
    assert lines[2].split() == [
        "images",
        "0.5",
        "tuned",
        "threshold",
        "plateau",
        "high",
        "size",
        "hole",
    ]
    assert [line.split()[:2] for line in lines[3:]] == [
        ["all", "11"],
        ["few", "1"],
        ["kidney", "10"],
    ]
    assert "as for all" in lines[4]
    assert len({len(line) for line in lines[2:]}) == 1
    found.draw(tmp_path / "plateau.png")
    picture = cv2.imread(str(tmp_path / "plateau.png"))
    assert picture.shape == (8 * 200, 640, 3)


def test_the_plateau_is_drawn_where_it_is():
    values, scores = [1, 2, 3, 4, 5], [0.1, 0.9, 0.9, 0.9, 0.2]
    picture = plots.plateau("size", values, scores, (2, 4), 3)
    row = picture[150]
    shaded = np.flatnonzero((row == (217, 240, 231)).all(axis=1))
    left, right = 90, 620
    assert abs(shaded.min() - (left + 0.25 * (right - left))) <= 3
    assert abs(shaded.max() - (left + 0.75 * (right - left))) <= 3
    line = np.flatnonzero((row == plots.ONLY_PREDICTED).all(axis=1))
    assert abs(line.mean() - (left + right) / 2) <= 1


def test_refusals():
    store, truth = case(count=5)
    with pytest.raises(ValueError) as raised:
        tune.search(store, KIDNEY, truth, parameters=["threshold", "size"])
    assert str(raised.value) == (
        "5 images and parameters=('threshold', 'size'): expected at least one image, "
        "and some of threshold, high_threshold, min_size, hole_size"
    )
    for tolerance in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"^tolerance={tolerance} must be at least 0$"):
            tune.search(store, KIDNEY, truth, tolerance=tolerance)
    with pytest.raises(ValueError) as raised:
        tune.search(store, STEEL, truth)
    assert str(raised.value) == (
        "masks are made of the planes 0, and `severstal-steel-defect-detection` has the 4 classes "
        "1, 2, 3, 4: give the store planes, one for each class, or give finish, which makes their "
        "masks of the planes"
    )
    with pytest.raises(ValueError, match="^masks are made of the planes 0, 0, 0, 0, and"):
        tune.search(Made(store.maps, planes=(0, 0, 0, 0)), STEEL, truth)
    with pytest.raises(ValueError, match=r"^planes=\[1\]: the maps have those from 0 to 0$"):
        tune.search(Made(store.maps, planes=(1,)), KIDNEY, truth)
    with pytest.raises(DataError) as raised:
        tune.search(store, KIDNEY, {"i0": truth["i0"]})
    assert str(raised.value) == "no truth for 4 images\n  - i1\n  - i2\n  - i3\n  - i4"


def test_a_finish_that_returns_nothing_is_named():
    store, truth = case(count=5)
    with pytest.raises(ValueError) as raised:
        tune.search(store, KIDNEY, truth, finish=lambda planes: None)
    assert str(raised.value) == (
        "finish returned None; expected the masks of an image, a list of RLEs"
    )
