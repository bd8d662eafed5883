"""Sliding-window prediction over a slide: strips of pixels in, runs of a mask out.

The slide is swept top to bottom in strips one window high. Each row of pixels is read once; each
window is predicted by every model and view; predictions are blended with weights that sum to one;
rows that no later window touches are thresholded, turned into runs and forgotten. The probability
map of the whole slide never exists: memory is a few strips, (window x width), whatever the height.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from tqdm.auto import tqdm

from kagglekit.models import Model, Recipe
from kagglekit.rle import RLE, RLEBuilder
from kagglekit.scaling import Upsampler
from kagglekit.slides import Slide
from kagglekit.tiling import Axis, plan_axis
from kagglekit.tta import View, views


def predict_mask(
    models: Model | Sequence[Model],
    slide: Slide,
    *,
    window: int | None = None,
    min_overlap: int | None = None,
    tta: str = "none",
    threshold: float | None = None,
    batch_size: int | None = None,
    progress: bool = True,
) -> RLE:
    """Predict the mask of a slide of any size with models of one output plane.

    Args, raises: as `predict_masks`.

    Returns:
        The mask at the slide's full resolution, order "F".

    Example:
        >>> model = load("unet.safetensors")  # doctest: +SKIP
        >>> with open_slide("slide.tiff") as slide:  # doctest: +SKIP
        ...     mask = predict_mask(model, slide, tta="flips")
    """
    models = _as_list(models)
    if models and models[0].recipe.classes != 1:
        raise ValueError(
            f"the models have {models[0].recipe.classes} output planes; use predict_masks"
        )
    [mask] = predict_masks(
        models,
        slide,
        window=window,
        min_overlap=min_overlap,
        tta=tta,
        threshold=threshold,
        batch_size=batch_size,
        progress=progress,
    )
    return mask


def predict_masks(
    models: Model | Sequence[Model],
    slide: Slide,
    *,
    window: int | None = None,
    min_overlap: int | None = None,
    tta: str = "none",
    threshold: float | None = None,
    batch_size: int | None = None,
    progress: bool = True,
) -> list[RLE]:
    """Predict one mask per output plane.

    Scale, normalisation, window and threshold come from the models' recipes, so they are what the
    models were trained with. Models run on the device that they are on.

    Args:
        models: one model, or several whose probabilities are averaged. They share classes, scale
            and stride, and are in evaluation mode.
        slide: the image; grey ones are repeated for models of three channels.
        window: instead of the first recipe's; in model pixels, a multiple of the stride.
        min_overlap: fewest model pixels that neighbouring windows share; by default an eighth of
            the window.
        tta: "none", "flips" (4 views) or "d4" (8 views), averaged.
        threshold: instead of the first recipe's; a pixel is foreground where prob > threshold.
        batch_size: windows at once. By default 8 on a GPU and 1 on a CPU, where larger batches are
            slower because they leave its cache.
        progress: show a progress bar with tiles per second.

    Returns:
        `classes` masks at the slide's full resolution, order "F".

    Raises:
        ValueError: models that do not fit together or to the slide, or a model left in training
            mode (its batch statistics would leak between tiles).
        SlideError: the slide cannot be read.
    """
    models = _as_list(models)
    recipe = _shared_recipe(models, slide)
    thresholds = recipe.thresholds if threshold is None else (threshold,) * recipe.classes
    device = next(models[0].parameters(), torch.empty(0)).device
    batch_size = batch_size or (8 if device.type == "cuda" else 1)

    height, width = (-(-side // recipe.scale) for side in slide.shape)
    window = window or recipe.window
    min_overlap = window // 8 if min_overlap is None else min_overlap
    rows, columns = (
        plan_axis(side, window, min_overlap, recipe.stride) for side in (height, width)
    )
    row_weights, column_weights = rows.weights(), columns.weights()

    builders = [RLEBuilder(slide.shape) for _ in range(recipe.classes)]
    upsampler = Upsampler((height, width), slide.shape, recipe.scale)
    blended = np.zeros((recipe.classes, rows.window, columns.padded), np.float32)
    bar = tqdm(
        total=len(rows.starts) * len(columns.starts),
        desc=slide.path.name,
        unit="tile",
        disable=not progress,
    )
    with bar:
        for i, strip in enumerate(_strips(slide, recipe.scale, rows, columns)):
            for first in range(0, len(columns.starts), batch_size):
                chosen = range(first, min(first + batch_size, len(columns.starts)))
                spans = [_span(columns, j) for j in chosen]
                tiles = np.stack([strip[:, span] for span in spans])
                probs = _predict(models, tiles, views(tta), device)
                for j, span, prob in zip(chosen, spans, probs, strict=True):
                    blended[:, :, span] += prob * (row_weights[i][:, None] * column_weights[j])
                bar.update(len(spans))
            final = _final_rows(rows, i)
            for prob in upsampler.push(blended[:, :final, :width]):
                for builder, plane, cut in zip(builders, prob, thresholds, strict=True):
                    builder.push(plane > cut)
            blended = np.roll(blended, -final, axis=1)
            blended[:, rows.window - final :] = 0
    return [builder.finish() for builder in builders]


def _strips(
    slide: Slide, scale: int, rows: Axis, columns: Axis
) -> Iterator[npt.NDArray[np.generic]]:
    """Yield (window, columns.padded, channels) pixels for each row start, reading each row once.

    Beyond the image's edge its pixels are mirrored, as if it went on: a black frame there would be
    learned texture to the network.
    """
    height, width = slide.shape
    have = np.empty((0, columns.size, slide.channels), slide.dtype)
    top = read = 0  # first row in `have`, first row not read yet; at network resolution
    for start in rows.starts:
        end = min(start + rows.window, rows.size)
        have = have[start - top :]
        top = start
        if read < end:
            fresh = slide.read(read * scale, min(end * scale, height), 0, width, scale)
            have = np.concatenate([have, fresh]) if len(have) else fresh
            read = end
        missing = (rows.window - len(have), columns.padded - columns.size)
        yield np.pad(have, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="reflect")


def _span(columns: Axis, j: int) -> slice:
    return slice(columns.starts[j], columns.starts[j] + columns.window)


def _final_rows(rows: Axis, i: int) -> int:
    """Count the rows of strip i, from its start, that no later strip touches."""
    following = rows.starts[i + 1] if i + 1 < len(rows.starts) else rows.size
    return following - rows.starts[i]


def _predict(
    models: Sequence[Model],
    tiles: npt.NDArray[np.generic],
    chosen_views: Sequence[View],
    device: torch.device,
) -> npt.NDArray[np.float32]:
    """Average the probabilities of all models and views: (N, h, w, C) pixels to (N, K, h, w)."""
    # uint8 goes up, a quarter of what floats would weigh; the model normalises on its device.
    images = torch.from_numpy(tiles).to(device).permute(0, 3, 1, 2)
    half = torch.autocast("cuda", torch.float16, enabled=device.type == "cuda")
    with torch.inference_mode(), half:
        probs = [
            view.undo(model(view.apply(images)).float().sigmoid())
            for model in models
            for view in chosen_views
        ]
        mean = probs[0] if len(probs) == 1 else torch.stack(probs).mean(0)
    return mean.cpu().numpy()


def _as_list(models: Model | Sequence[Model]) -> list[Model]:
    return [models] if isinstance(models, Model) else list(models)


def _shared_recipe(models: Sequence[Model], slide: Slide) -> Recipe:
    """Return the first model's recipe after checking that all fit together and to the slide."""
    if not models:
        raise ValueError("no model given; expected at least one")
    recipe = models[0].recipe
    for name in ("classes", "scale", "stride"):
        found = [getattr(model.recipe, name) for model in models]
        if len(set(found)) > 1:
            raise ValueError(f"the models' recipes must share `{name}`; they have {found}")
    for model in models:
        if model.training:
            raise ValueError("a model is in training mode; call model.eval() first")
        if slide.channels not in (1, model.recipe.in_channels):
            raise ValueError(
                f"{slide.path.name} has {slide.channels} channels; "
                f"the model takes {model.recipe.in_channels}"
            )
    return recipe
