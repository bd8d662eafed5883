"""What benchmarks/inference.py measures: the cases, the two networks, and the right answers.

The right answer of a case is what the network says of the whole image at once. It is computed
without any of kagglekit's reading, tiling, scaling or runs.
"""

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import torch
import torch.nn.functional as F
from inference_slides import SLIDES, VERSION, patch, slide
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window
from safetensors.torch import load_file, save_file
from torch import nn

from kagglekit.models import Model, Recipe
from kagglekit.tiling import plan_axis

STRIDE = 4  # of the U-Net: two halvings
REACH = 32  # image pixels around a pixel that its answer may depend on; a multiple of the stride
THRESHOLD = 0.5
BAND = 512  # rows of one band of the right answer


@dataclass(frozen=True)
class Case:
    """One job: a slide, a network ("unet" or "identity"), and how it is tiled.

    Window and overlap are in model pixels; scale is image pixels per model pixel.
    """

    slide: str
    net: str
    scale: int = 1
    window: int = 512
    overlap: int = 64

    @property
    def shape(self) -> tuple[int, int]:
        return SLIDES[self.slide].shape

    @property
    def small_shape(self) -> tuple[int, int]:
        """(height, width) at the network's resolution."""
        height, width = self.shape
        return -(-height // self.scale), -(-width // self.scale)

    @property
    def windows(self) -> int:
        """Windows of the grid that lies on the network's stride."""
        rows, columns = (
            plan_axis(side, self.window, self.overlap, STRIDE) for side in self.small_shape
        )
        return len(rows.starts) * len(columns.starts)

    def __str__(self) -> str:
        height, width = self.shape
        name = {"unet": "U-Net", "identity": "identity network"}[self.net]
        layout = SLIDES[self.slide].layout
        return (
            f"{width:,} × {height:,} ({layout}), scale {self.scale}, window {self.window}, "
            f"overlap {self.overlap}, {name}"
        )


class SmallUNet(nn.Module):
    """A U-Net that halves by strided convolutions: 0.092 GFLOP per tile of 256 x 256.

    The tutorials' network (kagglekit.models.UNet) costs several times as much per pixel even at its
    narrowest: what surrounds the network would hardly show.
    """

    def __init__(self, width: int = 8) -> None:
        super().__init__()

        def conv(inputs, outputs, step=1):
            layer = nn.Conv2d(inputs, outputs, 3, stride=step, padding=1)
            return nn.Sequential(layer, nn.ReLU(inplace=True))

        self.down, self.down_again = conv(3, width, step=2), conv(width, 2 * width, step=2)
        self.bottom = conv(2 * width, 2 * width)
        self.up = conv(3 * width, width)
        self.head = nn.Conv2d(width, 1, 1)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return what the head sees: (N, width, H / 2, W / 2)."""
        half = self.down(images)
        bottom = F.interpolate(self.bottom(self.down_again(half)), scale_factor=2.0)
        return self.up(torch.cat([half, bottom], 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = self.head(self.features(images))
        return F.interpolate(logits, scale_factor=2.0, mode="bilinear")


def build(case: Case, cache: Path) -> Model:
    """Return the case's model, ready to predict; fitting its weights first if need be."""
    fixed = {"scale": case.scale, "window": case.window, "stride": STRIDE, "threshold": THRESHOLD}
    if case.net == "identity":
        return Model(identity(), Recipe(mean=(0.0,), std=(1.0,), **fixed)).eval()
    model = Model(SmallUNet(), Recipe(**fixed)).eval()
    weights = cache / f"unet{VERSION}.safetensors"
    if not weights.exists():
        cache.mkdir(parents=True, exist_ok=True)
        fit(model)
        save_file(model.net.state_dict(), weights)
    model.net.load_state_dict(load_file(weights))
    return model


def identity() -> nn.Module:
    """A 1 x 1 convolution: whether red + 2 green + blue of this very pixel is at most 560.

    The cut lies half way between two sums, so that rounding decides nothing.
    """
    net = nn.Conv2d(3, 1, 1)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([1.0, 2.0, 1.0]).reshape(1, 3, 1, 1) * -0.02 * 255)
        net.bias.fill_(0.02 * 560.5)
    return net


def fit(model: Model) -> None:
    """Give the U-Net weights that blur, and a head that finds the texture's dark blobs.

    Every kernel is a smooth bump times a random mixing of channels, so the probability is as smooth
    as a trained network's; the head is the least-squares answer to what the identity network finds.
    """
    rng = np.random.default_rng(1)
    bump = torch.tensor([0.25, 0.5, 0.25])
    bump = bump[:, None] * bump
    with torch.inference_mode():
        for layer in model.net.modules():
            if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3):
                mixing = rng.normal(0.15, 1, layer.weight.shape[:2]) / layer.in_channels**0.5
                layer.weight.copy_(torch.from_numpy(mixing)[:, :, None, None] * bump)
                layer.bias.fill_(0.2)
        pixels = torch.from_numpy(patch()[:2048, :2048]).permute(2, 0, 1)[None]
        normalised = torch.addcmul(model.offset, pixels.float(), model.factor)
        found = model.net.features(normalised)[0].flatten(1)
        wanted = (identity()(pixels.float() / 255) > 0).double() * 8 - 4
        wanted = F.avg_pool2d(wanted, 2).flatten()
        columns = torch.cat([found, torch.ones(1, found.shape[1])]).double()
        squares = columns @ columns.T + 1e-6 * torch.eye(len(columns), dtype=torch.float64)
        head = torch.linalg.solve(squares, columns @ wanted)
        model.net.head.weight.copy_(head[:-1].reshape(1, -1, 1, 1))
        model.net.head.bias.fill_(head[-1])


def right_answer(case: Case, cache: Path) -> np.ndarray:
    """Return the edges of the right mask's runs, computing and keeping them the first time.

    Returns:
        (2 R,) int64: first pixel and pixel after the last of each run, counted from 0 down the
        columns, ascending.
    """
    model = build(case, cache)
    weights = b"".join(value.numpy().tobytes() for value in model.net.state_dict().values())
    name = f"answer-{hashlib.sha256(weights).hexdigest()[:8]}-{case.scale}"
    path = slide(case.slide, cache)
    kept = cache / f"{name}-{path.stem}.npy"
    if not kept.exists():
        mask = np.empty(case.shape, np.uint8)
        for y0, prob in probabilities(model, path, case):
            mask[y0 : y0 + len(prob)] = prob > THRESHOLD
        np.save(kept, edges_of(mask))
    return np.load(kept)


def probabilities(model: Model, path: Path, case: Case, band: int = BAND):
    """Yield first row and (n, W) float32 probabilities at full size, band after band.

    The image is mirrored below and on the right up to a multiple of the stride. Each band goes
    through the network with the rows that it can depend on, over the image's whole width, so it
    gets what the whole image at once would give it.
    """
    height, width = case.small_shape
    scale = case.scale
    padded = -(-height // STRIDE) * STRIDE
    for y0 in range(0, height, band):
        y1 = min(y0 + band, height)
        # A row of context on either side, for the interpolation to full size.
        first, last = max(y0 - 1, 0), min(y1 + 1, height)
        top = max(first - REACH, 0) // STRIDE * STRIDE
        bottom = min(-(-(last + REACH) // STRIDE) * STRIDE, padded)
        rows = read_small(path, top, min(bottom, height), scale)
        missing = (bottom - height if bottom > height else 0, -width % STRIDE)
        rows = np.pad(rows, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="reflect")
        with torch.inference_mode():
            prob = model(torch.from_numpy(rows).permute(2, 0, 1)[None]).sigmoid()
            prob = prob[:, :, first - top : last - top, :width]
            if scale > 1:
                prob = F.interpolate(prob, scale_factor=scale, mode="bilinear")
        full = prob[0, 0, (y0 - first) * scale : (y1 - first) * scale, : case.shape[1]].numpy()
        yield y0 * scale, full[: case.shape[0] - y0 * scale]


def read_small(path: Path, y0: int, y1: int, scale: int) -> np.ndarray:
    """Read rows at the network's resolution: (y1 - y0, w, 3) uint8, the mean of each cell.

    Where the image ends inside a cell its last row or column is repeated.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            place = Window(0, y0 * scale, file.width, min(y1 * scale, file.height) - y0 * scale)
            names = file.subdatasets
            planes = None if names else file.read(window=place)
        if names:
            planes = []
            for name in names:
                with rasterio.open(name) as file:
                    planes.append(file.read(1, window=place))
    pixels = np.stack(list(planes), axis=-1)
    missing = (-pixels.shape[0] % scale, -pixels.shape[1] % scale)
    pixels = np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
    cells = pixels.reshape(y1 - y0, scale, -1, scale, 3)
    sums = sum(cells[:, y, :, x].astype(np.uint16) for y in range(scale) for x in range(scale))
    return np.rint(sums / (scale * scale)).astype(np.uint8)  # ties to even, as OpenCV rounds


def edges_of(mask: np.ndarray) -> np.ndarray:
    """Return where the runs of a mask begin and end, as `right_answer` gives them."""
    height, width = mask.shape
    found, last = [], 0
    for x0 in range(0, width, 256):
        pixels = np.ascontiguousarray(mask[:, x0 : x0 + 256].T).ravel()
        found.append(np.flatnonzero(np.diff(pixels.astype(np.int8), prepend=last)) + x0 * height)
        last = pixels[-1]
    found.append([height * width] if last else [])
    return np.concatenate(found).astype(np.int64)


def edges_of_text(text: str) -> np.ndarray:
    """Return the same from Kaggle's text of a mask."""
    pairs = np.array(text.split(), np.int64).reshape(-1, 2)
    return np.stack([pairs[:, 0] - 1, pairs[:, 0] - 1 + pairs[:, 1]], axis=1).ravel()


def differing(one: np.ndarray, two: np.ndarray, shape: tuple[int, int]) -> tuple[int, int]:
    """Count the pixels in which two masks differ, and those of them within 4 of the border."""
    y, x = pixels_between(one, two, shape)
    inside = (x >= 4) & (x < shape[1] - 4) & (y >= 4) & (y < shape[0] - 4)
    return len(y), int(len(y) - inside.sum())


def pixels_between(
    one: np.ndarray, two: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and the columns of the pixels in which two masks, given by edges, differ."""
    edges = np.sort(np.concatenate([one, two]))  # an edge of both ends what it has begun
    starts, lengths = edges[::2], np.diff(edges)[::2]
    at = np.repeat(starts - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())
    x, y = np.divmod(at, shape[0])
    return y, x
