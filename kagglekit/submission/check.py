"""Whether the competition would accept a submission, and every reason why not."""

import gc
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from kagglekit.competitions import Data, Profile, table
from kagglekit.errors import DataError, RLEError
from kagglekit.instances import overlaps
from kagglekit.rle import RLE, Detection, detect, expect_texts
from kagglekit.submission.cell import read_cell
from kagglekit.submission.rows import Cells, Place, expected_places

NOT_FOUND = "Submission CSV Not Found"
SCORING_ERROR = "Submission Scoring Error"
WRONG_SCORE = "Accepted, but with a score near zero"

_LOOKED_AT = 256  # masks that say in which order a file is written; more would say no more
_ANY_SIZE = (1 << 30, 1 << 30)  # of an image that cannot be read: its mask may lie anywhere

_Shape: TypeAlias = tuple[int, int]
_Look: TypeAlias = Callable[[str, _Shape], None]


def validate(path: Path | str, comp: Profile, data: Data) -> list[str]:
    """List everything for which the competition would refuse a submission.

    What it would accept and score near zero is listed where nothing else is wrong: masks whose
    pixels are counted in the wrong direction, or from 0.

    Rows may stand in any order and blank lines between them, as far as the competition cares. The
    bounds of a mask are not checked where its image cannot be read.

    Args:
        path: the CSV file.
        comp: the competition.
        data: its folder; the test images that lie there are the ids that must be in the file.

    Returns:
        A text for each problem, none when there is none: those of single rows, of instances
        beside each other, of rows that are missing. It begins with what Kaggle would show, names
        the row (the header is row 1) and the id, and may go over several lines.

    Raises:
        DataError: the folder has no test images.
    """
    with _without_collecting():
        return _validate(Path(path), comp, data)


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Pause the search for reference cycles: rows leave none, and it takes a tenth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _validate(path: Path, comp: Profile, data: Data) -> list[str]:
    images = data.test_images()
    if not path.is_file():
        return [f"{NOT_FOUND}: there is no `{path}`"]
    sample = _Sample(len(images))
    expect_texts(path.stat().st_size)
    rows = table.iter_rows(path)
    try:
        header, expected = next(rows, []), list(data.rules.columns)
        if header != expected:
            return [f"{SCORING_ERROR}: row 1: the columns are {header}, expected {expected}"]
        problems = list(_problems(rows, images, data, sample.look))
    except DataError as error:
        return [f"{SCORING_ERROR}: {error}"]
    if problems:
        return [f"{SCORING_ERROR}: {problem}" for problem in problems]
    return [f"{WRONG_SCORE}: {why}" for why in _disagrees(sample.detect(), comp)]


def is_refusal(problem: str) -> bool:
    """Whether the competition would refuse a file for this problem of `validate`."""
    return not problem.startswith(WRONG_SCORE)


def validate_train_table(data: Data) -> tuple[Detection, list[str]]:
    """Find the order and base in which the train table's masks really are written.

    A profile, or a competition's own page, may be wrong about it; masks read in the wrong order
    raise no error and train a model on noise.

    Args:
        data: the competition's folder, with its train images and table.

    Returns:
        What the masks say, and a line for each thing that contradicts the profile.

    Raises:
        DataError: there is no train table, or it cannot be read.
    """
    sizes = {image_id: data.shape(path) for image_id, path in data.train_images().items()}
    known = [
        (text, sizes[image_id])
        for image_id, texts in data.train_texts.items()
        for text in texts
        if image_id in sizes and text not in ("", data.rules.empty)
    ]
    found = detect([text for text, _ in known], [shape for _, shape in known])
    return found, _disagrees(found, data.profile)


def _disagrees(found: Detection, comp: Profile) -> list[str]:
    """Return what the masks themselves contradict: the competition's order, its base of 1."""
    ways = {"F": "down the columns", "C": "along the rows"}
    wanted, lines = comp.submission.order, []
    if found.order not in (None, wanted):
        lines.append(
            f"the masks are counted {ways[found.order]}, expected {ways[wanted]} "
            f'(order="{wanted}"): {found.evidence[0]}'
        )
    if found.base == 0:
        lines.append(f"the first pixel is counted as 0, expected 1: {found.evidence[1]}")
    return lines


class _Sample:
    """Some masks from all over a file, to tell in which order it is written."""

    def __init__(self, images: int) -> None:
        self._every = 1 + images // _LOOKED_AT
        self._seen = 0
        self._texts: list[str] = []
        self._shapes: list[_Shape] = []

    def look(self, text: str, shape: _Shape) -> None:
        """Take notice of a mask."""
        if self._seen % self._every == 0:
            self._texts.append(text)
            self._shapes.append(shape)
        self._seen += 1

    def detect(self) -> Detection:
        """Find the order and base of the masks."""
        return detect(self._texts, self._shapes)


def _problems(
    rows: Iterable[list[str]], images: dict[str, Path], data: Data, look: _Look
) -> Iterator[str]:
    """Yield what is wrong with the rows after the header; show `look` each mask that is sound."""
    rules = data.rules
    cells_of, places = Cells(rules), expected_places(rules, images)
    several = rules.rows == "instances" and rules.encoding != "coco"
    first: dict[Place, int] = {}
    found: defaultdict[str, list[tuple[int, list[RLE]]]] = defaultdict(list)
    # Beforehand, not row by row: opening a file leaves nothing in the processor's caches.
    shapes = {image_id: _size_of(path, data) for image_id, path in images.items()}
    for number, row in enumerate(rows, 2):
        if not row:
            continue
        if len(row) != len(rules.columns):
            yield f"row {number}: {len(row)} cells, expected {len(rules.columns)}"
            continue
        place, size, text = cells_of(row)
        if place not in places:
            kind = "test image and class" if rules.classes else "test image"
            yield f"row {number}, {place}: no such {kind}"
            continue
        if first.setdefault(place, number) != number and not several:
            yield f"row {number}, {place}: a second row, the first is row {first[place]}"
        image_id = places[place]
        shape = shapes[image_id]
        if size and shape and not _is_size(size, shape):
            yield (
                f"row {number}, {place}: the size is {size[0]} × {size[1]} (height × width), "
                f"the image has {shape[0]} × {shape[1]}"
            )
        try:
            masks = read_cell(text, shape or _ANY_SIZE, rules)
        except RLEError as error:
            yield f"row {number}, {place}: {error}"
            continue
        if several:
            found[image_id].append((number, masks))
        if shape and rules.encoding == "runs" and any(len(mask) for mask in masks):
            look(text, shape)
    for image_id, instances in found.items():
        yield from _check_instances(image_id, instances)
    yield from (f"{place}: no row" for place in places if place not in first)


def _size_of(path: Path, data: Data) -> _Shape | None:
    try:
        return data.shape(path)
    except DataError:
        return None


def _is_size(cells: tuple[str, ...], shape: _Shape) -> bool:
    """Whether cells hold the (height, width) of an image."""
    return all(
        cell.strip().isdecimal() and float(cell) == side
        for cell, side in zip(cells, shape, strict=True)
    )


def _check_instances(image_id: str, rows: list[tuple[int, list[RLE]]]) -> Iterator[str]:
    """Yield the problems of one image's rows beside each other."""
    if len(rows) > 1:
        for number, masks in rows:
            if not masks:
                yield f"row {number}, `{image_id}`: an empty row beside others"
    numbers = [number for number, masks in rows for _ in masks]
    for first, second in overlaps([mask for _, masks in rows for mask in masks]):
        yield (
            f"row {numbers[second]}, `{image_id}`: overlaps the instance in row {numbers[first]}"
        )
