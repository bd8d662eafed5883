"""The verdict as a terminal shows it: at most twenty lines, the rest is in report.html."""

_MOST = 20


def shorten(text: str, most: int = _MOST) -> str:
    r"""Leave out lines before the last two, so that what matters stays on the screen.

    Args:
        text: the summary; its last two lines are a blank one and the verdict.
        most: how many lines may be left.

    Example:
        >>> print(shorten("a\nb\nc\nd\n\nFAILED", most=5))
        a
        b
        … 2 more lines in report.html
        <BLANKLINE>
        FAILED
    """
    lines = text.splitlines()
    left_out = len(lines) - most + 1
    if left_out < 2:
        return text
    kept = most - 3
    return "\n".join([*lines[:kept], f"… {left_out} more lines in report.html", *lines[-2:]])
