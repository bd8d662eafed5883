"""Everyone who does the job of benchmarks/inference.py: path of a slide in, Kaggle's text out.

Each is written the way its documentation or the notebooks do it, by someone who knows it well: the
lean form where there is one. All get the same model, window and overlap, and batch 1 unless the
name says otherwise (kagglekit: its default). Nobody but kagglekit writes runs, so the others end in
the tutorials' compiled encoder, the fastest that is passed around.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import rasterio
import torch
import torch.nn.functional as F
from inference_cases import THRESHOLD, Case
from monai.inferers import AvgMerger, PatchInferer, WSISlidingWindowSplitter
from monai.inferers import sliding_window_inference as monai_windows
from pytorch_toolbelt.inference.tiles import ImageSlicer, TileMerger
from rasterio.enums import Resampling
from rasterio.windows import Window
from rle_cases import tutorial_encode_numba
from tiler import Merger, Tiler
from torchvision import transforms

from kagglekit.inference import predict_mask
from kagglekit.models import Model
from kagglekit.slides import open_slide


def kagglekit(model: Model, path: Path, case: Case) -> str:
    """Strips in, runs out."""
    with open_slide(path) as slide:
        mask = predict_mask(
            model, slide, window=case.window, min_overlap=case.overlap, progress=False
        )
    return mask.to_text()


# The notebooks, written anew from their description


class Handles:
    """A TIFF as the notebooks open it: by its bands, or by one sub-image per channel."""

    def __init__(self, path: Path) -> None:
        self.first = rasterio.open(path)
        names = self.first.subdatasets
        self.layers = [rasterio.open(name) for name in names] if self.first.count != 3 else []
        self.shape = (self.layers or [self.first])[0].shape

    def read(self, window: Window) -> np.ndarray:
        """Read a window, (h, w, 3) uint8."""
        if self.layers:
            return np.stack([layer.read(1, window=window) for layer in self.layers], axis=-1)
        return np.moveaxis(self.first.read([1, 2, 3], window=window), 0, -1)


def tutorials_grid(shape: tuple[int, int], window: int, min_overlap: int) -> np.ndarray:
    """Spread one window more than needed evenly; the last one ends with the image."""
    sides = []
    for side in shape:
        count = side // (window - min_overlap) + 1
        starts = np.linspace(0, side, num=count, endpoint=False, dtype=np.int64)
        starts[-1] = side - window
        sides.append(starts)
    return np.array([(y, x) for y in sides[0] for x in sides[1]])


def tutorials(model: Model, path: Path, case: Case) -> str:
    """One window at a time through PIL; where windows overlap the last one wins."""
    prepare = transforms.Compose(
        [
            transforms.ToPILImage(),
            transforms.Resize(case.window),
            transforms.ToTensor(),
            transforms.Normalize(
                model.recipe.mean * (3 // len(model.recipe.mean)), model.recipe.std
            ),
        ]
    )
    file = Handles(path)
    side = case.window * case.scale
    mask = np.zeros(file.shape, np.uint8)
    for y, x in tutorials_grid(file.shape, side, case.overlap * case.scale):
        tile = prepare(file.read(Window(x, y, side, side)))
        with torch.no_grad():
            prob = model.net(tile[None])[0, 0].sigmoid().numpy()
        prob = cv2.resize(prob, (side, side))
        mask[y : y + side, x : x + side] = (prob > THRESHOLD).astype(np.uint8)
    return tutorial_encode_numba(mask)


def public(model: Model, path: Path, case: Case) -> str:
    """Windows with a rim that is thrown away, black beyond the image, empty ones skipped."""
    file = Handles(path)
    mean, std = (np.array(values) for values in (model.recipe.mean, model.recipe.std))
    side, rim = case.window * case.scale, case.overlap * case.scale // 2
    core = side - 2 * rim
    height, width = file.shape
    rows, columns = -(-height // core), -(-width // core)
    found = torch.zeros((rows * columns, core, core), dtype=torch.int8)
    for i in range(rows * columns):
        y, x = (i // columns) * core - rim, (i % columns) * core - rim
        y0, y1, x0, x1 = max(y, 0), min(y + side, height), max(x, 0), min(x + side, width)
        image = np.zeros((side, side, 3), np.uint8)
        image[y0 - y : y1 - y, x0 - x : x1 - x] = file.read(Window(x0, y0, x1 - x0, y1 - y0))
        if case.scale > 1:
            image = cv2.resize(image, (case.window, case.window), interpolation=cv2.INTER_AREA)
        saturation = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)[..., 1]
        if (saturation > 40).sum() <= 1000 * (case.window // 256) ** 2:
            continue
        tile = torch.from_numpy(((image / 255.0 - mean) / std).astype(np.float32))
        with torch.no_grad():
            prob = model.net(tile.permute(2, 0, 1)[None]).sigmoid()
        if case.scale > 1:
            prob = F.interpolate(prob, scale_factor=case.scale, mode="bilinear")
        found[i] = (prob[0, 0, rim : rim + core, rim : rim + core] > THRESHOLD).to(torch.int8)
    mask = found.view(rows, columns, core, core).permute(0, 2, 1, 3)
    mask = mask.reshape(rows * core, columns * core)[:height, :width].numpy()
    mask[0, 0] = mask[-1, -1] = 0  # so that the encoder needs no padded copy
    return tutorial_encode_numba(mask)


# Libraries that take or give a whole array


def read_whole(path: Path, case: Case) -> np.ndarray:
    """Read the whole image at the network's resolution, (3, h, w) uint8."""
    with rasterio.open(path) as file:
        return file.read(out_shape=(3, *case.small_shape), resampling=Resampling.average)


def finish(prob: torch.Tensor, case: Case) -> str:
    """Bring a whole (h, w) map to full size, cut it, encode it."""
    if case.scale > 1:
        full = F.interpolate(prob[None, None], scale_factor=case.scale, mode="bilinear")
        prob = full[0, 0, : case.shape[0], : case.shape[1]]
    return tutorial_encode_numba((prob > THRESHOLD).to(torch.uint8).numpy())


def monai(model: Model, path: Path, case: Case, batch: int = 1, mode: str = "constant") -> str:
    """MONAI's sliding_window_inference over the whole image as floats."""
    image = torch.from_numpy(read_whole(path, case)).float()[None]
    with torch.inference_mode():
        prob = monai_windows(
            image,
            (case.window, case.window),
            batch,
            lambda tiles: model(tiles).sigmoid(),
            overlap=case.overlap / case.window,
            mode=mode,
        )
    del image
    return finish(prob[0, 0], case)


def monai_gaussian(model: Model, path: Path, case: Case) -> str:
    """The same in batches of eight, blended with Gaussian weights."""
    return monai(model, path, case, batch=8, mode="gaussian")


def monai_wsi(model: Model, path: Path, case: Case) -> str:
    """MONAI's inferer for whole-slide images: patches by OpenSlide, a mean of what they give."""
    splitter = WSISlidingWindowSplitter(
        (case.window, case.window), overlap=case.overlap, reader="OpenSlide"
    )
    inferer = PatchInferer(splitter, AvgMerger)
    with torch.inference_mode():
        prob = inferer(str(path), lambda tiles: model(tiles).sigmoid())
    return finish(prob[0, 0], case)


def toolbelt(model: Model, path: Path, case: Case) -> str:
    """pytorch-toolbelt: tiles cut one by one, merged in place."""
    image = np.moveaxis(read_whole(path, case), 0, -1)
    slicer = ImageSlicer(
        case.small_shape, case.window, case.window - case.overlap, weight="pyramid"
    )
    merger = TileMerger(slicer.target_shape, 1, slicer.weight)
    with torch.inference_mode():
        for tile, place in slicer.iter_split(image):
            tiles = torch.from_numpy(np.ascontiguousarray(tile)).permute(2, 0, 1)[None]
            merger.integrate_batch(model(tiles).sigmoid(), [place])
    del image
    return finish(slicer.crop_to_orignal_size(merger.merge_()[0]), case)


def tiler(model: Model, path: Path, case: Case) -> str:
    """Tiler and Merger, tiles read on demand through rasterio."""
    shape, window, scale = case.small_shape, case.window, case.scale
    source = Tiler((*shape, 3), (window, window, 3), overlap=case.overlap, channel_dimension=2)
    target = Tiler((*shape, 1), (window, window, 1), overlap=case.overlap, channel_dimension=2)
    merger = Merger(target, save_visits=False)
    with rasterio.open(path) as file, torch.inference_mode():

        def read(y, x, _, h, w, __):
            place = Window(x * scale, y * scale, w * scale, h * scale)
            tile = file.read(window=place, out_shape=(3, h, w), resampling=Resampling.average)
            return np.moveaxis(tile, 0, -1)

        for i, tile in source(read):
            prob = model(torch.from_numpy(tile).permute(2, 0, 1)[None]).sigmoid()
            merger.add(i, prob[0].permute(1, 2, 0).numpy())
    return finish(torch.from_numpy(merger.merge(unpad=True)[..., 0]), case)


@dataclass(frozen=True)
class Peer:
    """A contestant: what it does, and roughly how many bytes an image pixel it needs."""

    run: Callable[[Model, Path, Case], str]
    bytes_per_pixel: float
    any_layout: bool = False  # reads three pages too
    any_scale: bool = True


PEERS = {
    "kagglekit": Peer(kagglekit, 0, any_layout=True),
    "tutorials' loop": Peer(tutorials, 3, any_layout=True),
    "public notebook": Peer(public, 7.5, any_layout=True),
    "MONAI": Peer(monai, 20),
    "MONAI, batch 8, gaussian": Peer(monai_gaussian, 22),
    "MONAI WSI": Peer(monai_wsi, 10, any_scale=False),
    "pytorch-toolbelt": Peer(toolbelt, 14),
    "tiler": Peer(tiler, 25),
}
