"""CSV files with masks in them, read as text and nothing but text.

A general reader turns the id `00123` into 123 and an empty mask into NaN, and the standard one
stops at a cell of 131,072 characters, which one mask of a whole slide exceeds.
"""

import codecs
import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from itertools import chain
from pathlib import Path

from kagglekit.errors import DataError
from kagglekit.replacing import replacing


def read_table(path: Path) -> tuple[list[str], list[list[str]]]:
    """Read a CSV file.

    Returns:
        The header and the rows, every cell as it stands in the file; the first row after the
        header is row 2, as in a spreadsheet. Empty lines are rows without cells.

    Raises:
        DataError: the file is missing, or is not CSV in UTF-8.
    """
    rows = iter_rows(path)
    return next(rows, []), list(rows)


def iter_rows(path: Path) -> Iterator[list[str]]:
    """Yield the rows of a CSV file, the header first, as `read_table` gives them.

    One row is held at a time, and lines without a quote are only split: twelve times as fast.

    Raises:
        DataError: the file is missing, or is not CSV in UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            lines = _lines(file)
            for line in lines:
                if '"' in line:
                    yield _read_quoted(chain([line], lines))
                else:
                    line = line.rstrip("\r\n")
                    yield line.split(",") if line else []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"`{path}` cannot be read as CSV: {error}") from error


def _lines(file: Iterable[str]) -> Iterator[str]:
    r"""Split at lone `\r` what ends in `\n`: seldom there, and slow to look for while reading."""
    for line in file:
        if line.endswith("\n") and line.find("\r", 0, -2) < 0:
            yield line
        else:
            yield from StringIO(line, newline="")


def _read_quoted(lines: Iterator[str]) -> list[str]:
    """Read one row, which may go over several lines."""
    limit = csv.field_size_limit(2**31 - 1)
    try:
        return next(csv.reader(lines, strict=True))
    finally:
        csv.field_size_limit(limit)


def columns(path: Path, *names: str) -> list[tuple[str, ...]]:
    """Read some columns of a CSV file, row by row.

    Raises:
        DataError: the file cannot be read, a column is missing, or a row is too short.
    """
    header, rows = read_table(path)
    missing = [name for name in names if name not in header]
    if missing:
        raise DataError(
            f"`{path}` has no column {', '.join(f'`{name}`' for name in missing)}",
            problems=[f"its columns are {', '.join(f'`{name}`' for name in header) or 'none'}"],
        )
    places = [header.index(name) for name in names]
    short = [number for number, row in enumerate(rows, 2) if row and len(row) <= max(places)]
    if short:
        raise DataError(
            f"`{path}` has rows with fewer cells than its header",
            problems=[f"row {number}" for number in short],
        )
    return [tuple(row[place] for place in places) for row in rows if row]


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[str | int]]) -> None:
    """Write a CSV file that appears whole or not at all, whatever happens meanwhile.

    Args:
        path: the file; it is replaced, as `replacing` does it.
        header: names of the columns.
        rows: the cells.
    """
    with replacing(path) as file:
        table = csv.writer(codecs.getwriter("utf-8")(file), lineterminator="\n")
        table.writerow(header)
        table.writerows(rows)


def header(path: Path) -> list[str]:
    """Return the names of a CSV file's columns, without reading on.

    Raises:
        DataError: the file is missing, or is not CSV in UTF-8.
    """
    return next(iter_rows(path), [])
