import re
from pathlib import Path

from kagglekit import errors

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "exit-codes.md"


def test_every_class_of_error_stands_in_the_document() -> None:
    table = re.findall(r"^\| (\d+) \| `(\w+)` \|", DOCUMENT.read_text(), flags=re.MULTILINE)
    classes = {
        name: kind.exit_code
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.KagglekitError)
    }
    assert {name: int(code) for code, name in table} == classes
    assert len(set(classes.values())) == len(classes)
