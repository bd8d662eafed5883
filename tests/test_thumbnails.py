"""Images of every kind, small: files, folders of layers, arrays with more channels than colours."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from kagglekit import competitions, plots
from kagglekit.competitions import Data
from kagglekit.errors import DataError
from kagglekit.thumbnails import thumbnail

BOWL = competitions.load("data-science-bowl-2018")
CONTRAILS = competitions.load("google-research-identify-contrails-reduce-global-warming")
INK = competitions.load("vesuvius-challenge-ink-detection")


def test_a_file_is_shown_as_it_is(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), image[..., ::-1])
    shown, scale = thumbnail(Data(tmp_path, BOWL), path)
    assert scale == 1
    assert (shown == image).all()
    assert thumbnail(Data(tmp_path, BOWL), path, max_side=15)[0].shape == (10, 15, 3)


def test_three_of_an_image_s_layers_are_its_colours(tmp_path: Path) -> None:
    folder = tmp_path / "test" / "a" / "surface_volume"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    layers = rng.integers(0, 65536, (8, 20, 30), np.uint16)
    for number, layer in enumerate(layers):
        cv2.imwrite(str(folder / f"{number:02}.tif"), layer)
    data = Data(tmp_path, INK)
    (path,) = data.test_images().values()
    shown, scale = thumbnail(data, path)
    assert scale == 1
    for channel, number in enumerate((2, 4, 6)):  # a quarter, half and three quarters of 8
        assert (shown[..., channel] == plots.as_rgb8(layers[number][..., None])[..., 0]).all()


def test_the_moment_in_the_middle_of_an_array_is_shown(tmp_path: Path) -> None:
    folder = tmp_path / "validation" / "a"
    folder.mkdir(parents=True)
    array = np.random.default_rng(2).random((21, 30, 8), np.float32)
    for band in range(8, 17):
        np.save(folder / f"band_{band:02}.npy", array)
    data = Data(tmp_path, CONTRAILS)
    shown, scale = thumbnail(data, folder, max_side=10)
    assert scale == 3
    middle = plots.as_rgb8(array[::3, ::3, 4:5])
    assert (shown == middle).all()


def test_a_folder_without_layers_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        thumbnail(Data(tmp_path, CONTRAILS), tmp_path)
    assert str(caught.value) == f"no file matches `band_{{layer}}.npy` in `{tmp_path}`"
