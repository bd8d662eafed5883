"""Reading a text that breaks the rules, and saying what was done about it."""

import numpy as np

from kagglekit.rle._arrays import Runs
from kagglekit.rle._text import INTEGER, refusal


def repair(text: str, pixels: int, where: str, base: int) -> tuple[Runs, list[str]]:
    """Read pairs, cutting to the mask what can be cut.

    Returns:
        The runs, 0-based, sorted and without overlap, and a line for each repair.

    Raises:
        RLEError: a token is no integer, so that it is not known what belongs to what.
    """
    tokens = text.split()
    if not all(INTEGER.fullmatch(token) for token in tokens):
        raise refusal(tokens, pixels, where, base)
    done = []
    numbers = [int(token) for token in tokens]
    if len(numbers) % 2:
        done.append(f"run {len(numbers) // 2 + 1} (`{numbers[-1]}`): dropped, it has no length")
    kept = []
    for number, (start, length) in enumerate(zip(numbers[0::2], numbers[1::2], strict=False), 1):
        begin, end = max(start - base, 0), min(start - base + length, pixels)
        name = f"run {number} (`{start} {length}`)"
        if begin >= end:
            done.append(f"{name}: dropped, no pixel of it lies in the mask")
            continue
        if end - begin < length:
            done.append(f"{name}: cut to pixels {base} to {pixels - 1 + base}")
        kept.append((begin, end))
    if kept != sorted(kept):
        done.append("runs were not sorted by start: sorted")
        kept.sort()
    joined: list[list[int]] = []
    overlaps = 0
    for begin, end in kept:
        if joined and begin <= joined[-1][1]:
            overlaps += begin < joined[-1][1]
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([begin, end])
    if overlaps:
        done.append(f"{overlaps} runs overlapped an earlier one: joined")
    edges = np.array(joined, np.int64).reshape(-1, 2)
    return (edges[:, 0].copy(), edges[:, 1] - edges[:, 0]), done
