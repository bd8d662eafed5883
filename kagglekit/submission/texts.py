"""The masks of one image as the texts that its rows hold."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from kagglekit.competitions.profile import SubmissionRules
from kagglekit.errors import SubmissionError
from kagglekit.instances import find_overlap, union
from kagglekit.regions import components
from kagglekit.rle import RLE, Dialect

Masks: TypeAlias = RLE | Sequence[RLE] | Sequence[tuple[RLE, float]]

_COCO = Dialect("open-images")


def to_texts(masks: Masks, shape: tuple[int, int], rules: SubmissionRules) -> list[str]:
    """Return the texts that one image's rows hold.

    Args:
        masks: what was found: one RLE, or a list of them, empty ones allowed. Where the
            competition has one row for each image, a list becomes its union; where it has one for
            each class, there is one for each, in order; where it wants instances, one RLE becomes
            its connected parts; where it wants a confidence, a mask may be a pair (RLE, confidence
            in [0, 1]).
        shape: (height, width) of the image.
        rules: how the competition writes masks.

    Returns:
        A text for each row; an image with nothing in it has the competition's empty ones.

    Raises:
        SubmissionError: a mask is no RLE or has another shape, there are not as many as classes,
            a confidence is not in [0, 1], or instances overlap.
    """
    if isinstance(masks, RLE) and rules.rows == "instances":
        masks = components(masks)  # as `train.Validation` does
    found, confidences = _split(masks, rules.encoding == "coco")
    _check_masks(found, shape)
    if rules.encoding == "coco":
        parts = [
            f"0 {_number(confidence)} {_COCO.write(mask)}"
            for mask, confidence in zip(found, confidences, strict=True)
            if mask.area
        ]
        return [" ".join(parts) or rules.empty]
    if rules.rows == "classes":
        if len(found) != len(rules.classes):
            raise SubmissionError(
                f"{len(found)} masks for {len(rules.classes)} classes ({', '.join(rules.classes)})",
                hint="give one for each, in this order; RLE.empty(shape) where there is nothing",
            )
        return [mask.reorder(rules.order).to_text() or rules.empty for mask in found]
    found = [mask.reorder(rules.order) for mask in found]
    if rules.rows == "one":
        found = [union(found, shape)]
    clash = find_overlap(found)
    if clash:
        raise SubmissionError(
            f"instances {clash[0]} and {clash[1]} share pixels, which the competition refuses",
            hint="give each pixel to one instance: kagglekit.instances.without_overlaps(masks)",
        )
    return [mask.to_text() for mask in found if mask.area] or [rules.empty]


def empty_texts(rules: SubmissionRules) -> list[str]:
    """Return the texts of an image with nothing in it."""
    return [rules.empty] * (len(rules.classes) if rules.rows == "classes" else 1)


def _split(masks: Masks, confident: bool) -> tuple[list[RLE], list[float]]:
    """Return the masks and their confidences, 1 where none is given."""
    if isinstance(masks, Mapping):
        raise SubmissionError(
            f"expected an RLE or a list of them, got {type(masks).__name__}",
            hint="give its masks: list(masks.values())",
        )
    given = list(masks) if isinstance(masks, Iterable) else [masks]
    pairs: list[tuple[Any, float]] = [
        mask if confident and isinstance(mask, tuple) else (mask, 1.0) for mask in given
    ]
    strange = {type(mask).__name__ for mask, _ in pairs if not isinstance(mask, RLE)}
    if strange:
        raise SubmissionError(
            f"expected an RLE or a list of them, got {', '.join(sorted(strange))}",
            hint="encode a mask first: RLE.from_mask(mask)"
            + ("; confidences come in pairs: [(mask, 0.9), ...]" if confident else ""),
        )
    wrong = [confidence for _, confidence in pairs if not _is_share(confidence)]
    if wrong:
        raise SubmissionError(f"a confidence is {wrong[0]}: expected a number from 0 to 1")
    return [mask for mask, _ in pairs], [float(confidence) for _, confidence in pairs]


def _is_share(confidence: Any) -> bool:
    try:
        return 0 <= float(confidence) <= 1
    except (TypeError, ValueError):
        return False


def _number(confidence: float) -> str:
    """Write a confidence so that it is read as the same number: rounded ones may become equal."""
    return repr(confidence).removesuffix(".0")


def _check_masks(masks: Sequence[RLE], shape: tuple[int, int]) -> None:
    """Refuse masks of another size than the image's."""
    wrong = sorted({mask.shape for mask in masks if tuple(mask.shape) != tuple(shape)})
    if wrong:
        raise SubmissionError(
            f"the image is {shape[0]} × {shape[1]} pixels (height × width) and its mask "
            + " or ".join(f"{height} × {width}" for height, width in wrong),
            hint="masks are submitted at the image's own size: resize back before encoding",
        )
