"""What Kaggle would score without a word: sizes, emptiness, twins; and images that change."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kagglekit import competitions, slides
from kagglekit.competitions import fake, table
from kagglekit.competitions.data import Data
from kagglekit.rehearsal import fuzz, suspect, twins
from kagglekit.rehearsal.forecast import forecast, seconds_for
from kagglekit.rehearsal.limits import Limits, Usage
from kagglekit.rehearsal.terminal import shorten
from kagglekit.rehearsal.trial import Trial
from kagglekit.rle import RLE
from kagglekit.thumbnails import thumbnail

KIDNEY = competitions.load("hubmap-kidney-segmentation")
BOWL = competitions.load("data-science-bowl-2018")
Truth = dict[str, list[RLE]]


@pytest.fixture
def tree(tmp_path: Path) -> tuple[Data, Truth]:
    truth = fake.make(KIDNEY, tmp_path / "tree", train=0, test=2, size=(200, 260))
    return KIDNEY.find_data(tmp_path / "tree"), truth


def write(folder: Path, texts: Mapping[str, str]) -> Path:
    path = folder / "submission.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("id", "predicted"), *texts.items()])
    return path


def texts(truth: Truth) -> dict[str, str]:
    return {image: masks[0].to_text() for image, masks in truth.items()}


class TestWrongSize:
    def test_the_truth_is_of_the_right_size(self, tree: tuple[Data, Truth], tmp_path: Path) -> None:
        data, truth = tree
        assert suspect.wrong_size(write(tmp_path, texts(truth)), KIDNEY, data, truth) == ""

    @pytest.mark.parametrize("factor", [2, 4])
    def test_smaller_masks(self, factor: int, tree: tuple[Data, Truth], tmp_path: Path) -> None:
        data, truth = tree
        small = {
            image: _shrink(masks[0], (masks[0].shape[0] // factor, masks[0].shape[1] // factor))
            for image, masks in truth.items()
        }
        cause = suspect.wrong_size(write(tmp_path, small), KIDNEY, data, truth)
        assert cause.startswith(
            f"the masks are those of images made {factor} times smaller: read so they reach a Dice "
        )

    def test_masks_of_a_fixed_side(self, tree: tuple[Data, Truth], tmp_path: Path) -> None:
        data, truth = tree
        small = {image: _shrink(masks[0], (128, 128)) for image, masks in truth.items()}
        cause = suspect.wrong_size(write(tmp_path, small), KIDNEY, data, truth)
        assert cause.startswith("the masks are those of images of 128 × 128 pixels: read so they")


def _shrink(mask: RLE, shape: tuple[int, int]) -> str:
    import cv2

    small = cv2.resize(mask.to_mask(), shape[::-1], interpolation=cv2.INTER_NEAREST)
    return RLE.from_mask(small).to_text()


def test_nothing_at_all_is_found(tree: tuple[Data, Truth], tmp_path: Path) -> None:
    _, truth = tree
    empty = write(tmp_path, dict.fromkeys(truth, ""))
    assert suspect.nothing_found(empty, KIDNEY, truth) == (
        "nothing is predicted in any image: each of its rows is empty"
    )
    nothing = {image: [RLE.empty(masks[0].shape)] for image, masks in truth.items()}
    assert suspect.nothing_found(empty, KIDNEY, nothing) == ""
    one = dict.fromkeys(truth, "") | {next(iter(truth)): "1 1"}
    assert suspect.nothing_found(write(tmp_path, one), KIDNEY, truth) == ""


class TestTwins:
    def test_a_twin_has_its_image_its_truth_and_its_rows(self, tree: tuple[Data, Truth]) -> None:
        data, truth = tree
        before = dict(truth)
        first, twin = twins.plant(KIDNEY, data.root, truth)
        assert set(truth) == {*before, twin}
        assert twin == max(truth)
        assert truth[twin] == truth[first]
        images = KIDNEY.find_data(data.root).test_images()
        assert images[twin].read_bytes() == images[first].read_bytes()
        sample = (data.root / KIDNEY.submission.sample).read_text().splitlines()
        assert f"{twin}," in sample
        patients = (data.root / "HuBMAP-20-dataset_information.csv").read_text()
        assert patients.count(f"{twin}.tiff") == 1

    def test_none_of_a_single_image_or_a_volume(self, tree: tuple[Data, Truth]) -> None:
        data, truth = tree
        image = next(iter(truth))
        assert twins.plant(KIDNEY, data.root, {image: truth[image]}) == ()

    def test_what_differs_is_told(self, tree: tuple[Data, Truth], tmp_path: Path) -> None:
        data, truth = tree
        pair = twins.plant(KIDNEY, data.root, truth)
        data = KIDNEY.find_data(data.root)
        same = texts(truth)
        assert suspect.differing_twins(write(tmp_path, same), KIDNEY, data, pair) == ""
        path = write(tmp_path, same | {pair[1]: "1 7"})
        assert suspect.differing_twins(path, KIDNEY, data, pair) == (
            f"`{pair[0]}` and `{pair[1]}` are the same picture, and their masks differ (Dice "
            "0.000): what is predicted for an image depends on the images before it"
        )
        assert suspect.differing_twins(path, KIDNEY, data, ()) == ""


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Sequence[fuzz.Test]:
    return fuzz.make(BOWL, tmp_path_factory.mktemp("odd"), 6)


def test_odd_tests_are_odd(odd: Sequence[fuzz.Test]) -> None:
    names = ["tiny", "empty", "long", "16-bit", "many", "tiny 2"]
    assert [test.name for test in odd] == [f"hidden, {name}" for name in names]
    shapes, pixels = [], []
    for test in odd:
        data = BOWL.find_data(test.tree)
        images = data.test_images()
        assert set(images) == set(test.truth)
        assert all(mask.area for masks in test.truth.values() for mask in masks)
        assert all(m.shape == data.shape(images[i]) for i, ms in test.truth.items() for m in ms)
        shapes.append({data.shape(path) for path in images.values()})
        with slides.open_slide(min(images.values())) as slide:
            pixels.append(slide.read(0, 13, 0, 9))
    assert shapes[0] == shapes[5] == {(13, 9)}
    assert not any(odd[1].truth.values())
    assert np.ptp(pixels[1]) == 0
    assert all(width > 8 * height for height, width in shapes[2])
    assert [test.flat for test in odd] == [False, False, True, False, False, False]
    assert len(odd[4].truth) == 13
    ids = [image for test in odd for image in test.truth]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("slug", competitions.slugs())
def test_every_competition_has_odd_tests(slug: str, tmp_path: Path) -> None:
    comp = competitions.load(slug)
    small = tuple(replace(odd, images=2, size=(40, 60)) for odd in fuzz.ODDITIES)
    for test in fuzz.make(comp, tmp_path, len(small), small):
        data = comp.find_data(test.tree)
        images = data.test_images()
        assert set(images) == set(test.truth)
        for image, path in images.items():
            shape = data.shape(path)
            assert shape == (13, 9) or "tiny" not in test.name
            assert {mask.shape for mask in test.truth[image]} <= {shape}
        first = thumbnail(data, min(images.values()))[0]
        assert np.ptp(first) == 0 or "empty" not in test.name
        header, rows = table.read_table(test.tree / data.rules.sample)
        assert len(rows) == len(images) * max(1, len(data.rules.classes))
        for row in rows if data.rules.size_columns else []:
            cells = dict(zip(header, row, strict=True))
            told = tuple(int(cells[column]) for column in data.rules.size_columns)
            assert told == data.shape(images[cells[data.rules.id]])


def test_sixteen_bits_are_sixteen_bits(odd: Sequence[fuzz.Test]) -> None:
    import cv2

    for path in BOWL.find_data(odd[3].tree).test_images().values():
        assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED).dtype == np.uint16


class TestForecast:
    def trials(self, visible: float, hidden: float) -> dict[str, Trial]:
        """Runs whose cells took these seconds; the kernel's start does not count."""
        return {
            name: Trial({"timeline": [[1, 2.0, 3.0], [2, 3.0, 2.0 + took]]}, (), Usage(took + 9))
            for name, took in (("visible", visible), ("hidden", hidden))
        }

    def test_a_beginning_and_a_time_for_each_image(self) -> None:
        # A run of n images takes 20 + 7 n seconds.
        assert seconds_for(100, (1, 27.0), (4, 48.0)) == 20 + 7 * 100
        assert seconds_for(100, (1, 27.0), (4, 20.0)) == 27  # faster by chance

    def test_in_time(self) -> None:
        late, told = forecast(
            KIDNEY, Limits(seconds=9 * 3600), {"visible": 1, "hidden": 3}, self.trials(60, 180)
        )
        assert not late
        assert told == (
            "the real hidden test has about 10 images: at this machine's speed and the size of "
            "these images it would take 10 min of 9 h"
        )

    def test_too_late_is_said_only_where_chance_cannot_have_done_it(self) -> None:
        counts = {"visible": 1, "hidden": 2}
        limit = Limits(seconds=300)
        assert forecast(KIDNEY, limit, counts, self.trials(10, 10 + 32))[0] is False
        assert forecast(KIDNEY, limit, counts, self.trials(10, 10 + 36))[0] is True

    def test_as_many_images_tell_nothing(self) -> None:
        late, told = forecast(
            KIDNEY, Limits(seconds=9), {"visible": 2, "hidden": 2}, self.trials(1, 2)
        )
        assert not late
        assert told == (
            "how long the real hidden test takes cannot be told: both have as many images"
        )


def test_twenty_lines() -> None:
    text = "\n".join(map(str, range(40))) + "\n\nFAILED"
    lines = shorten(text).splitlines()
    assert len(lines) == 20
    assert lines[-4:] == ["16", "… 23 more lines in report.html", "", "FAILED"]
    short = "\n".join(map(str, range(18))) + "\n\nFAILED"
    assert shorten(short) == short
