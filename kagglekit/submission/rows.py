"""A competition's dialect of CSV: masks to rows and back."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from kagglekit.competitions import Data, Profile, table
from kagglekit.competitions.data import decode_texts
from kagglekit.errors import RLEError, SubmissionError
from kagglekit.instances import find_overlap, union
from kagglekit.rle import RLE


def to_texts(masks: RLE | Sequence[RLE], shape: tuple[int, int], comp: Profile) -> list[str]:
    """Return the texts that one image's rows hold.

    Args:
        masks: what was found: one RLE, or a list of them. Where the competition has one row for
            each image, a list becomes its union.
        shape: (height, width) of the image.
        comp: the competition.

    Returns:
        At least one text; an image with nothing in it has the competition's empty one.

    Raises:
        SubmissionError: a mask is no RLE or has another shape, or instances overlap.
    """
    rules = comp.submission
    masks = [masks] if isinstance(masks, RLE) else list(masks)
    strange = {type(mask).__name__ for mask in masks if not isinstance(mask, RLE)}
    if strange:
        raise SubmissionError(
            f"expected an RLE or a list of them, got {', '.join(sorted(strange))}",
            hint="encode a mask first: RLE.from_mask(mask)",
        )
    wrong = sorted({mask.shape for mask in masks if tuple(mask.shape) != tuple(shape)})
    if wrong:
        raise SubmissionError(
            f"the image is {shape[0]} × {shape[1]} pixels (height × width) and its mask "
            + " or ".join(f"{height} × {width}" for height, width in wrong),
            hint="masks are submitted at the image's own size: resize back before encoding",
        )
    masks = [mask.reorder(rules.order) for mask in masks if mask.area]
    if rules.rows == "one":
        masks = [union(masks, shape)] if masks else []
    clash = find_overlap(masks)
    if clash:
        raise SubmissionError(
            f"instances {clash[0]} and {clash[1]} share pixels, which `{comp.slug}` refuses",
            hint="give each pixel to one instance: kagglekit.instances.without_overlaps(masks)",
        )
    return [mask.to_text() for mask in masks] or [rules.empty]


def write_rows(path: Path, texts: Mapping[str, Sequence[str]], comp: Profile) -> None:
    """Replace a submission by the texts of each image, by id, in the order of the rows."""
    rows = ((image_id, text) for image_id in texts for text in texts[image_id])
    table.write_table(path, (comp.submission.id, comp.submission.rle), rows)


def read(path: Path | str, comp: Profile) -> dict[str, list[str]]:
    """Read the mask texts of each image from a submission, without looking into them.

    Args:
        path: the CSV file.
        comp: the competition.

    Returns:
        For each id, in the file's order, the texts of its rows without the empty ones.

    Raises:
        DataError: the file is not CSV, or lacks a column.
    """
    texts: dict[str, list[str]] = {}
    rules = comp.submission
    for image_id, text in table.columns(Path(path), rules.id, rules.rle):
        found = texts.setdefault(image_id, [])
        if text != rules.empty:
            found.append(text)
    return texts


def write_truth(path: Path | str, comp: Profile, truth: Mapping[str, Sequence[RLE]]) -> None:
    """Write the truth of some images in the form of a submission.

    Args:
        path: the CSV file; it is replaced.
        comp: the competition.
        truth: the masks of each image, by id, as `Data.truth` gives them.

    Raises:
        SubmissionError: the masks of an image differ in shape, or instances overlap.
    """
    texts = {
        image_id: to_texts(masks, masks[0].shape, comp) if masks else [comp.submission.empty]
        for image_id, masks in truth.items()
    }
    write_rows(Path(path), texts, comp)


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
