"""Answers in a competition's own dialect of CSV, written and read."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from kagglekit.competitions import Data, Profile
from kagglekit.competitions.data import decode_texts
from kagglekit.errors import DataError, RLEError, SubmissionError
from kagglekit.rle import RLE
from kagglekit.submission.rows import read, sizes_for_rows, write_rows
from kagglekit.submission.texts import empty_texts, to_texts


def write_truth(
    path: Path | str, comp: Profile, truth: Mapping[str, Sequence[RLE]], data: Data | None = None
) -> None:
    """Write the truth of some images in the form of a submission.

    Args:
        path: the CSV file; it is replaced.
        comp: the competition.
        truth: the masks of each image, by id, as `Data.truth` gives them.
        data: its folder, if there is one: in whose dialect it is written, where there are two;
            and where rows hold an image's size, what that of images without masks is (else 0).

    Raises:
        SubmissionError: the masks of an image differ in shape, or instances overlap.
    """
    rules = data.rules if data else comp.submission
    sizes = dict.fromkeys(truth, (0, 0))
    if data:
        sizes |= sizes_for_rows(data, _images(data, truth))
    texts = {}
    for image_id, masks in truth.items():
        texts[image_id] = to_texts(masks, masks[0].shape, rules) if masks else empty_texts(rules)
        if masks:
            sizes[image_id] = masks[0].shape
    write_rows(Path(path), texts, sizes, rules)


def _images(data: Data, wanted: Iterable[str]) -> dict[str, Path]:
    """Return the files of images, of the train or of the test."""
    images: dict[str, Path] = {}
    for listing in (data.train_images, data.test_images):
        if missing := {*wanted} - images.keys():
            with suppress(DataError):  # some competitions have no visible test, others no train
                images |= {name: path for name, path in listing().items() if name in missing}
    return images


def read_truth(path: Path | str, comp: Profile, data: Data) -> dict[str, list[RLE]]:
    """Read what `write_truth` wrote.

    Args:
        path: the CSV file.
        comp: the competition.
        data: where the images are, whose sizes the file does not hold.

    Raises:
        SubmissionError: an id has no test image, or a text cannot be decoded; all are listed.
        DataError: the file is not CSV, or lacks a column.
    """
    images = data.test_images()
    truth: dict[str, list[RLE]] = {}
    problems = []
    for image_id, texts in read(path, comp).items():
        if image_id not in images:
            problems.append(f"`{image_id}`: no such test image")
            continue
        try:
            truth[image_id] = decode_texts(texts, data.shape(images[image_id]), comp)
        except RLEError as error:
            problems.append(f"`{image_id}`: {error}")
    if problems:
        raise SubmissionError(f"`{path}` is not a truth of this test", problems=problems)
    return truth
