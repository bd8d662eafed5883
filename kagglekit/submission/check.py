"""Whether the competition would accept a submission, and every reason why not."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from kagglekit.competitions import Data, Profile, table
from kagglekit.errors import DataError, RLEError
from kagglekit.instances import find_overlap
from kagglekit.rle import RLE

NOT_FOUND = "Submission CSV Not Found"
SCORING_ERROR = "Submission Scoring Error"
WRONG_SCORE = "Accepted, but with a score near zero"


def validate(path: Path | str, comp: Profile, data: Data) -> list[str]:
    """List everything for which the competition would refuse a submission.

    One thing it would accept is listed too, because it costs as much: masks whose pixels are
    counted in the wrong direction.

    Args:
        path: the CSV file.
        comp: the competition.
        data: its folder; the test images that lie there are the ids that must be in the file.

    Returns:
        One line for each problem, none when there is none. A line begins with what Kaggle would
        show, and names the row (the header is row 1) and the id.

    Raises:
        DataError: the folder has no test images, or one cannot be opened.
    """
    path = Path(path)
    images = data.test_images()
    if not path.is_file():
        return [f"{NOT_FOUND}: there is no `{path}`"]
    try:
        header, cells = table.read_table(path)
    except DataError as error:
        return [f"{SCORING_ERROR}: {error}"]
    expected = [comp.submission.id, comp.submission.rle]
    if header != expected:
        return [f"{SCORING_ERROR}: row 1: the columns are {header}, expected {expected}"]

    problems = []
    rows: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for number, row in enumerate(cells, 2):
        if len(row) == 2:
            rows[row[0]].append((number, row[1]))
        else:
            problems.append(f"row {number}: {len(row)} cells, expected 2")
    problems += [
        f"row {number}, `{image_id}`: no such test image"
        for image_id in rows
        if image_id not in images
        for number, _ in rows[image_id]
    ]
    problems += [f"`{image_id}`: no row" for image_id in images if image_id not in rows]
    masks = {}
    for image_id in images:
        if image_id in rows:
            shape = data.shape(images[image_id])
            found = list(_check_image(image_id, rows[image_id], shape, comp))
            problems += [problem for problem in found if isinstance(problem, str)]
            masks[image_id] = [mask for mask in found if isinstance(mask, RLE)]
    lines = [f"{SCORING_ERROR}: {problem}" for problem in problems]
    if _reads_better_in_other_order(masks):
        down, along = ("down the columns", "along the rows")
        right, wrong = (down, along) if comp.submission.order == "F" else (along, down)
        lines.append(
            f"{WRONG_SCORE}: the masks are counted {wrong}, expected {right} "
            f'(order="{comp.submission.order}")'
        )
    return lines


def _check_image(
    image_id: str, rows: list[tuple[int, str]], shape: tuple[int, int], comp: Profile
) -> Iterator[str | RLE]:
    """Yield the problems of one image's rows, and the masks of those that have none."""
    rules = comp.submission
    if rules.rows == "one":
        for number, _ in rows[1:]:
            yield f"row {number}, `{image_id}`: a second row, the first is row {rows[0][0]}"
    elif len(rows) > 1:
        for number, text in rows:
            if text == rules.empty:
                yield f"row {number}, `{image_id}`: an empty row beside others"
    masks, numbers = [], []
    for number, text in rows:
        if text == rules.empty:
            continue
        try:
            mask = RLE.from_text(text, shape, order=rules.order)
        except RLEError as error:
            yield f"row {number}, `{image_id}`: {error}"
        else:
            masks.append(mask)
            numbers.append(number)
            yield mask
    clash = find_overlap(masks) if rules.rows == "instances" else None
    if clash:
        first, second = (numbers[place] for place in clash)
        yield f"row {second}, `{image_id}`: overlaps the instance in row {first}"


def _reads_better_in_other_order(masks: Mapping[str, list[RLE]]) -> bool:
    """Tell whether masks are objects when counted in the other direction, and dust in this one.

    A mask of objects, moved by one line, still covers most of itself. Counted in the wrong
    direction the lines have the length of the other side, so square images say nothing.
    """
    this_order, other_order = 0.0, 0.0
    for mask in (mask for found in masks.values() for mask in found):
        height, width = mask.shape
        if height != width and len(mask.starts) > 1:
            line, other = (height, width) if mask.order == "F" else (width, height)
            this_order += _covers_itself(mask, line)
            other_order += _covers_itself(mask, other)
    return other_order > 1.2 * this_order + 100


def _covers_itself(mask: RLE, distance: int) -> float:
    """Count the pixels of a mask that are still in it when it is moved on by `distance` pixels."""
    starts, ends = mask.starts, mask.starts + mask.lengths
    filled = np.cumsum(mask.lengths)
    # How many pixels of the mask lie before a place: linear between the ends of the runs.
    places = np.column_stack((starts, ends)).ravel()
    before = np.column_stack((filled - mask.lengths, filled)).ravel()
    moved = np.interp(ends + distance, places, before) - np.interp(
        starts + distance, places, before
    )
    return float(moved.sum())
