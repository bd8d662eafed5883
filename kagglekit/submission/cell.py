"""Reading one cell of masks as strictly as the competition does."""

import math
import re
from collections.abc import Sequence

from kagglekit.competitions.profile import SubmissionRules
from kagglekit.errors import RLEError
from kagglekit.rle import RLE, Dialect

_COCO = Dialect("open-images")
_EMPTY_RUN = "1 0"  # where this is how nothing is written, runs may be 0 pixels long
_MOST_DIGITS = 18  # no image has as many pixels, and Python reads no number of thousands of them
_HAS_EMPTY_RUN = re.compile(r"\s0+(\s|$)")


def read_cell(text: str, shape: tuple[int, int], rules: SubmissionRules) -> list[RLE]:
    """Return the masks in a cell: none, one, or where they have a confidence any number.

    Args:
        text: what stands in the cell.
        shape: (height, width) of the image.
        rules: how the competition writes masks.

    Raises:
        RLEError: the competition would refuse the cell.
    """
    if text == rules.empty:
        return []
    if not text.strip():
        if rules.empty:
            raise RLEError(f"the cell is empty; nothing is written as `{rules.empty}`")
        return []
    if rules.encoding == "coco":
        return _read_predictions(text.split(), shape)
    if rules.empty == _EMPTY_RUN and _HAS_EMPTY_RUN.search(text):
        text = _without_empty_runs(text)
    return [RLE.from_text(text, shape, order=rules.order)]


def _read_predictions(tokens: Sequence[str], shape: tuple[int, int]) -> list[RLE]:
    """Read triples of class, confidence and COCO's mask through zlib and base64."""
    if len(tokens) % 3:
        raise RLEError(
            f"{len(tokens)} words in the cell: expected triples `0 confidence mask`",
            hint="masks are base64 and hold no blank",
        )
    problems, masks = [], []
    for place in range(0, len(tokens), 3):
        name, confidence, mask = tokens[place : place + 3]
        number = place // 3 + 1
        if name != "0":
            problems.append(f"prediction {number}: its class is `{name}`, expected `0`")
        if not _is_number(confidence):
            problems.append(f"prediction {number}: its confidence is `{confidence}`, no number")
        try:
            masks.append(_COCO.read(mask, shape))
        except RLEError as error:
            problems.append(f"prediction {number}: {str(error).splitlines()[0]}")
    if problems:
        raise RLEError("; ".join(problems))
    return masks


def _is_number(text: str) -> bool:
    try:
        return "_" not in text and math.isfinite(float(text))
    except ValueError:
        return False


def _without_empty_runs(text: str) -> str:
    """Leave out runs of 0 pixels if all runs are sorted by start; else the text as it is."""
    tokens = text.split()
    if len(tokens) % 2 or not all(token.isascii() and token.isdigit() for token in tokens):
        return text
    if any(len(token) > _MOST_DIGITS for token in tokens):  # the text as it is will be refused
        return text
    numbers = [int(token) for token in tokens]
    starts, lengths = numbers[::2], numbers[1::2]
    if starts != sorted(starts) or starts[0] < 1:
        return text
    runs = zip(starts, lengths, strict=True)
    return " ".join(f"{start} {length}" for start, length in runs if length)
