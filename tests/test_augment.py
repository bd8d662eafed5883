import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from kagglekit import augment

BOTH = pytest.mark.parametrize("backend", augment.BACKENDS)
ALL = pytest.mark.parametrize("name", augment.PRESETS)


def picture(size=32, channels=3, dtype=np.uint8):
    """A picture whose first channel is bright exactly where its mask is, and the mask."""
    rng = np.random.default_rng(0)
    mask = np.zeros((2, size, size), np.uint8)
    mask[0, size // 4 : size // 2, size // 4 : size - 4] = 1
    mask[1, 2:9, 3:20] = 1
    top = 1 if dtype == np.float32 else np.iinfo(dtype).max
    pixels = rng.uniform(0.3, 0.4, (size, size, channels))
    pixels[:, :, 0] += 0.4 * mask[0]
    return (pixels * top).astype(dtype), mask


class Pictures(Dataset):
    """The same picture again and again: only the key tells one from the other."""

    def __init__(self, augmentation, epoch):
        self.augmentation, self.epoch = augmentation, epoch

    def __len__(self):
        return 32

    def __getitem__(self, i):
        pixels, masks = self.augmentation(*picture(), key=(7, self.epoch, i))
        return torch.from_numpy(pixels), torch.from_numpy(masks)


def epoch_of(augmentation, epoch, workers):
    loader = DataLoader(
        Pictures(augmentation, epoch),
        batch_size=4,
        num_workers=workers,
        multiprocessing_context="fork" if workers else None,
    )
    pixels, masks = zip(*loader, strict=True)
    return torch.cat(pixels), torch.cat(masks)


@BOTH
def test_every_picture_is_another_in_every_worker_and_epoch_and_the_same_again(backend):
    heavy = augment.preset("heavy", backend)
    alone, masks = epoch_of(heavy, epoch=1, workers=0)
    shared, shared_masks = epoch_of(heavy, epoch=1, workers=2)
    assert torch.equal(alone, shared)
    assert torch.equal(masks, shared_masks)
    assert len({one.numpy().tobytes() for one in alone}) == 32
    later, _ = epoch_of(heavy, epoch=2, workers=0)
    assert not any(torch.equal(a, b) for a, b in zip(alone, later, strict=True))


@ALL
@BOTH
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_shapes_and_dtypes_stay_and_what_was_given_too(name, backend, dtype):
    if name == "stain" and dtype != np.uint8:
        pytest.skip("stains are told apart in 8-bit pictures only")
    pixels, masks = picture(dtype=dtype)
    before = pixels.copy(), masks.copy()
    augmentation = augment.preset(name, backend)
    for sample in range(20):
        made, planes = augmentation(pixels, masks, key=(0, 0, sample))
        assert (made.shape, made.dtype) == (pixels.shape, pixels.dtype)
        assert (planes.shape, planes.dtype) == (masks.shape, np.uint8)
        assert made.flags.c_contiguous
        assert set(np.unique(planes)) <= {0, 1}
    assert np.array_equal(pixels, before[0])
    assert np.array_equal(masks, before[1])


@ALL
@BOTH
def test_the_mask_moves_with_the_pixels(name, backend):
    pixels, masks = picture(size=48)
    augmentation = augment.preset(name, backend)
    for sample in range(20):
        made, planes = augmentation(pixels, masks, key=(0, 0, sample))
        red, inside = made[:, :, 0].astype(float), planes[0] > 0
        assert red[inside].mean() > red[~inside].mean() + 40
        assert np.mean((red > (red[inside].mean() + red[~inside].mean()) / 2) == inside) > 0.9


def test_turning_shows_all_eight_symmetries_alike_and_keeps_a_rectangle_s_sides():
    square = np.arange(9, dtype=np.uint8).reshape(3, 3, 1)
    seen = {}
    flip = augment.Augmentation([augment.preset("light").steps[0]])
    for sample in range(800):
        made, planes = flip(square, square[None, :, :, 0], key=(sample,))
        assert np.array_equal(made[:, :, 0], planes[0])
        seen[made.tobytes()] = seen.get(made.tobytes(), 0) + 1
    expected = {np.rot90(a, k).tobytes() for a in (square, square.swapaxes(0, 1)) for k in range(4)}
    assert set(seen) == expected
    assert min(seen.values()) > 60
    made, planes = flip(np.zeros((2, 5, 1), np.uint8), np.zeros((1, 2, 5), np.uint8), key=(3,))
    assert (made.shape, planes.shape) == ((2, 5, 1), (1, 2, 5))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("planes", [0, 1, 3])
def test_all_channels_and_masks_are_turned_alike(dtype, channels, planes):
    flip = augment.Augmentation([augment.preset("light").steps[0]])
    place = np.arange(25).reshape(5, 5)
    pixels = np.stack([place + 30 * k for k in range(channels)], axis=2).astype(dtype)
    masks = np.stack([place] * planes).astype(np.uint8) if planes else np.zeros((0, 5, 5), np.uint8)
    for sample in range(16):
        made, turned = flip(pixels, masks, key=(sample,))
        assert made.dtype == dtype
        assert turned.shape == masks.shape
        for k in range(channels):
            assert np.array_equal(made[..., k], made[..., 0] + np.array(30 * k, dtype))
        assert all(np.array_equal(plane, made[..., 0]) for plane in turned)


def test_what_is_hidden_is_black_and_in_no_mask():
    hide = augment.Augmentation([augment.preset("heavy").steps[-1]])
    pixels, masks = np.full((40, 30, 3), 9, np.uint8), np.ones((2, 40, 30), np.uint8)
    made = [hide(pixels, masks, key=(i,)) for i in range(200)]
    assert all(np.array_equal(planes[1], one[:, :, 2] > 0) for one, planes in made)
    hidden = [(planes == 0).mean() for _, planes in made]
    assert 0.1 < np.mean(np.array(hidden) > 0) < 0.3
    assert 0.02 < max(hidden) < 0.15


def test_transforms_of_one_pipeline_happen_independently():
    # With albumentations' own seeding all four happen, or none of them does.
    step = augment.adapt(lambda lib: [lib.HorizontalFlip(p=0.5), lib.VerticalFlip(p=0.5)])
    flips = augment.Augmentation([step])
    pixels = np.arange(4, dtype=np.uint8).reshape(2, 2, 1)
    masks = np.zeros((1, 2, 2), np.uint8)
    seen = [flips(pixels, masks, key=(i,))[0].tobytes() for i in range(200)]
    assert sorted(map(seen.count, set(seen)))[0] > 25
    assert len(set(seen)) == 4


@pytest.mark.filterwarnings("ignore")  # as many a notebook does
def test_an_argument_that_albumentations_would_ignore_is_an_error():
    with pytest.raises(
        ValueError,
        match=r"^albumentations [\d.]+ would ignore this: Argument\(s\) 'var_limit' are not valid for transform GaussNoise; see its documentation for what the argument is called now$",
    ):
        augment.adapt(lambda lib: [lib.GaussNoise(var_limit=(10, 50))])


@BOTH
@pytest.mark.parametrize("channels", [2, 4, 5])
@pytest.mark.parametrize("name", ["light", "heavy"])
def test_pictures_may_have_any_number_of_channels(name, backend, channels):
    pixels, masks = picture(channels=channels)
    augmentation = augment.preset(name, backend, channels=channels)
    for sample in range(30):
        made, planes = augmentation(pixels, masks, key=(0, 0, sample))
        assert (made.shape, made.dtype) == (pixels.shape, pixels.dtype)
        assert (planes.shape, planes.dtype) == (masks.shape, np.uint8)


@BOTH
def test_pictures_may_have_no_masks(backend):
    pixels, masks = picture()
    augmentation = augment.preset("heavy", backend)
    for sample in range(30):
        made, planes = augmentation(pixels, masks[:0], key=(0, 0, sample))
        assert made.shape == pixels.shape
        assert planes.shape == (0, *masks.shape[1:])


@BOTH
def test_a_grey_picture_is_not_coloured(backend):
    pixels, masks = picture(channels=1)
    augmentation = augment.preset("heavy", backend, channels=1)
    made = {augmentation(pixels, masks, key=(i,))[0].tobytes() for i in range(10)}
    assert len(made) == 10


def test_torch_s_own_generator_is_left_alone():
    torch.manual_seed(1)
    wanted = torch.rand(3)
    torch.manual_seed(1)
    augment.preset("heavy", "torchvision")(*picture(), key=(5,))
    assert torch.equal(torch.rand(3), wanted)


def test_nor_are_those_of_gpus(monkeypatch):
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    augment.preset("heavy", "torchvision")(*picture(), key=(5,))
    assert seeded == []


@BOTH
def test_no_warning_and_no_question_to_the_network(backend):
    code = (
        "import socket, warnings; warnings.simplefilter('error', UserWarning)\n"
        "def refuse(*a, **k): raise SystemExit('it asked the network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from kagglekit import augment\n"
        f"augment.preset('heavy', '{backend}')"
    )
    clean = {k: v for k, v in os.environ.items() if k != "NO_ALBUMENTATIONS_UPDATE"}
    subprocess.run([sys.executable, "-c", code], check=True, env=clean)


def test_names_that_are_not_there_are_refused():
    with pytest.raises(
        ValueError, match=r"^preset 'hard' must be one of 'light', 'heavy', 'stain'$"
    ):
        augment.preset("hard")
    with pytest.raises(
        ValueError, match=r"^backend 'kornia' must be one of 'albumentations', 'torchvision'$"
    ):
        augment.preset("light", "kornia")
    with pytest.raises(
        ValueError, match=r"^preset 'stain' needs RGB, not 1 channel\(s\): take 'heavy'$"
    ):
        augment.preset("stain", channels=1)
    with pytest.raises(ValueError, match=r"^masks of \(9, 8\) pixels for a picture of \(8, 8\)$"):
        augment.preset("light")(np.zeros((8, 8, 3), np.uint8), np.zeros((1, 9, 8), np.uint8), (0,))


def test_cutmix_moves_masks_with_their_pixels():
    images = torch.arange(6.0).reshape(6, 1, 1, 1) + torch.zeros(6, 2, 20, 30)
    masks = torch.arange(6).reshape(6, 1, 1, 1) + torch.zeros(6, 3, 20, 30, dtype=torch.int64)
    covered = []
    for step in range(100):
        mixed, planes = augment.cutmix(images, masks, key=(0, 0, step))
        assert torch.equal(mixed[:, :1].expand(-1, 3, -1, -1), planes.to(mixed.dtype))
        strange = (planes != masks)[:, 0]
        for one in strange:
            y, x = one.nonzero(as_tuple=True)  # a box, whole
            assert len(y) == 0 or len(y) == (y.max() - y.min() + 1) * (x.max() - x.min() + 1)
        covered.append(strange.float().mean().item())
    assert 0.05 < np.mean(covered) < 0.25  # half of the pictures, some boxes reach outside
    again, _ = augment.cutmix(images, masks, key=(0, 0, 99))
    assert torch.equal(again, mixed)
    assert torch.equal(augment.cutmix(images, masks, key=(1,), share=0)[0], images)


def test_cutmix_refuses_what_does_not_pair_up():
    with pytest.raises(
        ValueError,
        match=r"^images \(2, 3, 8, 8\) and masks \(2, 1, 8, 9\) do not pair up: expected \(N, C, h, w\) and \(N, K, h, w\)$",
    ):
        augment.cutmix(torch.zeros(2, 3, 8, 8), torch.zeros(2, 1, 8, 9), key=(0,))


@BOTH
@pytest.mark.parametrize("name", ["light", "heavy"])
@pytest.mark.parametrize(
    ("values", "told"), [((250, 300), "from 250 to 300"), ((-1, 1), "from -1 to 1")]
)
def test_floats_that_would_be_cut_off_are_refused(name, backend, values, told):
    pixels = np.linspace(*values, 32 * 32 * 3, dtype=np.float32).reshape(32, 32, 3)
    with pytest.raises(ValueError) as raised:
        augment.preset(name, backend)(pixels, np.zeros((1, 32, 32), np.uint8), key=(0,))
    assert str(raised.value) == (
        f"a picture of float32 {told}: expected values in [0, 1], where light and colour are "
        "changed; store it scaled to that"
    )


@BOTH
def test_a_preset_for_other_channels_says_so(backend):
    pixels, masks = np.zeros((32, 32, 5), np.uint8), np.zeros((1, 32, 32), np.uint8)
    with pytest.raises(ValueError) as raised:
        augment.preset("heavy", backend)(pixels, masks, key=(0,))
    assert str(raised.value) == (
        "a picture of 5 channels, and the preset is for 3: preset(..., channels=5)"
    )
    augment.preset("light", backend)(pixels, masks, key=(0,))
    augment.preset("heavy", backend, channels=5)(pixels, masks, key=(0,))
