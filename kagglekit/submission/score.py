"""The competition's own score of a submission, when the truth is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kagglekit import metrics
from kagglekit.competitions import Data, Profile
from kagglekit.competitions.data import decode_texts
from kagglekit.errors import DataError, SubmissionError
from kagglekit.instances import union
from kagglekit.rle import RLE, Dialect
from kagglekit.submission.check import is_refusal, validate
from kagglekit.submission.counting import RULES, Found, Rule
from kagglekit.submission.rows import read
from kagglekit.submission.texts import Masks, to_texts

_COCO = Dialect("open-images")


@dataclass(frozen=True)
class Score:
    """How good a submission is.

    Attributes:
        value: the competition's score.
        metric: name of the metric, as in the profile.
        per_image: the score of each image, by id: as if there were no other.
        union_dice: Dice of everything found against everything there, of each image, by id.
        per_group: the score of each group of the profile's table, of images that are in it.
        per_class: the score of each class, where each has rows of its own.
        readings: where the metric's rule is not certain, the score by its other readings.
    """

    value: float
    metric: str
    per_image: dict[str, float]
    union_dice: dict[str, float]
    per_group: dict[str, float] = field(default_factory=dict)
    per_class: dict[str, float] = field(default_factory=dict)
    readings: dict[str, float] = field(default_factory=dict)


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
    problems = [problem for problem in validate(path, comp, data) if is_refusal(problem)]
    if problems:
        raise SubmissionError(f"`{path}` is not a valid submission", problems=problems)
    images = data.test_images()
    missing = [image_id for image_id in images if image_id not in truth]
    if missing:
        raise DataError("no truth for some test images", problems=missing)
    shapes = {image_id: data.shape(image) for image_id, image in images.items()}
    return _score(read(path, comp), shapes, comp, truth, _groups(data, images))


def score_masks(
    masks: Mapping[str, Masks],
    shapes: Mapping[str, tuple[int, int]],
    comp: Profile,
    truth: Mapping[str, Sequence[RLE]],
) -> Score:
    """Score masks as a submission with them would be, without a file or a folder.

    Args:
        masks: of each image, by id, as `Writer` takes them.
        shapes: (height, width) of each image, by id.
        comp: the competition.
        truth: the masks of each image, by id.

    Returns:
        The score; no groups.

    Raises:
        SubmissionError: masks do not fit their image or the rules.
    """
    texts = {
        image_id: to_texts(found, shapes[image_id], comp.submission)
        for image_id, found in masks.items()
    }
    return _score(texts, shapes, comp, truth, {})


def _score(
    texts: Mapping[str, Sequence[str]],
    shapes: Mapping[str, tuple[int, int]],
    comp: Profile,
    truth: Mapping[str, Sequence[RLE]],
    groups: Mapping[str, Sequence[str]],
) -> Score:
    rule, empty = RULES[comp.metric.name], comp.metric.empty
    found, union_dice = {}, {}
    for image_id, shape in shapes.items():
        this = found[image_id] = _found(texts[image_id], truth[image_id], shape, comp)
        union_dice[image_id] = metrics.dice(union(this.pred, shape), union(this.truth, shape))
    counts = {image_id: rule.count(this, empty) for image_id, this in found.items()}
    return Score(
        rule.total(counts, empty),
        comp.metric.name,
        {image_id: rule.total({image_id: count}, empty) for image_id, count in counts.items()},
        union_dice,
        {
            group: rule.total({image_id: counts[image_id] for image_id in members}, empty)
            for group, members in groups.items()
        },
        _per_class(found, comp, rule),
        {name: reading(counts, empty) for name, reading in rule.readings.items()},
    )


def _found(
    texts: Sequence[str], truth: Sequence[RLE], shape: tuple[int, int], comp: Profile
) -> Found:
    """Decode the rows of an image, and bring both sides to the kind of the rows."""
    rules = comp.submission
    if rules.encoding == "coco":
        words = " ".join(texts).split()
        masks = [_COCO.read(word, shape) for word in words[2::3]]
        return Found(masks, truth, [float(word) for word in words[1::3]])
    if rules.rows == "classes" and len(truth) != len(rules.classes):
        raise DataError(
            f"the truth of an image is {len(truth)} masks, `{comp.slug}` has {len(rules.classes)}"
            " classes: one for each, RLE.empty(shape) where there is nothing"
        )
    pred = decode_texts(texts, shape, comp)
    if rules.rows == "one":
        return Found([union(pred, shape)], [union(truth, shape)])
    return Found(pred, truth)


def _groups(data: Data, images: Mapping[str, Path]) -> dict[str, list[str]]:
    """Return the images of each group; none where there is no table of them."""
    groups = data.profile.groups
    if groups is None or not (groups.ids or (data.root / groups.path).is_file()):
        return {}
    members: dict[str, list[str]] = {}
    for image_id, group in data.groups().items():
        if image_id in images:
            members.setdefault(group, []).append(image_id)
    return dict(sorted(members.items()))


def _per_class(found: Mapping[str, Found], comp: Profile, rule: Rule) -> dict[str, float]:
    rules, empty = comp.submission, comp.metric.empty
    if rules.rows != "classes":
        return {}
    scores = {}
    for place, name in enumerate(rules.classes):
        counts = {
            image_id: rule.count(Found([this.pred[place]], [this.truth[place]]), empty)
            for image_id, this in found.items()
        }
        scores[name] = rule.total(counts, empty)
    return scores
