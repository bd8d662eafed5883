"""The truth about train images, out of whatever a competition ships it in."""

import json
from collections.abc import Sequence
from pathlib import Path

from kagglekit.competitions import pixels, table, template
from kagglekit.competitions.rules import SubmissionRules, Table
from kagglekit.errors import DataError, RLEError
from kagglekit.instances import without_overlaps
from kagglekit.rle import RLE, Dialect, from_polygons

Outline = list[list[list[float]]]
"""An outer ring and its holes, each a list of (x, y) in pixels."""

_COCO = Dialect("open-images")


def decode(texts: Sequence[str], shape: tuple[int, int], rules: SubmissionRules) -> list[RLE]:
    """Decode the cells of one image's rows into masks.

    Args:
        texts: the cells; where there is one row for each class, one for each, in order.
        shape: (height, width) of the image.
        rules: how the competition writes masks.

    Returns:
        One RLE with everything; or one for each class, maybe empty; or one for each instance,
        none of them empty: without a confidence a pixel that two of them claim belongs to the
        first, with one they are sorted by it, the surest first.

    Raises:
        RLEError: a text is not valid.
    """
    if rules.encoding == "coco":
        return _decode_predictions(" ".join(texts).split(), shape)
    dialect = Dialect(order=rules.order, empty=rules.empty)
    masks = [dialect.read(text, shape) for text in texts]
    if rules.rows == "classes":
        return masks
    masks = [mask for mask in masks if mask.area]
    if rules.rows == "instances":
        return without_overlaps(masks)
    return masks or [RLE.empty(shape, rules.order)]


def _decode_predictions(words: Sequence[str], shape: tuple[int, int]) -> list[RLE]:
    if len(words) % 3:
        raise RLEError(f"{len(words)} words, expected triples `0 confidence mask`")
    try:
        confidence = [float(word) for word in words[1::3]]
    except ValueError as error:
        raise RLEError(f"a confidence is no number: {error}") from error
    masks = [_COCO.read(word, shape) for word in words[2::3]]
    surest_first = sorted(range(len(masks)), key=lambda place: -confidence[place])
    return [masks[place] for place in surest_first if masks[place].area]


def read_texts(path: Path, columns: Table, rules: SubmissionRules) -> dict[str, list[str]]:
    """Read the cells of the train table.

    Args:
        path: the CSV file.
        columns: what its columns are.
        rules: the kind of rows, and the classes.

    Returns:
        For each image, by id, its cells in the table's order; where there is one row for each
        class, a cell for each, in the order of the classes.

    Raises:
        DataError: the file is not CSV, lacks a column, or a key is not made as the profile says.
    """
    in_classes = rules.rows == "classes"
    choices = {"class": rules.classes} if in_classes else None
    texts: dict[str, list[str]] = {}
    strange = []
    for key, *own, text in table.columns(path, *columns.columns):
        fields = template.match(columns.key, key, choices)
        name = own[0] if own else (fields or {}).get("class", "")
        if fields is None or (in_classes and name not in rules.classes):
            strange.append(f"`{key}`" + (f", class `{name}`" if own else ""))
        elif in_classes:
            cells = texts.setdefault(fields["id"], [""] * len(rules.classes))
            cells[rules.classes.index(name)] = text
        else:
            texts.setdefault(fields["id"], []).append(text)
    if strange:
        raise DataError(
            f"`{path}` has keys that are not `{columns.key}`"
            + (f" with one of the classes {', '.join(rules.classes)}" if in_classes else ""),
            problems=strange[:20],
        )
    return texts


def from_masks(paths: Sequence[Path], rules: SubmissionRules) -> list[RLE]:
    """Read mask images: one for each object, or a single one with everything.

    Args:
        paths: the files.
        rules: the kind of rows, and the order.

    Raises:
        DataError: a file cannot be read.
    """
    masks = [RLE.from_mask(pixels.read_mask(path), order=rules.order) for path in paths]
    return without_overlaps(masks) if rules.rows == "instances" else masks


def read_polygons(path: Path, wanted: str) -> dict[str, list[Outline]]:
    """Read outlines: a file with a JSON object `{"id": …, "annotations": […]}` on each line.

    Args:
        path: the file.
        wanted: the only `type` of annotation to keep.

    Returns:
        The outlines of each image, by id: each a list of rings of (x, y) in pixels.

    Raises:
        DataError: the file cannot be read; the line is named.
    """
    outlines, number = {}, 0
    try:
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):  # noqa: B007
            image = json.loads(line)
            outlines[image["id"]] = [
                annotation["coordinates"]
                for annotation in image["annotations"]
                if annotation["type"] == wanted
            ]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"`{path}` cannot be read: {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"`{path}`, line {number}, is not an image's outlines: {error!r}"
        ) from error
    return outlines


def from_outlines(
    outlines: Sequence[Outline], shape: tuple[int, int], rules: SubmissionRules
) -> list[RLE]:
    """Return the pixels inside each outline, one RLE for each that has any.

    Raises:
        RLEError: an outline is not a list of rings.
    """
    masks = [from_polygons([outline], shape, rules.order) for outline in outlines]
    return [mask for mask in masks if mask.area]
