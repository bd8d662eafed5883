"""The notebooks beside the tutorials' recipes done plainly: same synthetic data, same minutes.

    uv run python benchmarks/recipes.py                     # all five, prints the table
    uv run python benchmarks/recipes.py severstal carvana   # some of them
    uv run python benchmarks/recipes.py --minutes 0.1       # for a quick look

For each pair a synthetic tree is made, the notebooks' sources run as plain Python, and so does a
recipe: smp's U-Net on a resnet18, whole images resized (of kidneys, tiles side by side at the
notebooks' scale), Adam, cross-entropy, threshold 0.5. Both train at the same time for the same
minutes, one thread each, without pretrained weights. `all empty` is what an empty table scores.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import segmentation_models_pytorch as smp
import torch

from kagglekit import competitions, instances, regions, slides, submission
from kagglekit.competitions import fake
from kagglekit.competitions.data import Data
from kagglekit.rle import RLE

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
BATCH, TESTS = 8, 8


class Plain(NamedTuple):
    """A tutorial's way with its images.

    Attributes:
        slug: of the competition.
        size: (height, width) that the network sees.
        scale: of a slide that is cut into tiles of that size; 0 where whole images are resized.
    """

    slug: str
    size: tuple[int, int]
    scale: int = 0


RECIPES = {
    "severstal": Plain("severstal-steel-defect-detection", (128, 800)),
    "carvana": Plain("carvana-image-masking-challenge", (160, 240)),
    "dsb2018": Plain("data-science-bowl-2018", (128, 128)),
    "hubmap_organ": Plain("hubmap-organ-segmentation", (256, 256)),
    "hubmap_kidney": Plain("hubmap-kidney-segmentation", (256, 256), scale=4),
}


def parts(pixels: np.ndarray, recipe: Plain) -> Iterator[tuple[slice, slice]]:
    """Yield what the network sees at once: everything, or tiles side by side."""
    height, width = recipe.size if recipe.scale else pixels.shape[:2]
    for y in range(0, pixels.shape[0], height):
        for x in range(0, pixels.shape[1], width):
            yield slice(y, y + height), slice(x, x + width)


def small(pixels: np.ndarray, recipe: Plain, how: int = cv2.INTER_LINEAR) -> np.ndarray:
    """Resize to what the network sees; (h, w, C) also where C is 1."""
    resized = cv2.resize(pixels, recipe.size[::-1], interpolation=how)
    return resized.reshape(*recipe.size, -1)


def read(path: Path, recipe: Plain) -> np.ndarray:
    """Return a whole image, (h, w, 3)."""
    with slides.open_slide(path) as slide:
        pixels = slide.read(0, slide.shape[0], 0, slide.shape[1], recipe.scale or 1)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def planes(data: Data, image_id: str, shape: tuple[int, int]) -> np.ndarray:
    """Return an image's masks at a size, (h, w, K) uint8."""
    truth = data.truth(image_id)
    if data.rules.rows == "instances":
        truth = [instances.union(truth, data.shape(data.train_images()[image_id]))]
    masks = [mask.to_mask().astype(np.uint8) for mask in truth]
    near = [cv2.resize(m, shape[::-1], interpolation=cv2.INTER_NEAREST) for m in masks]
    return np.stack(near, axis=2)


def tensor(pixels: np.ndarray) -> torch.Tensor:
    """Return (1, C, h, w) float32."""
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float()


def train(data: Data, recipe: Plain, minutes: float) -> torch.nn.Module:
    """Train the plain way."""
    torch.manual_seed(0)
    images, masks = [], []
    for image_id, path in data.train_images().items():
        pixels = read(path, recipe)
        truth = planes(data, image_id, pixels.shape[:2])
        for part in parts(pixels, recipe):
            images.append(tensor(small(pixels[part], recipe)) / 255)
            masks.append(tensor(small(truth[part], recipe, cv2.INTER_NEAREST)))
    x, y = torch.cat(images), torch.cat(masks)
    model = smp.Unet("resnet18", encoder_weights=None, classes=y.shape[1])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    started = time.monotonic()
    model.train()
    while True:
        for chosen in torch.randperm(len(x)).split(BATCH):
            if len(chosen) > 1:  # batch statistics of one image are none
                loss = torch.nn.functional.binary_cross_entropy_with_logits(
                    model(x[chosen]), y[chosen]
                )
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            if time.monotonic() - started > 60 * minutes:
                return model.eval()


def predict(model: torch.nn.Module, path: Path, recipe: Plain, shape: tuple[int, int]) -> list[RLE]:
    """Return the masks of an image, one for each plane."""
    pixels = read(path, recipe)
    found = None
    for part in parts(pixels, recipe):
        with torch.inference_mode():
            prob = torch.sigmoid(model(tensor(small(pixels[part], recipe)) / 255))[0]
        sides = pixels[part].shape[:2]
        prob = cv2.resize(prob.permute(1, 2, 0).numpy(), sides[::-1]).reshape(*sides, -1)
        if found is None:
            found = np.zeros((*pixels.shape[:2], prob.shape[2]), np.float32)
        found[part] = prob
    whole = cv2.resize(found, shape[::-1]).reshape(*shape, -1)
    return [RLE.from_mask(plane > 0.5) for plane in whole.transpose(2, 0, 1)]


def submit(model: torch.nn.Module, recipe: Plain, data: Data, path: Path) -> None:
    """Write the plain way's table of a test."""
    with submission.Writer(data.profile, data, path) as writer:
        for image_id, path in writer.todo():
            masks = predict(model, path, recipe, data.shape(path))
            one = data.rules.rows == "one"
            several = regions.components(masks[0]) if data.rules.rows == "instances" else masks
            writer[image_id] = masks[0] if one else several


def run_pair(pair: str, slug: str, tree: Path, folder: Path, minutes: float) -> Path:
    """Run both notebooks as plain Python; return where the submission is."""
    inputs = folder / "input"
    (inputs / "competitions").mkdir(parents=True)
    (inputs / "competitions" / slug).symlink_to(tree)
    installer = inputs / "datasets" / "you" / "kagglekit-offline" / "install.py"
    installer.parent.mkdir(parents=True)
    installer.write_text("pass  # kagglekit is importable here already\n")
    trained = inputs / f"{pair}_train".replace("_", "-")
    trained.mkdir()
    about = os.environ | {"KAGGLEKIT_INPUT": str(inputs), "KAGGLEKIT_MINUTES": str(minutes)}
    for part, where in (("train", trained), ("submit", folder)):
        notebook = NOTEBOOKS / f"{pair}_{part}.py"
        with (folder / f"{part}.log").open("w") as log:
            command = [sys.executable, str(notebook)]
            subprocess.run(command, cwd=where, env=about, check=True, stdout=log, stderr=log)
    return folder / "submission.csv"


def compare(pair: str, minutes: float) -> str:
    """Return a pair's row of the table."""
    recipe = RECIPES[pair]
    comp = competitions.load(recipe.slug)
    with tempfile.TemporaryDirectory() as scratch:
        tree, ours = Path(scratch, "tree"), Path(scratch, "ours")
        truth = fake.make(comp, tree, test=TESTS)
        ours.mkdir()
        command = [sys.executable, __file__, pair, "--recipe", scratch, "--minutes", str(minutes)]
        with subprocess.Popen(command) as plain:
            path = run_pair(pair, recipe.slug, tree, ours, minutes)
        if plain.returncode:
            raise SystemExit(f"the recipe of {pair} failed")
        data = comp.find_data(tree)
        with submission.Writer(comp, data, Path(scratch, "empty.csv")):
            pass
        tables = (path, Path(scratch, "submission.csv"), Path(scratch, "empty.csv"))
        scores = [submission.score(each, comp, data, truth).value for each in tables]
    return f"| `{pair}` | {' | '.join(f'{value:.3f}' for value in scores)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", nargs="*", help=f"of {', '.join(RECIPES)}; default: all")
    parser.add_argument("--minutes", type=float, default=2, help="of training (default: 2)")
    parser.add_argument("--recipe", type=Path, help="run the plain recipe in this folder")
    given = parser.parse_args()
    unknown = sorted({*given.pairs} - RECIPES.keys())
    if unknown:
        parser.error(f"no such pair: {', '.join(unknown)}")
    os.environ["OMP_NUM_THREADS"] = "1"  # of the notebooks
    if given.recipe:
        torch.set_num_threads(1)
        recipe = RECIPES[given.pairs[0]]
        data = competitions.load(recipe.slug).find_data(given.recipe / "tree")
        submit(train(data, recipe, given.minutes), recipe, data, given.recipe / "submission.csv")
        return
    print(f"{given.minutes:g} minutes of training, {TESTS} test images\n")
    print("| pair | notebooks | plain recipe | all empty |\n|---|---|---|---|")
    for pair in given.pairs or RECIPES:
        print(compare(pair, given.minutes), flush=True)


if __name__ == "__main__":
    main()
