import tarfile

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kagglekit import competitions, metrics, regions
from kagglekit.instances import find_overlap, union
from kagglekit.rle import RLE
from kagglekit.touching import cores, grow


def disk(shape, y, x, radius):
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    return (yy - y) ** 2 + (xx - x) ** 2 <= radius**2


def touching_disks():
    shape = (40, 60)
    left, right = disk(shape, 20, 20, 12), disk(shape, 20, 40, 12)
    return shape, [RLE.from_mask(left), RLE.from_mask(right & ~left)]


def core_by_loops(instances, shape, rim):
    """The definition: a pixel whose neighbours up to `rim` away belong to its own instance."""
    labels = np.zeros(shape, int)
    for i, instance in enumerate(instances, 1):
        labels[instance.to_mask() > 0] = i
    core = np.zeros(shape, bool)
    for y in range(shape[0]):
        for x in range(shape[1]):
            around = labels[max(y - rim, 0) : y + rim + 1, max(x - rim, 0) : x + rim + 1]
            core[y, x] = labels[y, x] > 0 and (around == labels[y, x]).all()
    return core


@pytest.mark.parametrize("rim", [1, 2])
def test_cores_are_what_is_surrounded_by_one_instance(rim):
    shape, disks = touching_disks()
    assert np.array_equal(cores(disks, shape, rim).to_mask() > 0, core_by_loops(disks, shape, rim))


def test_cores_of_touching_instances_are_apart():
    shape, disks = touching_disks()
    assert len(regions.components(union(disks, shape))) == 1
    assert len(regions.components(cores(disks, shape))) == 2


def test_an_instance_too_thin_for_a_core_keeps_what_is_near_no_other():
    shape = (9, 20)
    one, two, far = (np.zeros(shape, bool) for _ in range(3))
    one[4, 2:10] = True
    two[5, 6:14] = True  # below the right half of the first
    far[0, 17:] = True
    left = cores([RLE.from_mask(m) for m in (one, two, far)], shape).to_mask() > 0
    assert np.array_equal(left & far, far)
    assert np.flatnonzero(left[4]).tolist() == [2, 3, 4]
    assert np.flatnonzero(left[5]).tolist() == [11, 12, 13]


def test_cores_of_nothing():
    assert cores([], (5, 7)).area == 0


def test_an_instance_without_pixels_has_no_core():
    one = RLE.from_text("1 9", (3, 6))
    assert cores([RLE.empty((3, 6)), one], (3, 6)) == cores([one], (3, 6))


def test_growing_the_cores_brings_the_instances_back():
    shape, disks = touching_disks()
    grown = grow(cores(disks, shape), union(disks, shape))
    assert len(grown) == 2
    for one, true in zip(grown, disks, strict=True):
        assert one.iou(true) > 0.97


@given(st.integers(0, 10**6), st.sampled_from(["F", "C"]))
def test_grown_instances_are_a_partition_of_the_mask(seed, order):
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.random((37, 53)).astype(np.float32), (0, 0), 2)
    mask = RLE.from_mask(noise > 0.5, order=order)
    seeds = RLE.from_mask(noise > 0.53, order=order)
    grown = grow(seeds, mask)
    assert find_overlap(grown) is None
    assert union(grown, mask.shape).reorder(order) == mask
    assert all(one.area and one.order == order for one in grown)
    outside = RLE.from_mask((noise < 0.5) & (rng.random(noise.shape) < 0.2), order=order)
    assert grow(seeds | outside, mask) == grown


@given(st.integers(0, 10**6))
def test_every_pixel_goes_to_the_nearest_seed_of_its_part(seed):
    rng = np.random.default_rng(seed)
    shape = (20, 24)
    mask = RLE.from_mask(np.ones(shape, bool))
    points = rng.permutation(shape[0] * shape[1])[:3]
    ys, xs = points // shape[1], points % shape[1]
    if max(abs(ys[i] - ys[j]) for i in range(3) for j in range(i)) < 2:
        return  # seeds side by side are one seed
    dense = np.zeros(shape, bool)
    dense[ys, xs] = True
    if len(regions.components(RLE.from_mask(dense))) < 3:
        return
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    far = np.hypot(yy[..., None] - ys, xx[..., None] - xs)
    for one in grow(RLE.from_mask(dense), mask):
        inside = one.to_mask() > 0
        [own] = [k for k in range(3) if inside[ys[k], xs[k]]]
        # OpenCV's 5x5 distance is within 3 % of the true one.
        assert (far[inside][:, own] <= 1.04 * far[inside].min(1) + 1e-6).all()


def test_a_part_without_seed_is_one_instance():
    shape, disks = touching_disks()
    [whole] = grow(RLE.empty(shape), union(disks, shape))
    assert whole == union(disks, shape)


def test_nothing_grows_from_nothing():
    assert grow(RLE.from_text("1 4", (3, 5)), RLE.empty((3, 5))) == []


@pytest.mark.slow
def test_real_nuclei_are_told_apart_by_their_cores(shared_data, tmp_path):
    with tarfile.open(shared_data / "dsb2018_stage1_train.tar") as tar:
        names = [m for m in tar if m.name.split("/")[1] < "0b"]
        tar.extractall(tmp_path, names, filter="data")
    data = competitions.load("data-science-bowl-2018").find_data(tmp_path)
    merged, told_apart = [], []
    for image in data.train_images():
        truth = data.truth(image)
        shape = truth[0].shape
        mask = union(truth, shape)
        merged.append(metrics.instance_precision(regions.components(mask), truth))
        told_apart.append(metrics.instance_precision(grow(cores(truth, shape), mask), truth))
    assert len(merged) >= 10
    assert np.mean(told_apart) > 0.95 > np.mean(merged)
