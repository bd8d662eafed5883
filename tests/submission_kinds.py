"""One competition for every kind of submission, with test images a few pixels large."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from kagglekit import competitions
from kagglekit.competitions import template
from kagglekit.rle import RLE

HUBMAP = competitions.load("hubmap-kidney-segmentation")
SHAPE = (20, 30)


def _kind(name, **rules):
    return replace(HUBMAP, slug=name, submission=replace(HUBMAP.submission, **rules))


KINDS = {
    kind.slug: kind
    for kind in (
        _kind("one row"),
        _kind("along the rows", order="C", id="img", rle="rle_mask"),
        _kind("a sign for nothing", id="record_id", rle="encoded_pixels", empty="-"),
        _kind("an empty run for nothing", order="C", rle="rle", empty="1 0"),
        _kind("class in the key", rows="classes", classes=("1", "2"), key="{id}_{class}"),
        _kind(
            "class in a column",
            rows="classes", classes=("bowel", "stomach"), class_column="class", order="C",
        ),
        _kind("instances", rows="instances", id="ImageId", rle="EncodedPixels"),
        _kind(
            "predictions",
            rows="instances", encoding="coco", size_columns=("height", "width"), rle="prediction_string",
        ),
    )
}  # fmt: skip
"""By name; only what differs from HuBMAP's rules."""


def make_test(root: Path, comp: competitions.Profile, *ids: str, shapes=()) -> competitions.Data:
    """Write black test images, by default all of `SHAPE`."""
    for number, image_id in enumerate(ids):
        path = root / template.fill(comp.tree.test_images, id=image_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        shape = shapes[number] if shapes else SHAPE
        cv2.imwrite(str(path), np.zeros((*shape, 3), np.uint8))
    return comp.find_data(root)


def box(y0: int, y1: int, x0: int, x1: int, order: str = "F", shape=SHAPE) -> RLE:
    mask = np.zeros(shape, np.uint8)
    mask[y0:y1, x0:x1] = 1
    return RLE.from_mask(mask, order=order)


def some_masks(comp: competitions.Profile, shape=SHAPE) -> list[RLE]:
    """Return masks of one image as the competition has them; two things, where it may."""
    left, right = box(2, 8, 3, 9, shape=shape), box(10, 15, 12, 20, shape=shape)
    if comp.submission.rows == "one":
        return [left | right]
    if comp.submission.rows == "classes":
        return [left, RLE.empty(shape)]
    return [left, right]
