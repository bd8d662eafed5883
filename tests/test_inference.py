from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import rasterio
import tifffile
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from kagglekit import scratch
from kagglekit.inference import (
    _job,
    _predict,
    _sweep,
    predict,
    predict_mask,
    predict_masks,
    predict_prob,
)
from kagglekit.inference._runs import assemble
from kagglekit.models import Model, Recipe, build
from kagglekit.scaling import shrink
from kagglekit.slides import open_slide
from kagglekit.tiling import Blend


def smooth_picture(shape, channels=3, seed=0):
    """Blobs that a threshold cuts somewhere, without pixels exactly at it."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, channels, 2 + shape[0] // 16, 2 + shape[1] // 16, generator=generator)
    fine = F.interpolate(coarse, shape, mode="bicubic", align_corners=False)[0]
    return (fine.clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy()


@pytest.fixture
def slide_of(tmp_path):
    """Write pixels as a tiled TIFF and open it."""
    opened = []

    def make(pixels):
        path = tmp_path / f"{len(opened)}.tiff"
        height, width, channels = pixels.shape
        with (
            pytest.warns(rasterio.errors.NotGeoreferencedWarning),
            rasterio.open(
                path, "w", driver="GTiff", height=height, width=width, count=channels,
                dtype=pixels.dtype, tiled=True, blockxsize=64, blockysize=64,
            ) as file,
        ):  # fmt: skip
            file.write(pixels.transpose(2, 0, 1))
        opened.append(open_slide(path))
        return opened[-1]

    yield make
    for slide in opened:
        slide.close()


class FirstChannel(nn.Module):
    """An identity network: its logit is the red value, so prob > 0.5 is red > 127.5."""

    def __init__(self, planes=1):
        super().__init__()
        self.planes = planes

    def forward(self, x):
        return (x[:, : self.planes] - 0.5) * 20


def identity(planes=1, **recipe):
    recipe = {"window": 64, "stride": 32} | recipe
    return Model(
        FirstChannel(planes), Recipe(classes=planes, mean=(0.0,), std=(1.0,), **recipe)
    ).eval()


class Constant(nn.Module):
    """Answers the same everywhere: one probability per plane."""

    def __init__(self, *probs):
        super().__init__()
        self.logits = nn.Parameter(torch.logit(torch.tensor(probs)))

    def forward(self, x):
        return self.logits[None, :, None, None].expand(len(x), -1, *x.shape[2:])


def constant(*probs, **recipe):
    recipe = {"window": 64} | recipe
    return Model(Constant(*probs), Recipe(classes=len(probs), **recipe)).eval()


class Count(nn.Module):
    """Notes the sizes of the batches that a network is given."""

    def __init__(self, net):
        super().__init__()
        self.net, self.sizes = net, []

    def forward(self, x):
        self.sizes.append(len(x))
        return self.net(x)


def small_unet(scale=1, seed=0, in_channels=3):
    torch.manual_seed(seed)
    recipe = Recipe(
        "unet", {"width": 4, "depth": 2}, scale=scale, window=96, stride=4, in_channels=in_channels,
        mean=(0.5,), std=(0.1,),
    )  # fmt: skip
    model = build(recipe).eval()
    # Untrained, it answers 0.5 ± 0.01 everywhere and every second pixel is a tie; a trained one is sure.
    model.net.head.weight.data *= 100
    return model


def middle(model):
    """A threshold in the middle of what an untrained model says, on no value of it."""
    side = 96 * model.recipe.scale
    sample = torch.from_numpy(shrink(smooth_picture((side, side)), model.recipe.scale))
    with torch.inference_mode():
        return float(model(sample.permute(2, 0, 1)[None]).sigmoid().median()) + 3e-3


def whole_array(model, pixels, min_overlap, threshold=0.5):
    """What predict_mask must return, done plainly: everything in memory, one window after another."""
    recipe, (height, width, _) = model.recipe, pixels.shape
    s, w = recipe.scale, recipe.window
    h_small, w_small = -(-height // s), -(-width // s)
    padded = np.pad(pixels, ((0, h_small * s - height), (0, w_small * s - width), (0, 0)), "edge")
    means = padded.reshape(h_small, s, w_small, s, -1).astype(float).mean((1, 3))
    small = np.floor(means + 0.5) if s > 1 else means

    def positions(size):
        window = min(w, -(-size // recipe.stride) * recipe.stride)
        step = (w - min_overlap) // recipe.stride * recipe.stride
        last = -(-(size - window) // recipe.stride) * recipe.stride if size > window else 0
        return window, [*range(0, last, step), last]

    (wh, ys), (ww, xs) = positions(h_small), positions(w_small)
    canvas = np.pad(
        small, ((0, ys[-1] + wh - h_small), (0, xs[-1] + ww - w_small), (0, 0)), mode="reflect"
    )

    def ramps(window, starts):
        out = []
        for i in range(len(starts)):
            weight = np.ones(window)
            for x in range(window):
                for j in (i - 1, i + 1):
                    if 0 <= j < len(starts):
                        shared = window - abs(starts[i] - starts[j])
                        depth = x + 0.5 if j < i else window - x - 0.5
                        if shared > 0:
                            rise = (depth - shared / 4) / (shared / 2)
                            weight[x] = min(weight[x], max(0.0, min(1.0, rise)))
            out.append(weight)
        return out

    total, norm = np.zeros(canvas.shape[:2]), np.zeros(canvas.shape[:2])
    for y, wy in zip(ys, ramps(wh, ys), strict=True):
        for x, wx in zip(xs, ramps(ww, xs), strict=True):
            tile = torch.from_numpy(canvas[None, y : y + wh, x : x + ww]).permute(0, 3, 1, 2)
            with torch.inference_mode():
                prob = model(tile.float()).sigmoid()[0, 0].numpy()
            total[y : y + wh, x : x + ww] += prob * np.outer(wy, wx)
            norm[y : y + wh, x : x + ww] += np.outer(wy, wx)
    prob = (total / norm)[:h_small, :w_small]
    big = F.interpolate(
        torch.from_numpy(prob)[None, None], scale_factor=s, mode="bilinear", align_corners=False
    )[0, 0].numpy()
    return (big[:height, :width] > threshold).astype(np.uint8)


@pytest.mark.parametrize("shape", [(300, 421), (97, 130), (40, 500), (96, 96), (31, 17), (1, 1)])
@pytest.mark.parametrize("scale", [1, 3])
def test_equals_the_plain_whole_array_way_to_the_pixel(slide_of, shape, scale):
    model, pixels = small_unet(scale), smooth_picture(shape)
    threshold = middle(small_unet())
    mask = predict_mask(
        model, slide_of(pixels), min_overlap=32, threshold=threshold, progress=False
    )
    expected = whole_array(model, pixels, 32, threshold)
    assert mask.order == "F"
    assert np.array_equal(mask.to_mask(), expected)
    if min(shape) > 90 and scale == 1:
        assert 0 < mask.area < expected.size  # something was found, and not everywhere


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 200), st.integers(1, 200), st.sampled_from(["none", "hflip", "flips", "d4"]),
    st.sampled_from([0, 16, 32]), st.sampled_from([1, 3]),
)  # fmt: skip
def test_an_identity_network_returns_the_image_itself(
    slide_of, height, width, tta, min_overlap, batch_size
):
    pixels = smooth_picture((height, width), seed=height)
    mask = predict_mask(
        identity(), slide_of(pixels), tta=tta, min_overlap=min_overlap, batch_size=batch_size,
        progress=False,
    )  # fmt: skip
    assert np.array_equal(mask.to_mask(), pixels[:, :, 0] > 127)


def test_tiled_equals_untiled_where_the_dead_margin_covers_the_receptive_field(slide_of):
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(3, 4, 5, padding=2), nn.ReLU(), nn.Conv2d(4, 1, 5, padding=2))
    recipe = Recipe(mean=(0.5,), std=(0.1,), window=64, stride=32)
    model = Model(net, recipe).eval()
    pixels = smooth_picture((192, 256))
    with torch.inference_mode():
        prob = model(torch.from_numpy(pixels).permute(2, 0, 1)[None]).sigmoid()[0, 0].numpy()
    cut = float(np.median(prob))
    near = np.abs(prob - cut) < 1e-6  # float rounding may fall either way on the threshold itself
    mask = predict_mask(model, slide_of(pixels), min_overlap=32, threshold=cut, progress=False)
    assert ((mask.to_mask() == (prob > cut)) | near).all()
    assert near.mean() < 1e-3


def test_planes_come_back_one_by_one(slide_of):
    pixels = smooth_picture((100, 70))
    masks = predict_masks(identity(planes=3), slide_of(pixels), progress=False)
    for plane, mask in enumerate(masks):
        assert np.array_equal(mask.to_mask(), pixels[:, :, plane] > 127)


def test_thresholds_of_the_recipe_one_per_plane(slide_of):
    pixels = smooth_picture((100, 70))
    logit = (200 / 255 - 0.5) * 20
    high = 1 / (1 + np.exp(-logit))
    low, red = predict_masks(
        identity(planes=2, threshold=(high, 0.5)), slide_of(pixels), progress=False
    )
    assert abs(low.area - (pixels[:, :, 0] > 200).sum()) <= (pixels[:, :, 0] == 200).sum()
    assert red.area == (pixels[:, :, 1] > 127).sum()


def answers(models, slide, prob, **options):
    """Tell whether the models' answer, the same everywhere, is `prob` within 0.005."""
    areas = [
        predict_mask(models, slide, threshold=prob + off, progress=False, **options).area
        for off in (-0.005, 0.005)
    ]
    return areas == [slide.shape[0] * slide.shape[1], 0]


def test_an_ensemble_averages_probabilities_or_logits_with_weights(slide_of):
    slide = slide_of(smooth_picture((50, 50)))
    models = [constant(0.9), constant(0.3)]
    assert answers(models, slide, 0.6)
    assert answers(models, slide, 0.75, weights=[3, 1])
    logit = (np.log(0.9 / 0.1) + np.log(0.3 / 0.7)) / 2
    assert answers(models, slide, 1 / (1 + np.exp(-logit)), mean="logit", tta="flips")
    assert answers(models, slide, (0.9**3 * 0.3) ** 0.25, mean="geometric", weights=[3, 1])
    several = [constant(0.9), constant(0.3, scale=2)]
    assert answers(several, slide, (0.9 * 0.3) ** 0.5, mean="geometric")


@pytest.mark.parametrize("shape", [(130, 201), (201, 130), (40, 33)])
def test_models_of_several_scales_and_windows_are_averaged_at_the_finest(slide_of, shape):
    pixels = smooth_picture(shape)
    slide = slide_of(pixels)
    assert answers([constant(0.9), constant(0.3, scale=2)], slide, 0.6)
    assert answers(
        [constant(0.9, scale=2), constant(0.3, scale=6)],
        slide,
        0.8,
        weights=[5, 1],
        window=[64, 32],
    )
    # Where the picture is flat in the coarse model's eyes too, both say the same.
    flat = slide_of(np.full((*shape, 3), 200, np.uint8))
    models = [identity(), identity(scale=3)]
    assert predict_mask(models, flat, progress=False).area == shape[0] * shape[1]


def test_a_coarse_member_alone_equals_it_in_an_ensemble_with_little_weight(slide_of):
    slide = slide_of(smooth_picture((150, 260)))
    coarse, fine = small_unet(4), small_unet(1, seed=5)
    options = {"threshold": middle(coarse), "progress": False}
    alone = predict_mask(coarse, slide, **options)
    both = predict_mask([fine, coarse], slide, weights=[1e-9, 1], **options)
    # The fine one sets the scale: the coarse map is enlarged to it before anything is decided.
    assert alone.area > 100
    assert alone.dice(both) > 0.999


def test_grey_slides_are_repeated_for_a_colour_model(slide_of):
    pixels = smooth_picture((60, 60), channels=1)
    mask = predict_mask(identity(), slide_of(pixels), progress=False)
    assert np.array_equal(mask.to_mask(), pixels[:, :, 0] > 127)


@pytest.mark.parametrize("shape", [(500, 333), (333, 500)])
@pytest.mark.parametrize("scale", [1, 2])
def test_every_pixel_is_read_once_and_every_block_counted(slide_of, monkeypatch, shape, scale):
    slide = slide_of(smooth_picture(shape))
    seen = np.zeros(slide.shape, int)
    read = type(slide).read

    def counting(self, y0, y1, x0, x1, scale=1):
        seen[y0:y1, x0:x1] += 1
        return read(self, y0, y1, x0, x1, scale)

    monkeypatch.setattr(type(slide), "read", counting)
    stats = predict(identity(scale=scale), slide, progress=False).stats
    assert (seen == 1).all()
    assert stats.blocks == -(-shape[0] // 64) * -(-shape[1] // 64)


@pytest.mark.parametrize("blend", get_args(Blend))
@pytest.mark.parametrize("shape", [(97, 230), (230, 97), (33, 64), (1, 5)])
def test_blends_change_nothing_where_windows_agree(slide_of, blend, shape):
    pixels = smooth_picture(shape)
    mask = predict_mask(
        identity(), slide_of(pixels), blend=blend, min_overlap=32, tta="d4", progress=False
    )
    assert np.array_equal(mask.to_mask(), pixels[:, :, 0] > 127)


@pytest.mark.parametrize("scale", [1, 4])
def test_the_way_of_the_sweep_changes_nothing(slide_of, monkeypatch, scale):
    model, slide = small_unet(scale), slide_of(smooth_picture((310, 290)))
    found = []
    options = {"min_overlap": 32, "threshold": middle(model), "progress": False}
    for axis in (0, 1):
        monkeypatch.setattr(_job, "_axis", lambda slide, axis=axis: axis)
        found.append(predict_mask(model, slide, **options))
    assert found[0] == found[1]
    assert found[0].area > 100


def test_strips_follow_the_file_or_the_shorter_side(slide_of, tmp_path):
    pixels = smooth_picture((200, 150))
    tifffile.imwrite(tmp_path / "strips.tiff", pixels, rowsperstrip=16)
    with open_slide(tmp_path / "strips.tiff") as striped:
        assert _job._axis(striped) == 0
    assert _job._axis(slide_of(pixels)) == 0
    assert _job._axis(slide_of(smooth_picture((150, 200)))) == 1


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_batches(slide_of, batch_size):
    model = identity()
    model.net = Count(model.net)
    slide = slide_of(smooth_picture((64, 300)))
    mask = predict_mask(model, slide, min_overlap=0, batch_size=batch_size, progress=False)
    assert mask == predict_mask(identity(), slide, min_overlap=0, progress=False)
    assert sum(model.net.sizes) == 5
    assert max(model.net.sizes) == 1  # strips of one window: a batch never spans two
    model.net.sizes.clear()
    predict_mask(model, slide_of(smooth_picture((300, 320))), min_overlap=0,
                 batch_size=batch_size, progress=False)  # fmt: skip
    assert sum(model.net.sizes) == 25
    assert max(model.net.sizes) == min(batch_size, 5)


def test_by_default_small_windows_are_predicted_together(slide_of):
    """As many as leave each core four batches, and not across strips."""
    model, slide = identity(), slide_of(smooth_picture((300, 320)))
    model.net = Count(model.net)
    mask = predict_mask(model, slide, min_overlap=0, progress=False)
    assert sum(model.net.sizes) == 25
    assert max(model.net.sizes) == max(1, min(25 // (4 * torch.get_num_threads()), 5))
    assert mask == predict_mask(identity(), slide, min_overlap=0, batch_size=1, progress=False)
    assert _job.make_job(identity(), slide, {"compile": True}).batch_size == 1


def test_freed_memory_is_given_back_before_masks_are_made(slide_of, monkeypatch):
    told = []

    def trim():
        assert scratch.take(0).base.size == 0  # what this thread decoded in is among what is freed
        told.append("given back")

    monkeypatch.setattr(_sweep, "give_back_freed_memory", trim)
    monkeypatch.setattr(_predict, "assemble", lambda *args: told.append("made") or assemble(*args))
    scratch.take(1000)
    predict_mask(identity(), slide_of(smooth_picture((64, 64))), progress=False)
    assert told == ["given back", "made"]


def test_a_double_threshold_keeps_only_components_with_a_sure_pixel(slide_of):
    pixels = np.zeros((80, 200, 3), np.uint8)
    pixels[10:30, 10:60] = 150  # never sure
    pixels[40:60, 100:160] = 150
    pixels[45:47, 110:112] = 240
    slide = slide_of(pixels)
    low, high = (1 / (1 + np.exp(-(value / 255 - 0.5) * 20)) for value in (128, 200))
    wide = predict_mask(identity(), slide, threshold=low, progress=False)
    assert wide.area == 20 * 50 + 20 * 60
    sure = predict_mask(identity(), slide, threshold=low, high_threshold=high, progress=False)
    assert sure.area == 20 * 60
    assert sure == wide & sure


def test_exclusive_planes_share_no_pixel_and_the_likeliest_wins(slide_of):
    pixels = smooth_picture((100, 130))
    slide = slide_of(pixels)
    model = identity(planes=3, scale=2)
    free = predict_masks(model, slide, threshold=0.3, progress=False)
    alone = predict_masks(model, slide, threshold=0.3, exclusive=True, progress=False)
    assert (free[0] & free[1]).area > 0
    for k, mask in enumerate(alone):
        assert (mask - free[k]).area == 0
        for other in alone[:k]:
            assert (mask & other).area == 0
    union = free[0] | free[1] | free[2]
    assert (alone[0] | alone[1] | alone[2]) == union


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("exclusive", [False, True])
def test_planes_are_chosen_and_cut_twice(slide_of, scale, exclusive):
    slide = slide_of(smooth_picture((100, 130)))
    model = identity(planes=3, scale=scale)
    options = {"exclusive": exclusive, "progress": False}
    low, high = (predict_masks(model, slide, threshold=cut, **options) for cut in (0.3, 0.6))
    cuts, planes = (0.6, 0.3, 0.3, 0.3), (2, 0, 2, 1)
    assert predict_masks(model, slide, planes=planes, threshold=cuts, **options) == [
        high[2],
        low[0],
        low[2],
        low[1],
    ]
    assert high[2] != low[2]
    assert predict_mask(model, slide, planes=[1], threshold=0.3, **options) == low[1]
    seeded = predict_masks(
        model, slide, planes=planes, threshold=0.3, high_threshold=cuts, **options
    )
    assert seeded == [
        predict_masks(model, slide, threshold=0.3, high_threshold=cut, **options)[plane]
        for cut, plane in zip(cuts, planes, strict=True)
    ]


def test_a_chosen_plane_keeps_its_own_threshold(slide_of):
    slide = slide_of(smooth_picture((100, 130)))
    model = identity(planes=2)
    model.recipe = replace(model.recipe, threshold=(0.3, 0.6))
    both = predict_masks(model, slide, progress=False)
    assert predict_masks(model, slide, planes=[1, 0], progress=False) == both[::-1]


def test_background_is_skipped_and_counted(slide_of):
    pixels = np.full((256, 320, 3), 244, np.uint8)
    pixels[70:120, 70:120] = (190, 90, 150)
    slide = slide_of(pixels)
    whole = predict(identity(), slide, min_overlap=0, progress=False)
    model = identity()
    model.net = Count(model.net)
    skipping = predict(model, slide, min_overlap=0, skip_background=True, progress=False)
    assert whole.stats.skipped == 0
    assert skipping.stats.tiles == 20
    assert skipping.stats.skipped == 19  # all but the one with the spot
    assert sum(model.net.sizes) == 1
    assert skipping.masks[0].area == 64 * 64  # red background counts where it was looked at


def test_stats_tell_what_it_took(slide_of):
    stats = predict(
        identity(), slide_of(smooth_picture((300, 200))), min_overlap=0, progress=False
    ).stats
    assert stats.tiles == 5 * 4
    assert stats.blocks == 5 * 4
    cores = torch.get_num_threads()  # their seconds are added up
    assert 0 < stats.network_seconds < stats.seconds * cores
    assert 0 <= stats.wait_seconds < stats.seconds
    assert stats.peak_bytes > 10_000_000


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float32", 1e-6), ("float16", 1e-3), ("uint8", 0.5 / 255)]
)
@pytest.mark.parametrize("shape", [(100, 210), (210, 100)])
def test_the_map_itself_goes_to_a_file(slide_of, tmp_path, dtype, tolerance, shape):
    pixels = smooth_picture(shape)
    path = tmp_path / "prob.npy"
    model = identity(planes=2)
    found = predict_prob(model, slide_of(pixels), path, dtype=dtype, progress=False)
    assert isinstance(found, np.memmap)
    assert (found.shape, found.dtype) == ((2, *shape), dtype)
    values = found.astype(float) / (255 if dtype == "uint8" else 1)
    expected = 1 / (1 + np.exp(-(pixels[:, :, :2] / 255 - 0.5) * 20))
    np.testing.assert_allclose(values, expected.transpose(2, 0, 1), atol=tolerance + 1e-6)
    assert [path.name for path in tmp_path.glob("*.npy*")] == ["prob.npy"]


def test_the_map_of_a_coarse_model_has_its_resolution(slide_of, tmp_path):
    slide = slide_of(np.full((101, 70, 3), 200, np.uint8))
    found = predict_prob(
        identity(scale=4), slide, tmp_path / "new" / "folder" / "prob.npy", progress=False
    )
    assert found.shape == (1, 26, 18)


def test_sixteen_bit_slides(slide_of):
    pixels = smooth_picture((90, 120)).astype(np.uint16) * 257
    model = identity(max_value=65535.0)
    mask = predict_mask(model, slide_of(pixels), progress=False)
    assert np.array_equal(mask.to_mask(), pixels[:, :, 0] > 32767)


def test_progress_counts_tiles(slide_of, capsys):
    predict_mask(identity(), slide_of(smooth_picture((100, 70))), min_overlap=0)
    shown = capsys.readouterr().err
    assert "0.tiff: 100%" in shown
    assert "4/4" in shown
    assert "tile/s" in shown


def refusals():
    two = [small_unet(), identity()]
    grey = small_unet(in_channels=1)
    return {
        "no model": ([], {}, "no model given; expected at least one"),
        "stride": (two, {}, "the models' recipes must share `stride`; they have [4, 32]"),
        "planes in another order": (
            [
                Model(nn.Conv2d(3, 2, 1), Recipe(classes=2, class_names=names)).eval()
                for names in (("b", "a"), ("a", "b"), (), ("a", "b"))
            ],
            {},
            "the models' planes are not the same: a, b and b, a",
        ),
        "scales": (
            [small_unet(scale=2), small_unet(scale=3)],
            {},
            "scale 3 of a model is no multiple of another's, 2",
        ),
        "logits": (
            [small_unet(), small_unet(scale=2)],
            {"mean": "logit"},
            "mean='logit' needs models of one scale and one window; use mean='prob'",
        ),
        "mean": (
            small_unet(),
            {"mean": "max"},
            "mean='max' must be 'prob', 'logit' or 'geometric'",
        ),
        "blend": (
            small_unet(),
            {"blend": "linear"},
            "blend='linear' must be one of 'trapezoid', 'hann', 'gaussian', 'constant', 'crop'",
        ),
        "weights": (small_unet(), {"weights": [0]}, "weights=[0] must all be above 0, and finite"),
        "many weights": (
            small_unet(),
            {"weights": [1, 2]},
            "weights=[1, 2] must be one number or one for each of 1 models",
        ),
        "thresholds": (
            small_unet(),
            {"threshold": [0.1, 0.2]},
            "threshold=[0.1, 0.2] must be one number or one for each of 1 masks",
        ),
        "batch": (
            small_unet(),
            {"batch_size": 0},
            "batch_size=0 must be a whole number of at least 1",
        ),
        "half a batch": (
            small_unet(),
            {"batch_size": 2.5},
            "batch_size=2.5 must be a whole number of at least 1",
        ),
        "boundless weights": (
            small_unet(),
            {"weights": float("inf")},
            "weights=[inf] must all be above 0, and finite",
        ),
        "a threshold of bytes": (
            small_unet(),
            {"threshold": 127},
            "threshold=127 must be in [0, 1], as probabilities are",
        ),
        "a high threshold of bytes": (
            small_unet(),
            {"high_threshold": [200]},
            "high_threshold=[200] must be in [0, 1], as probabilities are",
        ),
        "no threshold": (
            small_unet(),
            {"threshold": float("nan")},
            "threshold=nan: nan is no number",
        ),
        "a window of text": (
            small_unet(),
            {"window": "64"},
            "window='64' must be one number or one for each of 1 models",
        ),
        "half a window": (
            small_unet(),
            {"window": 64.5},
            "window=64.5 must be a whole number of pixels",
        ),
        "training": (
            small_unet().train(),
            {},
            "a model is in training mode; call model.eval() first",
        ),
        "channels": (grey, {}, "0.tiff has 3 channels; the model takes 1"),
        "exclusive": (
            small_unet(),
            {"exclusive": "no"},
            "exclusive='no' must be True or False",
        ),
        "amp": (small_unet(), {"amp": 0}, "amp=0 must be True or False"),
        "tta": (
            small_unet(),
            {"tta": "d5"},
            "tta='d5' must be one of 'none', 'hflip', 'flips', 'd4'",
        ),
        "window": (
            small_unet(),
            {"window": 30},
            "window=30 must be a multiple of the network's stride, 4",
        ),
        "planes": (
            identity(planes=2),
            {},
            "this makes 2 masks; use predict_masks, or planes=[0]",
        ),
        "no such plane": (
            identity(planes=2),
            {"planes": [0, 2]},
            "planes=[0, 2] must be a list of whole numbers from 0 to 1, the planes that the models "
            "have",
        ),
        "no planes": (
            identity(planes=2),
            {"planes": []},
            "planes=[] must be a list of whole numbers from 0 to 1, the planes that the models have",
        ),
        "a plane alone": (
            identity(planes=2),
            {"planes": 1},
            "planes=1 must be a list of whole numbers from 0 to 1, the planes that the models have",
        ),
        "half a plane": (
            identity(planes=2),
            {"planes": [1.0]},
            "planes=[1.0] must be a list of whole numbers from 0 to 1, the planes that the models "
            "have",
        ),
    }


@pytest.mark.parametrize("case", refusals())
def test_refuses(slide_of, case):
    models, options, message = refusals()[case]
    with pytest.raises(ValueError) as raised:
        predict_mask(models, slide_of(smooth_picture((50, 50))), min_overlap=8, **options)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("overlap", "no option 'overlap': did you mean 'min_overlap'?"),
        ("thresold", "no option 'thresold': did you mean 'threshold'?"),
    ],
)
def test_an_unknown_option_is_named(slide_of, name, message):
    with pytest.raises(TypeError) as raised:
        predict(identity(), slide_of(smooth_picture((50, 50))), **{name: 1})
    assert str(raised.value) == message


def test_a_dtype_of_the_map_that_cannot_be(slide_of, tmp_path):
    slide = slide_of(smooth_picture((50, 50)))
    with pytest.raises(ValueError) as raised:
        predict_prob(identity(), slide, tmp_path / "a.npy", dtype="int8", progress=False)
    assert str(raised.value) == "dtype='int8' must be 'uint8', 'float16' or 'float32'"
