"""Probability maps of many images in a folder: each is predicted once, whatever happens meanwhile.

An image becomes `<id>.npy`, mapped into memory by whoever reads it, and `<id>.json`, which says of
which models, options and file it is, and is written last: an image with both is done.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Unpack
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from kagglekit.bars import tqdm
from kagglekit.errors import DataError
from kagglekit.fingerprint import fingerprint
from kagglekit.inference import Options, agree, collect, predict_prob, share
from kagglekit.models import Model, check_distinct
from kagglekit.replacing import replacing
from kagglekit.slides import open_slide

_LONG = 1 << 26  # image pixels: a prediction of more is noted strip by strip

_SHAPING = ("window", "min_overlap", "blend", "tta", "weights", "mean", "skip_background", "amp")
_DECIDING = ("threshold", "class_names", "cuts")  # of a recipe: no matter of probabilities

Models = Model | Sequence[Model]


@dataclass(frozen=True)
class Prob:
    """The probabilities of one image.

    Attributes:
        values: (planes, h, w) uint8, 255 for certain, or float16 in [0, 1]; a read-only memory map.
        scale: image pixels per pixel of the map.
        shape: (height, width) of the image in pixels.
    """

    values: npt.NDArray[Any]
    scale: int
    shape: tuple[int, int]


class Store(Mapping[str, Prob]):
    """The probability maps in a folder, by id; each is opened when it is asked for.

    Args:
        folder: what `out_of_fold` or `probabilities` has written.
        images: the ids, in the order wanted.
        exclusive: whether the submission gives a pixel only to its likeliest plane.
        planes: of which planes the submission makes its masks, in their order; by default of all.

    Raises:
        DataError: images are missing; some are named.

    Example:
        >>> store["2f6ecfcdf"].values.shape  # doctest: +SKIP
        (1, 7820, 6548)
    """

    def __init__(
        self,
        folder: Path | str,
        images: Sequence[str],
        exclusive: bool = False,
        planes: Sequence[int] | None = None,
    ) -> None:
        self.folder, self.exclusive = Path(folder), exclusive
        self._planes = None if planes is None else tuple(planes)
        self._images = dict.fromkeys(images)
        missing = [image for image in images if _known(self.folder, image) is None]
        if missing:
            raise DataError(
                f"`{folder}` lacks {len(missing)} of {len(images)} images",
                problems=missing[:20],
                hint="predict again into that folder: it goes on where it was stopped",
            )

    @property
    def planes(self) -> tuple[int, ...]:
        """The planes that masks are made of, in their order."""
        if self._planes is None:
            first: Prob = next(iter(self.values()))
            return tuple(range(len(first.values)))
        return self._planes

    def __len__(self) -> int:
        return len(self._images)

    def __iter__(self) -> Iterator[str]:
        return iter(self._images)

    def __getitem__(self, image: str) -> Prob:
        if image not in self._images:
            raise KeyError(image)
        known = json.loads(_file(self.folder, image, ".json").read_text("utf-8"))
        values = np.load(_file(self.folder, image, ".npy"), mmap_mode="r")
        return Prob(values, known["scale"], tuple(known["shape"]))


def out_of_fold(
    models: Sequence[Models],
    images: Mapping[str, Path],
    fold: Mapping[str, int],
    folder: Path | str,
    dtype: Literal["uint8", "float16"] = "uint8",
    **options: Unpack[Options],
) -> Store:
    """Predict each labelled image by the one fold that was not trained on it.

    Images that are there already, of the same models, options and files, are not predicted again;
    a large one that was begun is gone on with after its last strip. Memory is that of
    `inference.predict_prob`. Several ranks share out what is left; machines share the folder.

    Args:
        models: of each fold, on their device: `models[k]` has not seen the images of fold k.
        images: the files, by id.
        fold: of each image, 0 to len(models) - 1.
        folder: where to; made if needed.
        dtype: of the maps.
        options: of `inference.predict_prob`, as the submission will use them.

    Raises:
        ValueError: an image has no fold, or one that has no model.
        CheckpointError: two folds hold the same weights.
        TypeError, SlideError, PlanError: as `inference.predict_prob`.

    Example:
        >>> folds = load_folds(["fold0.safetensors", "fold1.safetensors"])  # doctest: +SKIP
        >>> store = out_of_fold(folds, images, fold, "oof", tta="flips")        # doctest: +SKIP
    """
    known = {image: k for image, k in fold.items() if hasattr(k, "__index__")}
    wrong = [image for image in images if known.get(image, -1) not in range(len(models))]
    if wrong:
        raise ValueError(
            f"{len(models)} models, and {len(wrong)} of {len(images)} images without a fold, a "
            f"whole number from 0 to {len(models) - 1}: {', '.join(wrong[:5])}"
        )
    check_distinct([model for fold_models in models for model in _several(fold_models)])
    return _fill({image: models[fold[image]] for image in images}, images, folder, dtype, options)


def probabilities(
    models: Models,
    images: Mapping[str, Path],
    folder: Path | str,
    dtype: Literal["uint8", "float16"] = "uint8",
    **options: Unpack[Options],
) -> Store:
    """Predict images by the same models: images that none of them was trained on.

    Args, raises: as `out_of_fold`.
    """
    return _fill(dict.fromkeys(images, models), images, folder, dtype, options)


def _fill(
    models: Mapping[str, Models],
    images: Mapping[str, Path],
    folder: Path | str,
    dtype: Literal["uint8", "float16"],
    options: Options,
) -> Store:
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    told = {name: options[name] for name in _SHAPING if name in options}  # type: ignore[literal-required]
    prints = {id(each): _print(each) for each in models.values()}
    keys = {}
    for image, path in images.items():
        source = [prints[id(models[image])], told, dtype, fingerprint(path)]
        keys[image] = hashlib.sha256(repr(source).encode()).hexdigest()
    known = {image: _known(folder, image) or {} for image in images}
    # Only what is left is shared out: else a rank whose images are there waits for the others.
    left = agree([image for image in images if known[image].get("key") != keys[image]])
    progress = options.get("progress", True)
    for image in tqdm(share(left), desc=folder.name, unit="image", disable=not progress):
        # Else a kill between the two files could leave new values under the old key.
        _file(folder, image, ".json").unlink(missing_ok=True)
        stem, key = _file(folder, image, ""), keys[image]
        _predict(models[image], images[image], stem, dtype, options, key)
    # Nobody goes on before all have done their share, however long that takes: not `barrier`, in
    # which a GPU's ranks wait for ten minutes at most.
    collect({})
    agree(None)
    return Store(folder, list(images), bool(options.get("exclusive")), options.get("planes"))


def _predict(
    models: Models,
    path: Path,
    stem: Path,
    dtype: Literal["uint8", "float16"],
    options: Options,
    key: str,
) -> None:
    own: Options = {"progress": False}
    with open_slide(path) as slide:
        if slide.shape[0] * slide.shape[1] > _LONG:
            own["checkpoint"] = stem.with_name(f".{stem.name}.strips")
            own["progress"] = options.get("progress", True)
        predict_prob(models, slide, f"{stem}.npy", dtype=dtype, **(options | own))
        scale = min(model.recipe.scale for model in _several(models))
        known = {"key": key, "scale": scale, "shape": slide.shape}
    with replacing(Path(f"{stem}.json")) as file:
        file.write(json.dumps(known).encode())


def _several(models: Models) -> list[Model]:
    return [models] if isinstance(models, Model) else list(models)


def _print(models: Models) -> list[object]:
    """Return what tells models from others whose probabilities may differ."""
    return [
        (
            sorted((k, repr(v)) for k, v in asdict(model.recipe).items() if k not in _DECIDING),
            model.digest(),
        )
        for model in _several(models)
    ]


def _known(folder: Path, image: str) -> dict[str, Any] | None:
    """Return what is known of an image; None where it was not finished, or is damaged."""
    try:
        np.load(_file(folder, image, ".npy"), mmap_mode="r")  # whole, by its header
        known = json.loads(_file(folder, image, ".json").read_text("utf-8"))
    except (OSError, ValueError, EOFError):
        return None
    whole = isinstance(known, dict) and known.keys() >= {"key", "scale", "shape"}
    return known if whole else None


def _file(folder: Path, image: str, suffix: str) -> Path:
    return folder / f"{quote(image, safe='')}{suffix}"
