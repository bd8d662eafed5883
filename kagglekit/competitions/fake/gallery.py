"""The trees of all competitions whose images are drawn one by one by a `Draw`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kagglekit.competitions import table, template
from kagglekit.competitions.fake.car import draw_car
from kagglekit.competitions.fake.files import write_image, write_mask, write_outlines
from kagglekit.competitions.fake.kidney import LAYOUTS
from kagglekit.competitions.fake.layered import draw_papyrus, draw_sky
from kagglekit.competitions.fake.pictures import Draw, Picture, Shape
from kagglekit.competitions.fake.plate import draw_ground, draw_plate
from kagglekit.competitions.fake.scan import draw_belly, draw_slice
from kagglekit.competitions.fake.tissue import draw_kidney
from kagglekit.competitions.fake.tree import (
    draw_glass,
    images,
    rare_shape,
    vary,
    write_tables,
)
from kagglekit.competitions.fake.vessels import draw_vessels
from kagglekit.competitions.profile import Profile
from kagglekit.rle import RLE

Fields = dict[str, str]

ORGANS = ("kidney", "prostate", "largeintestine", "spleen", "lung")


class Family(NamedTuple):
    """How the images of a competition are drawn and called.

    Attributes:
        draw: draws one.
        name: gives the fields of its path, from the series' randomness, whether it is a train
            image, and its number in the series.
        size: (height, width) in pixels by default.
        series: how many images show the same thing: slices of a body, views of a car.
        absent: whether there may be nothing in an image.
    """

    draw: Draw
    name: Callable[[np.random.Generator, bool, int], Fields]
    size: Shape
    series: int = 1
    absent: bool = True


def _hex(digits: int) -> Callable[[np.random.Generator, bool, int], Fields]:
    return lambda rng, in_train, place: {"id": rng.bytes(8).hex()[:digits]}


def _digits(digits: int) -> Callable[[np.random.Generator, bool, int], Fields]:
    low, high = 10 ** (digits - 1), 10**digits
    return lambda rng, in_train, place: {"id": str(rng.integers(low, high))}


def _view(rng: np.random.Generator, in_train: bool, place: int) -> Fields:
    return {"id": f"{rng.bytes(6).hex()}_{place + 1:02}"}


def _slice_of_kidney(rng: np.random.Generator, in_train: bool, place: int) -> Fields:
    number = int(rng.integers(10, 10_000))
    return {"kidney": f"kidney_{number}" + ("_dense" if in_train else ""), "slice": f"{place:04}"}


def _slice_of_belly(rng: np.random.Generator, in_train: bool, place: int) -> Fields:
    case, day = int(rng.integers(1, 10_000)), int(rng.integers(0, 60))
    side = {"a": "266", "b": "266", "spacing_a": "1.50", "spacing_b": "1.50"}
    return {"case": f"case{case}", "day": f"day{day}", "slice": f"{place + 1:04}", **side}


def _draw_organ(rng: np.random.Generator, shape: Shape, amount: float) -> Picture:
    if not amount:
        return Picture(draw_glass(rng, shape), [np.zeros(shape, bool)])
    rgb, mask = draw_kidney(rng, shape)
    return Picture(rgb, [mask > 0])


FAMILIES = {
    "blood-vessel-segmentation": Family(draw_slice, _slice_of_kidney, (300, 340), 3),
    "carvana-image-masking-challenge": Family(draw_car, _view, (1280, 1918), 4, absent=False),
    "google-research-identify-contrails-reduce-global-warming": Family(
        draw_sky, _digits(18), (256, 256)
    ),
    "hubmap-hacking-the-human-vasculature": Family(draw_vessels, _hex(12), (512, 512)),
    "hubmap-organ-segmentation": Family(_draw_organ, _digits(5), (1000, 1000)),
    "severstal-steel-defect-detection": Family(draw_plate, _hex(9), (256, 1600)),
    "tgs-salt-identification-challenge": Family(draw_ground, _hex(10), (101, 101)),
    "uw-madison-gi-tract-image-segmentation": Family(draw_belly, _slice_of_belly, (266, 266), 4),
    "vesuvius-challenge-ink-detection": Family(draw_papyrus, _hex(6), (240, 300)),
}


def make_gallery(
    comp: Profile,
    root: Path,
    seed: int,
    train: int,
    test: int,
    size: Shape | None,
    hidden: bool,
) -> dict[str, list[RLE]]:
    """Write the tree; arguments and result are those of `fake.make`."""
    found: dict[bool, dict[str, list[RLE]]] = {True: {}, False: {}}
    outlines: dict[str, Sequence[NDArray[np.float64]]] = {}
    about: dict[str, dict[str, str]] = {}
    for in_train, number, _ in images(seed, train, test):
        fields, picture = _draw(comp, seed, number, in_train, size, hidden)
        image_id = template.fill(comp.tree.id, **fields)
        where = comp.tree.train_images if in_train else comp.tree.test_images
        layout = LAYOUTS[(number + seed) % len(LAYOUTS)]
        write_image(comp, root / template.fill(where, **fields), picture, layout)
        masks = [RLE.from_mask(mask, order=comp.submission.order) for mask in picture.masks]
        found[in_train][image_id] = masks
        if in_train and comp.tree.train_masks:
            path = root / template.fill(comp.tree.train_masks, **fields)
            write_mask(comp, path, picture.masks[0])
        if in_train and comp.tree.train_polygons:
            outlines[image_id] = picture.outlines
        if comp.groups and comp.groups.test_path:
            about[image_id] = _about(masks[0].shape, number, in_train)
    write_tables(comp, root, found[True], found[False], about)
    if comp.tree.train_polygons:
        write_outlines(root / comp.tree.train_polygons, comp.tree.polygon_type, outlines)
    if not hidden:
        _write_groups(comp, root, list(found[True]))
    return found[False]


def _draw(
    comp: Profile, seed: int, number: int, in_train: bool, size: Shape | None, hidden: bool
) -> tuple[Fields, Picture]:
    """Draw one image; return the fields of its path too."""
    family = FAMILIES[comp.slug]
    series, place = divmod(number, family.series)
    # All images of a series begin with the same randomness: they show the same thing.
    rng = np.random.default_rng([seed, in_train, series, 1])
    fields = family.name(rng, in_train, place)
    free = comp.images.smallest != comp.images.largest
    shape = vary(rng, size or family.size) if size or free else family.size
    if hidden and free and not in_train:
        shape = rare_shape(shape, series)
    amount = rng.uniform(0.4, 1) * (place + 1) / family.series
    rare = number % 5 == 4 or (hidden and not in_train and number == 1)
    return fields, family.draw(rng, shape, 0.0 if family.absent and rare else amount)


def _about(shape: Shape, number: int, in_train: bool) -> dict[str, str]:
    """Return what HuBMAP's tables say of an image of an organ, beside its mask."""
    # One on with every round, or one organ would have all the empty images.
    organ = ORGANS[(number + number // len(ORGANS)) % len(ORGANS)]
    return {
        "organ": organ,
        "data_source": "HPA" if in_train else "Hubmap",
        "img_height": str(shape[0]),
        "img_width": str(shape[1]),
        "pixel_size": "0.4" if in_train else "0.5",
        "tissue_thickness": "4",
    }


def _write_groups(comp: Profile, root: Path, ids: list[str]) -> None:
    """Write the table that says which train images belong together: two and two."""
    rule = comp.groups
    if rule and rule.path and rule.path != comp.train_table.path:
        rows = [(template.fill(rule.key, id=i), place // 2 + 1) for place, i in enumerate(ids)]
        table.write_table(root / rule.path, (rule.image, rule.column), rows)
