"""What benchmarks/rle.py measures: the masks, and the peers' way of doing each task."""

import csv
import tarfile
from pathlib import Path

import cv2
import numpy as np
import rlemasklib
from numba import njit
from pycocotools import mask as coco

from kagglekit.rle import RLE

DATA = Path(__file__).parents[2] / "shared" / "data"

# The masks


def blobs(shape, count, radii, seed=0):
    """Ellipses of the given range of radii."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(shape, np.uint8)
    for _ in range(count):
        centre = (int(rng.integers(shape[1])), int(rng.integers(shape[0])))
        axes = (int(rng.integers(*radii)), int(rng.integers(*radii)))
        cv2.ellipse(mask, centre, axes, float(rng.integers(180)), 0, 360, 1, -1)
    return mask


def smooth_polygons(shape, count, radii, seed=0):
    """Closed curves like a pathologist's outline of glomeruli."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(shape, np.uint8)
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    for _ in range(count):
        radius = rng.integers(*radii) * (
            1 + 0.15 * np.sin(2 * angle + rng.random() * 6) + 0.08 * np.sin(5 * angle)
        )
        x = rng.integers(shape[1]) + radius * np.cos(angle)
        y = rng.integers(shape[0]) + radius * np.sin(angle)
        cv2.fillPoly(mask, [np.stack([x, y], axis=1).round().astype(np.int32)], 1)
    return mask


def disks_as_runs(shape, count, radii, seed=0):
    """Disks on a slide that is never painted."""
    rng = np.random.default_rng(seed)
    starts, ends = [], []
    for _ in range(count):
        radius = int(rng.integers(*radii))
        y = int(rng.integers(radius, shape[0] - radius))
        x = int(rng.integers(radius, shape[1] - radius))
        across = np.arange(-radius, radius + 1)
        half = np.sqrt(radius**2 - across**2).astype(np.int64)
        starts.append((x + across) * shape[0] + y - half)
        ends.append((x + across) * shape[0] + y + half + 1)
    starts, ends = np.concatenate(starts), np.concatenate(ends)
    order = np.argsort(starts)
    starts, ends = starts[order], ends[order]
    covered = np.maximum.accumulate(ends)
    apart = np.concatenate([[True], starts[1:] > covered[:-1]])
    return RLE(starts[apart], (ends - starts)[apart], shape)


def severstal():
    """The real strings."""
    with (DATA / "severstal_rle.csv").open(newline="") as file:
        return [row["EncodedPixels"] for row in csv.DictReader(file) if row["EncodedPixels"]]


def nuclei():
    """The real masks of single nuclei, 0 and 255."""
    with tarfile.open(DATA / "dsb2018_stage1_train.tar") as archive:
        for member in archive:
            if "/masks/" in member.name and member.isfile():
                data = np.frombuffer(archive.extractfile(member).read(), np.uint8)
                yield cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)


# What the tutorials do, written anew from its description


def tutorial_encode(mask):
    """Copy the mask into column order, pad it, and look where neighbours differ."""
    pixels = np.concatenate([[0], mask.T.flatten(), [0]])
    runs = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    runs[1::2] -= runs[::2]
    return " ".join(str(number) for number in runs)


@njit
def _tutorial_scan(pixels):
    runs = np.empty(len(pixels) + 1, np.int64)
    count, start = 0, -1
    for i in range(len(pixels)):
        if pixels[i] == 1 and start < 0:
            start = i
        elif pixels[i] != 1 and start >= 0:
            runs[count], runs[count + 1] = start + 1, i - start
            count, start = count + 2, -1
    if start >= 0:
        runs[count], runs[count + 1] = start + 1, len(pixels) - start
        count += 2
    return runs[:count]


def tutorial_encode_numba(mask):
    """Copy the mask into column order and walk over it with a compiled loop."""
    return " ".join(str(number) for number in _tutorial_scan(mask.T.flatten()))


def tutorial_decode(text, shape):
    """Paint the runs one by one into column order."""
    numbers = np.array(text.split(), np.int64)
    pixels = np.zeros(shape[0] * shape[1], np.uint8)
    for start, length in zip(numbers[0::2], numbers[1::2], strict=True):
        pixels[start - 1 : start - 1 + length] = 1
    return pixels.reshape(shape[::-1]).T


# What peers do, with Kaggle's text around it where the task has it


def counts_to_text(counts):
    """Join COCO's counts to Kaggle's pairs."""
    edges = np.cumsum(counts, dtype=np.int64)
    starts = edges[0::2][: len(counts) // 2] + 1
    pairs = np.stack([starts, np.asarray(counts[1::2], np.int64)], axis=1).ravel()
    return " ".join(map(str, pairs.tolist()))


def text_to_counts(text, pixels):
    """Turn Kaggle's pairs into COCO's counts, the fast way."""
    numbers = np.fromstring(text, np.int64, sep=" ")
    edges = np.empty(len(numbers) + 2, np.int64)
    edges[0], edges[-1] = 0, pixels
    edges[1:-1:2] = numbers[0::2] - 1
    edges[2:-1:2] = numbers[0::2] - 1 + numbers[1::2]
    return np.diff(edges).astype(np.uint32)


def rlemasklib_encode(mask):
    """Encode with rlemasklib and join the text."""
    return counts_to_text(rlemasklib.RLEMask.from_array(mask).counts)


def rlemasklib_read(text, shape):
    """Parse with NumPy and hand the counts to rlemasklib."""
    return rlemasklib.RLEMask.from_counts(text_to_counts(text, shape[0] * shape[1]), shape)


def pycocotools_encode(mask):
    """Encode with pycocotools: COCO's bytes only, no text of Kaggle's."""
    return coco.encode(np.asfortranarray(mask))


def opencv_drop_small(mask, min_area):
    """Label with statistics, look up which labels stay."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= min_area
    keep[0] = False
    return keep.astype(np.uint8)[labels]


def opencv_areas(mask):
    """Areas of all components."""
    return cv2.connectedComponentsWithStats(mask, connectivity=8)[2][1:, cv2.CC_STAT_AREA]
