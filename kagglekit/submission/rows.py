"""A competition's rows of CSV: which columns and keys an image has, in which order, and back."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from kagglekit.competitions import Data, Profile, table, template
from kagglekit.competitions.profile import SubmissionRules
from kagglekit.competitions.sample import key
from kagglekit.errors import DataError

Shape = tuple[int, int]


def write_rows(
    path: Path,
    texts: Mapping[str, Sequence[str]],
    sizes: Mapping[str, Shape],
    rules: SubmissionRules,
) -> None:
    """Replace a submission by the texts of each image, by id, in the order of the rows.

    Args:
        path: the CSV file.
        texts: of each image, as `texts.to_texts` gives them.
        sizes: (height, width) of each image, where the competition wants them in the file.
        rules: what the competition's rows look like.
    """
    rows = (row for image_id in texts for row in _rows(image_id, texts[image_id], sizes, rules))
    table.write_table(path, rules.columns, rows)


def _rows(
    image_id: str, texts: Sequence[str], sizes: Mapping[str, Shape], rules: SubmissionRules
) -> Iterator[list[str]]:
    """Yield the cells of one image's rows."""
    for name, text in zip(class_names(rules, len(texts)), texts, strict=True):
        cells = {rules.id: key(rules, image_id, name), rules.rle: text}
        if rules.class_column:
            cells[rules.class_column] = name
        if rules.size_columns:
            cells.update(zip(rules.size_columns, map(str, sizes[image_id]), strict=True))
        yield [cells[column] for column in rules.columns]


def class_names(rules: SubmissionRules, rows: int = 1) -> Sequence[str]:
    """Return the class of each of an image's rows, '' where rows have none."""
    return rules.classes if rules.rows == "classes" else [""] * rows


def split_key(rules: SubmissionRules, cell: str) -> tuple[str, str]:
    """Return image id and class of what stands in the column of keys.

    The class is '' where the key holds none; what no key looks like is an id as it stands.
    """
    fields = template.match(rules.key, cell, {"class": rules.classes})
    return (fields["id"], fields.get("class", "")) if fields else (cell, "")


class Place(NamedTuple):
    """What tells rows apart: the key, and the class where that has a column of its own."""

    key: str
    name: str = ""

    def __str__(self) -> str:
        return f"`{self.key}`" + (f", class `{self.name}`" if self.name else "")


def expected_places(rules: SubmissionRules, images: Iterable[str]) -> dict[Place, str]:
    """Return which places must occur in a submission, and of which image each is."""
    return {
        Place(key(rules, image_id, name), name if rules.class_column else ""): image_id
        for image_id in images
        for name in class_names(rules)
    }


class Cells:
    """Takes a row of a submission apart: its place, the cells of the image's size, the mask's."""

    def __init__(self, rules: SubmissionRules) -> None:
        columns = rules.columns
        self._key, self._text = columns.index(rules.id), columns.index(rules.rle)
        self._name = columns.index(rules.class_column) if rules.class_column else None
        self._size = [columns.index(column) for column in rules.size_columns]

    def __call__(self, row: Sequence[str]) -> tuple[Place, tuple[str, ...], str]:
        """Return what the cells of a row, in the order of the header, are."""
        name = "" if self._name is None else row[self._name]
        size = tuple(row[column] for column in self._size)
        return Place(row[self._key], name), size, row[self._text]


def in_sample_order(data: Data) -> dict[str, Path]:
    """Return id and path of the test images that are there, in the sample submission's order.

    Images that it lacks come last, and rows of images that are not there are passed over: where a
    sample is out of date, what is on disk counts. Without a sample the ids are sorted.

    Raises:
        DataError: there are no test images.
    """
    images, rules = data.test_images(), data.rules
    try:
        cells = table.columns(data.root / rules.sample, rules.id)
    except DataError:
        return images
    listed = dict.fromkeys(split_key(rules, cell)[0] for (cell,) in cells)
    known = {image_id: images[image_id] for image_id in listed if image_id in images}
    return known | images


def sizes_for_rows(data: Data, images: Mapping[str, Path]) -> dict[str, Shape]:
    """Return the (height, width) of each image where rows hold it; (0, 0) if it cannot be read."""
    sizes: dict[str, Shape] = {}
    for image_id, path in images.items() if data.rules.size_columns else ():
        try:
            sizes[image_id] = data.shape(path)
        except DataError:
            sizes[image_id] = (0, 0)
    return sizes


def read(path: Path | str, comp: Profile) -> dict[str, list[str]]:
    """Read the mask texts of each image from a submission, without looking into them.

    Args:
        path: the CSV file.
        comp: the competition.

    Returns:
        For each id, in the file's order, the texts of its rows without the empty ones; where there
        is one row for each class, one text for each, in the profile's order.

    Raises:
        DataError: the file is not CSV, lacks a column, or names a class that there is not.
    """
    rules = _rules_of(Path(path), comp)
    names = class_names(rules)
    columns = [rules.id, rules.rle, *([rules.class_column] if rules.class_column else [])]
    texts: dict[str, list[str]] = {}
    for cell, text, *rest in table.columns(Path(path), *columns):
        image_id, name = split_key(rules, cell)
        name = rest[0] if rest else name
        if rules.rows == "classes":
            if name not in names:
                raise DataError(f"`{path}`: `{cell}` has class `{name}`, expected one of {names}")
            found = texts.setdefault(image_id, [rules.empty] * len(names))
            found[names.index(name)] = text
        else:
            found = texts.setdefault(image_id, [])
            if text != rules.empty:
                found.append(text)
    return texts


def _rules_of(path: Path, comp: Profile) -> SubmissionRules:
    """Return the competition's rules in the dialect whose columns a file has."""
    header = tuple(table.header(path))
    dialects = [comp.submission, *(dialect.submission for dialect in comp.dialects)]
    return next((rules for rules in dialects if rules.columns == header), comp.submission)
