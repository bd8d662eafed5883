"""Kaggle's text `start length start length …`, 1-based, and what can be wrong with it."""

import re
from collections.abc import Callable
from functools import partial
from io import StringIO
from typing import Any

import numpy as np

from kagglekit.errors import RLEError
from kagglekit.rle._arrays import NO_INTS, Ints, Runs
from kagglekit.rle._sets import merge_touching
from kagglekit.speed import compiled, expect

_PIECE = 1 << 13  # runs turned into text at a time
_FEW = 1 << 6  # runs that Python writes in less time than NumPy needs to begin
_READ_COST = 12  # nanoseconds a character: reading a text with NumPy
MAX_PROBLEMS = 100  # lines in one message; the rest are counted
INTEGER = re.compile(r"[+-]?\d{1,30}", re.ASCII)  # Python refuses to read thousands of digits
_EMPTY_SIGNS = ("-", "-1", "0", "1 0", "0 0", "authentic")  # what competitions write instead of ''


def is_missing(text: Any) -> bool:
    """Say whether this is how pandas gives an empty cell: None, NaN or NA."""
    if isinstance(text, (float, np.floating)):
        return bool(np.isnan(text))
    return text is None or type(text).__name__ == "NAType"  # pandas' NA, without importing it


def parse(text: str, pixels: int, where: str, base: int = 1) -> Runs:
    """Read pairs into 0-based starts and lengths, strictly; touching runs become one.

    Args:
        text: e.g. "1 3 10 5".
        pixels: height × width of the mask.
        where: how messages call this text.
        base: the number of the first pixel.

    Raises:
        RLEError: naming every run that is wrong.
    """
    runs = _read(text, pixels, base)
    if runs is None:  # tabs or line ends, or something is wrong
        tokens = text.split()
        runs = _read(" ".join(tokens), pixels, base)
        if runs is None:
            raise refusal(tokens, pixels, where, base)
    return runs


def expect_texts(characters: int) -> None:
    """Say how much text is going to be read in all, so that fast loops are used from the start.

    Args:
        characters: of all masks together.

    Example:
        >>> expect_texts(2_000)
    """
    expect("read_pairs", _READ_COST * characters)


def _read(text: str, pixels: int, base: int) -> Runs | None:
    """Return the runs of a text of digits and spaces; None if anything is wrong with it."""
    if not text.isascii():
        return None
    codes = np.frombuffer(text.encode("ascii"), np.uint8)
    kernel = compiled("read_pairs", _READ_COST * len(text))
    if kernel is not None:
        count, starts, lengths = kernel(codes, pixels, base)
        return None if count < 0 else (starts[:count], lengths[:count])
    digit = codes - np.uint8(ord("0")) <= 9
    if not (digit | (codes == ord(" "))).all():
        return None
    numbers = np.fromstring(text, np.int64, sep=" ") if digit.any() else NO_INTS
    if len(numbers) % 2:
        return None
    starts, lengths = numbers[0::2] - base, numbers[1::2].copy()
    return None if out_of_order(starts, lengths, pixels) else merge_touching(starts, lengths)


def out_of_order(starts: Ints, lengths: Ints, pixels: int) -> bool:
    """Say whether a run is empty, leaves the mask, or starts before the one before it ends."""
    bad = (starts < 0) | (lengths < 1) | (lengths > pixels - starts)
    return bool(bad.any() or (starts[1:] < (starts + lengths)[:-1]).any())


def not_text(value: object) -> RLEError:
    """Say that this is not text."""
    return RLEError(
        f"an RLE text is a string, not {type(value).__name__} ({value!r})",
        hint="read the CSV file with dtype=str",
    )


def refusal(tokens: list[str], pixels: int, where: str, base: int = 1) -> RLEError:
    """Say what is wrong with each run, one line each."""
    problems = _problems(tokens, pixels, base)
    runs = (len(tokens) + 1) // 2
    shown, more = problems[:MAX_PROBLEMS], len(problems) - MAX_PROBLEMS
    if more > 0:
        shown.append(f"and {more} more")
    hint = f"runs are pairs `start length`, {base}-based, sorted by start, without overlap"
    whole = " ".join(tokens)
    if whole in _EMPTY_SIGNS:
        hint = f"if this is the competition's sign for an empty mask: Dialect(empty={whole!r})"
    return RLEError(
        f"{where}: {len(problems)} of {runs} {'run is' if runs == 1 else 'runs are'} wrong",
        problems=shown,
        hint=hint,
    )


def _problems(tokens: list[str], pixels: int, base: int) -> list[str]:
    problems = []
    final = pixels - 1 + base
    reached, reached_by = base - 1, 0  # the last pixel of the runs so far, and whose it is
    for i in range(0, len(tokens), 2):
        number, pair = i // 2 + 1, tokens[i : i + 2]
        name = f"run {number} (`{' '.join(pair)}`)"
        junk = [token for token in pair if not INTEGER.fullmatch(token)]
        if junk:
            problems.append(f"{name}: `{junk[0]}` is not an integer")
            continue
        if len(pair) == 1:
            problems.append(f"{name}: has no length; the count of numbers, {len(tokens)}, is odd")
            continue
        start, length = int(pair[0]), int(pair[1])
        end = start + length - 1
        if start < base:
            problems.append(f"{name}: starts at {start}; the first pixel is {base}")
        elif length < 1:
            problems.append(f"{name}: is {length} pixels long; the shortest run has 1")
        elif end > final:
            problems.append(f"{name}: ends at pixel {end}, past the last pixel {final}")
        elif start <= reached:
            problems.append(f"{name}: starts before run {reached_by} ends, at pixel {reached}")
        elif any(token.startswith("+") for token in pair):
            problems.append(f"{name}: has a plus sign; write digits only")
        if length > 0 and end > reached:
            reached, reached_by = end, number
    return problems


def write(starts: Ints, lengths: Ints, base: int = 1) -> str:
    """Return the pairs as text; `base` is the number of the first pixel."""
    if len(starts) <= _FEW:
        pairs = zip((starts + base).tolist(), lengths.tolist(), strict=True)
        return " ".join([f"{start} {length}" for start, length in pairs])
    kernel = compiled("write_pairs", 25 * len(starts))
    put = _put_with_numpy if kernel is None else partial(_put_with, kernel)
    # A piece at a time: what is worked with takes several times the memory of the text.
    text = StringIO()
    for i in range(0, len(starts), _PIECE):
        piece = put(starts[i : i + _PIECE] + base, lengths[i : i + _PIECE])
        text.write(piece if i + _PIECE < len(starts) else piece[:-1])
    return text.getvalue()


def _put_with_numpy(starts: Ints, lengths: Ints) -> str:
    """Write all numbers at once, digit by digit from the last; the blanks before the first go."""
    columns: tuple[Any, ...] = (starts, lengths)
    digits = [len(str(numbers.max())) for numbers in columns]
    text = np.full((len(starts), sum(digits) + 2), ord(" "), np.uint8)
    shown = np.ones(text.shape, bool)
    end = 0
    for rest, count in zip(columns, digits, strict=True):
        first, end = end, end + count + 1
        if rest.max() < 2**32:
            rest = rest.astype(np.uint32)  # divided in half the time
        for place in reversed(range(first, end - 1)):
            if place < end - 2:  # a number that is 0 has its last digit
                shown[:, place] = rest > 0
            tens = rest // 10
            text[:, place] = rest - 10 * tens + ord("0")
            rest = tens
    return text[shown].tobytes().decode("ascii")


def _put_with(kernel: Callable[..., int], starts: Ints, lengths: Ints) -> str:
    digits = len(str(starts[-1] + lengths[-1]))
    text = np.empty(2 * (digits + 1) * len(starts), np.uint8)
    return text[: kernel(starts, lengths, text)].tobytes().decode("ascii")
