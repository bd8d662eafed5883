"""submission.csv: written early and atomically, checked, and scored as the competition would.

- `Writer` keeps a valid file on disk from the first second to the last.
- `Budget` spends the hours: as good a prediction as the time left allows, and never too late.
- `validate` lists every reason for which the competition would refuse a file.
- `score` gives the competition's own number, and Dice of the union for every image;
  `score_masks` does so for masks that were never written.
- `write_truth`, `read_truth` keep answers in the competition's own dialect.
"""

from kagglekit.submission.budget import Budget
from kagglekit.submission.check import validate, validate_train_table
from kagglekit.submission.rows import read
from kagglekit.submission.score import Score, score, score_masks
from kagglekit.submission.truth import read_truth, write_truth
from kagglekit.submission.writer import Writer

__all__ = [
    "Budget",
    "Score",
    "Writer",
    "read",
    "read_truth",
    "score",
    "score_masks",
    "validate",
    "validate_train_table",
    "write_truth",
]
