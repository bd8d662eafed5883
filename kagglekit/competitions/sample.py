"""The sample submission of a made-up test: a row for everything asked, with nothing found."""

from collections.abc import Mapping
from pathlib import Path

from kagglekit.competitions import table, template
from kagglekit.competitions.rules import SubmissionRules, Table


def key(columns: Table | SubmissionRules, image_id: str, name: str) -> str:
    """Return what stands in the column of keys for an image and one of its classes."""
    return template.fill(columns.key, **{"id": image_id, "class": name})


def key_cells(columns: Table | SubmissionRules, image_id: str, name: str) -> list[str]:
    """Return the cells that say which image, and which class of it, a row is about."""
    own = key(columns, image_id, name)
    return [own, name] if columns.class_column else [own]


def write_sample(root: Path, rules: SubmissionRules, shapes: Mapping[str, tuple[int, int]]) -> None:
    """Write the sample submission.

    Args:
        root: the tree.
        rules: what it looks like.
        shapes: (height, width) of each test image, by id, in the order of the rows.
    """
    rows = [
        [*key_cells(rules, image_id, name), *(shape if rules.size_columns else ()), rules.empty]
        for image_id, shape in shapes.items()
        for name in rules.classes or ("",)
    ]
    table.write_table(root / rules.sample, rules.columns, rows)
