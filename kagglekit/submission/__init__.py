"""submission.csv: written early and atomically, checked, and scored as the competition would.

- `Writer` keeps a valid file on disk from the first second to the last.
- `validate` lists every reason for which the competition would refuse a file.
- `score` gives the competition's own number, and Dice of the union for every image.
- `write_truth`, `read_truth` keep answers in the competition's own dialect.
"""

from kagglekit.submission.check import validate, validate_train_table
from kagglekit.submission.rows import read, read_truth, write_truth
from kagglekit.submission.score import Score, score
from kagglekit.submission.writer import Writer

__all__ = [
    "Score",
    "Writer",
    "read",
    "read_truth",
    "score",
    "validate",
    "validate_train_table",
    "write_truth",
]
