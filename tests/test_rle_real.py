"""Real strings and masks: each comes back to the letter, and none is taken for another order."""

import csv
import tarfile
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
import pytest

from kagglekit import regions
from kagglekit.rle import RLE, Dialect, detect

DATA = Path(__file__).parents[2] / "shared" / "data"
SEVERSTAL = DATA / "severstal_rle.csv"
NUCLEI = DATA / "dsb2018_stage1_train.tar"
SHAPE = (256, 1600)

needs_severstal = pytest.mark.skipif(not SEVERSTAL.is_file(), reason=f"no {SEVERSTAL.name}")
needs_nuclei = pytest.mark.skipif(not NUCLEI.is_file(), reason=f"no {NUCLEI.name}")


@pytest.fixture(scope="module")
def severstal():
    with SEVERSTAL.open(newline="") as file:
        return [row["EncodedPixels"] for row in csv.DictReader(file) if row["EncodedPixels"]]


@pytest.fixture(scope="module")
def nuclei():
    """Masks of the nuclei of every eighth image, by image, as OpenCV reads them (0 and 255)."""
    masks = defaultdict(list)
    with tarfile.open(NUCLEI) as archive:
        for member in archive:
            image = member.name.split("/")[1]
            if "/masks/" in member.name and member.isfile() and int(image[:4], 16) % 8 == 0:
                data = np.frombuffer(archive.extractfile(member).read(), np.uint8)
                masks[image].append(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))
    return masks


@needs_severstal
def test_every_severstal_string_comes_back(severstal):
    assert len(severstal) == 782
    for text in severstal:
        rle = RLE.from_text(text, SHAPE)
        assert rle.to_text() == text
        assert RLE.from_mask(rle.to_mask()).to_text() == text
        assert rle.reorder("C").reorder("F").to_text() == text


@needs_severstal
@pytest.mark.parametrize("order", ["F", "C"])
def test_no_severstal_string_is_taken_for_the_other_order(severstal, order):
    write = Dialect(order=order).write
    found = [detect([write(RLE.from_text(text, SHAPE))], [SHAPE]).order for text in severstal]
    assert set(found) <= {order, None}
    assert found.count(None) <= 0.05 * len(found)  # alone, a string of a few runs says little


@needs_severstal
@pytest.mark.parametrize("order", ["F", "C"])
def test_together_the_severstal_strings_leave_no_doubt(severstal, order):
    write = Dialect(order=order).write
    strings = [write(RLE.from_text(text, SHAPE)) for text in severstal]
    assert detect(strings, [SHAPE] * len(strings)).order == order


@needs_severstal
def test_severstal_is_down_the_columns_from_one(severstal):
    shapes = [SHAPE] * len(severstal)
    found = detect(severstal, shapes)
    assert (found.order, found.base) == ("F", 1)
    from_zero = [Dialect(base=0).write(RLE.from_text(text, SHAPE)) for text in severstal]
    assert detect(from_zero, shapes).base == 0


@needs_nuclei
def test_every_nucleus_comes_back(nuclei):
    for masks in nuclei.values():
        for mask in masks:
            rle = RLE.from_mask(mask)
            assert np.array_equal(rle.to_mask() * np.uint8(255), mask)
            assert RLE.from_text(rle.to_text(), mask.shape) == rle


@needs_nuclei
def test_no_nucleus_is_taken_for_the_other_order(nuclei):
    for masks in nuclei.values():
        for mask in masks:
            for order in "FC":
                text = RLE.from_mask(mask, order).to_text()
                assert detect([text], [mask.shape]).order in (order, None)


@needs_nuclei
def test_components_of_nuclei_are_those_of_opencv(nuclei):
    for masks in nuclei.values():
        union = np.maximum.reduce(masks)
        count, _, stats, _ = cv2.connectedComponentsWithStats(union, connectivity=8)
        areas = regions.areas(RLE.from_mask(union))
        assert sorted(areas.tolist()) == sorted(stats[1:, cv2.CC_STAT_AREA].tolist())
        assert len(areas) == count - 1


@needs_nuclei
def test_as_many_nuclei_are_found_from_their_union_as_the_docs_say(nuclei):
    count = whole = split = 0
    for masks in nuclei.values():
        union, true = RLE.from_mask(np.maximum.reduce(masks)), list(map(RLE.from_mask, masks))
        count += len(true)
        whole += _found(true, regions.components(union))
        split += _found(true, regions.split_instances(union))
    told = " ".join((Path(__file__).parents[1] / "docs" / "rle.md").read_text().split())
    assert (
        f"In {len(nuclei)} of DSB 2018's training images it finds {100 * split / count:.0f} % of "
        f"{count} nuclei at IoU > 0.5 from their union, where components find "
        f"{100 * whole / count:.0f} %"
    ) in told


def _found(true, parts):
    return sum(any(one.iou(part) > 0.5 for part in parts) for one in true)


@needs_nuclei
def test_splitting_brings_the_count_of_nuclei_nearer(nuclei):
    before = after = 0
    for masks in nuclei.values():
        union = RLE.from_mask(np.maximum.reduce(masks))
        before += abs(len(masks) - len(regions.components(union)))
        after += abs(len(masks) - len(regions.split_instances(union)))
    assert after < 0.7 * before
