"""Whether the competition would accept a submission, and every reason why not."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from kagglekit.competitions import Data, Profile, table
from kagglekit.errors import DataError, RLEError
from kagglekit.instances import find_overlap
from kagglekit.rle import RLE, Detection, detect

NOT_FOUND = "Submission CSV Not Found"
SCORING_ERROR = "Submission Scoring Error"
WRONG_SCORE = "Accepted, but with a score near zero"


def validate(path: Path | str, comp: Profile, data: Data) -> list[str]:
    """List everything for which the competition would refuse a submission.

    What it would accept is listed too where it costs as much: masks whose pixels are counted in
    the wrong direction, or from 0.

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
    texts, shapes = [], []
    for image_id in images:
        if image_id in rows:
            shape = data.shape(images[image_id])
            problems += _check_image(image_id, rows[image_id], shape, comp)
            texts += [text for _, text in rows[image_id]]
            shapes += [shape] * len(rows[image_id])
    if problems:
        return [f"{SCORING_ERROR}: {problem}" for problem in problems]
    return [f"{WRONG_SCORE}: {why}" for why in _disagrees(detect(texts, shapes), comp)]


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
    labels, images = data.profile.train_table, data.train_images()
    sizes = {image_id: data.shape(path) for image_id, path in images.items()}
    cells = table.columns(data.root / labels.path, labels.id, labels.rle)
    known = [(text, sizes[image_id]) for image_id, text in cells if image_id in sizes]
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


def _check_image(
    image_id: str, rows: list[tuple[int, str]], shape: tuple[int, int], comp: Profile
) -> Iterator[str]:
    """Yield the problems of one image's rows."""
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
    clash = find_overlap(masks) if rules.rows == "instances" else None
    if clash:
        first, second = (numbers[place] for place in clash)
        yield f"row {second}, `{image_id}`: overlaps the instance in row {first}"
