import numpy as np
import pytest
import rasterio
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from kagglekit.inference import predict_mask, predict_masks
from kagglekit.models import Model, Recipe, build
from kagglekit.slides import open_slide


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
    sample = torch.from_numpy(smooth_picture((96, 96))).permute(2, 0, 1)[None]
    with torch.inference_mode():  # in the middle of what this untrained network says, on no value
        threshold = float(model(sample).sigmoid().median()) + 3e-3
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
    st.integers(1, 200), st.integers(1, 200), st.sampled_from(["none", "flips", "d4"]),
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


def test_an_ensemble_averages_probabilities(slide_of):
    class Constant(nn.Module):
        def __init__(self, prob):
            super().__init__()
            self.logit = nn.Parameter(torch.logit(torch.tensor(prob)))

        def forward(self, x):
            return self.logit.expand(len(x), 1, *x.shape[2:])

    slide = slide_of(smooth_picture((50, 50)))
    recipe = Recipe(window=64)
    models = [Model(Constant(prob), recipe).eval() for prob in (0.9, 0.3)]  # mean 0.6
    assert predict_mask(models, slide, threshold=0.59, progress=False).area == 2500
    assert predict_mask(models, slide, threshold=0.61, progress=False).area == 0


def test_grey_slides_are_repeated_for_a_colour_model(slide_of):
    pixels = smooth_picture((60, 60), channels=1)
    mask = predict_mask(identity(), slide_of(pixels), progress=False)
    assert np.array_equal(mask.to_mask(), pixels[:, :, 0] > 127)


def test_every_pixel_is_read_once(slide_of, monkeypatch):
    slide = slide_of(smooth_picture((500, 333)))
    seen = np.zeros(slide.shape, int)
    read = type(slide).read

    def counting(self, y0, y1, x0, x1, scale=1):
        seen[y0:y1, x0:x1] += 1
        return read(self, y0, y1, x0, x1, scale)

    monkeypatch.setattr(type(slide), "read", counting)
    predict_mask(identity(scale=2), slide, progress=False)
    assert (seen == 1).all()


def test_progress_counts_tiles(slide_of, capsys):
    predict_mask(identity(), slide_of(smooth_picture((100, 70))), min_overlap=0)
    shown = capsys.readouterr().err
    assert "0.tiff: 100%" in shown
    assert "4/4" in shown
    assert "tile/s" in shown


def refusals():
    two = [small_unet(), small_unet(scale=2)]
    grey = small_unet(in_channels=1)
    return {
        "no model": ([], {}, "no model given; expected at least one"),
        "different scales": (two, {}, "the models' recipes must share `scale`; they have [1, 2]"),
        "training": (
            small_unet().train(),
            {},
            "a model is in training mode; call model.eval() first",
        ),
        "channels": (grey, {}, "0.tiff has 3 channels; the model takes 1"),
        "tta": (small_unet(), {"tta": "d5"}, "tta='d5' must be one of 'none', 'flips', 'd4'"),
        "window": (
            small_unet(),
            {"window": 30},
            "window=30 must be a multiple of the network's stride, 4",
        ),
        "planes": (
            identity(planes=2),
            {},
            "the models have 2 output planes; use predict_masks",
        ),
    }


@pytest.mark.parametrize("case", ["no model", "different scales", "training", "channels", "tta", "window", "planes"])  # fmt: skip
def test_refuses(slide_of, case):
    models, options, message = refusals()[case]
    with pytest.raises(ValueError) as raised:
        predict_mask(models, slide_of(smooth_picture((50, 50))), min_overlap=8, **options)
    assert str(raised.value) == message
