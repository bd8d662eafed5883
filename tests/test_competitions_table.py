"""Reading a CSV file row by row gives what the standard reader gives."""

import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kagglekit.competitions import table
from kagglekit.errors import DataError


@given(st.text('ab,"\n\r ', max_size=30))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_are_those_of_the_standard_reader(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode())
    try:
        with path.open(newline="") as file:
            wanted = list(csv.reader(file, strict=True))
    except csv.Error as refused:
        reason = str(refused)
    else:
        assert list(table.iter_rows(path)) == wanted
        assert table.read_table(path) == (wanted[0] if wanted else [], wanted[1:])
        return
    with pytest.raises(DataError) as caught:
        list(table.iter_rows(path))
    assert str(caught.value) == f"`{path}` cannot be read as CSV: {reason}"


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    table.write_table(path, ["a"], [["1"]])

    def rows():
        yield ["2"]
        raise KeyError("the third")

    with pytest.raises(KeyError):
        table.write_table(path, ["a"], rows())
    assert [each.name for each in tmp_path.iterdir()] == ["t.csv"]
    assert path.read_text() == "a\n1\n"
