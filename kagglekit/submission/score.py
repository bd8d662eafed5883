"""The competition's own score of a submission, when the truth is known."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kagglekit import metrics
from kagglekit.competitions import Data, Profile
from kagglekit.competitions.data import decode_texts
from kagglekit.errors import DataError, SubmissionError
from kagglekit.instances import union
from kagglekit.rle import RLE
from kagglekit.submission.check import is_refusal, validate
from kagglekit.submission.rows import read


@dataclass(frozen=True)
class Score:
    """How good a submission is.

    Attributes:
        value: the competition's score, the mean of `per_image`.
        metric: name of the metric, as in the profile.
        per_image: the metric of each image, by id.
        union_dice: Dice of everything found against everything there, of each image, by id.
    """

    value: float
    metric: str
    per_image: dict[str, float]
    union_dice: dict[str, float]


def score(path: Path | str, comp: Profile, data: Data, truth: Mapping[str, Sequence[RLE]]) -> Score:
    """Score a submission by the competition's own metric.

    Args:
        path: the CSV file.
        comp: the competition.
        data: its folder, with the test images.
        truth: the masks of each test image, by id, as `fake.make` or `read_truth` give them.

    Raises:
        SubmissionError: the competition would refuse the file; every problem is listed.
        DataError: the truth of a test image is missing, or there are no test images.
    """
    images = data.test_images()
    problems = [problem for problem in validate(path, comp, data) if is_refusal(problem)]
    if problems:
        raise SubmissionError(f"`{path}` is not a valid submission", problems=problems)
    missing = [image_id for image_id in images if image_id not in truth]
    if missing:
        raise DataError("no truth for some test images", problems=missing)
    texts = read(path, comp)
    metric = _METRICS[comp.metric.name]
    per_image, union_dice = {}, {}
    for image_id, image in images.items():
        shape = data.shape(image)
        pred, true = decode_texts(texts[image_id], shape, comp), truth[image_id]
        per_image[image_id] = metric(pred, true, shape, comp.metric.empty)
        union_dice[image_id] = _union_dice(pred, true, shape, comp.metric.empty)
    value = sum(per_image.values()) / len(per_image)
    return Score(value, comp.metric.name, per_image, union_dice)


def _union_dice(
    pred: Sequence[RLE], truth: Sequence[RLE], shape: tuple[int, int], empty: float
) -> float:
    return metrics.dice(union(pred, shape), union(truth, shape), empty)


def _instance_precision(
    pred: Sequence[RLE], truth: Sequence[RLE], shape: tuple[int, int], empty: float
) -> float:
    return metrics.instance_precision(pred, truth, empty=empty)


_METRICS: dict[str, Callable[[Sequence[RLE], Sequence[RLE], tuple[int, int], float], float]] = {
    "mean_dice": _union_dice,
    "instance_precision": _instance_precision,
}
"""How one image is scored, by the name that a profile gives the metric."""
