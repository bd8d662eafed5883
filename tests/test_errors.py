"""How messages are put together, and what a program can learn from an error."""

import pytest

from kagglekit import errors
from kagglekit.errors import KagglekitError

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, KagglekitError)
]


@pytest.mark.parametrize(
    ("problems", "hint", "text"),
    [
        ((), "", "all wrong"),
        (("a",), "", "all wrong\n  - a"),
        ((), "do b", "all wrong\nhint: do b"),
        (["a", "b"], "do b", "all wrong\n  - a\n  - b\nhint: do b"),
    ],
)
def test_message(problems: list[str], hint: str, text: str) -> None:
    error = KagglekitError("all wrong", problems=problems, hint=hint)
    assert str(error) == text
    assert error.problems == tuple(problems)
    assert error.hint == hint


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_made_alike(kind: type[KagglekitError]) -> None:
    error = kind("m", problems=["p"], hint="h")
    assert str(error) == "m\n  - p\nhint: h"
    assert 0 < error.exit_code < 128  # above are the shell's own
    assert error.exit_code not in (2, 21)  # argparse's, and a failed verdict's


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.RLEError, ValueError),
        (errors.SlideError, OSError),
        (errors.SubmissionError, ValueError),
        (errors.CheckpointError, ValueError),
        (errors.RequirementsError, ValueError),
        (errors.KaggleImageError, errors.BundleError),
    ],
)
def test_what_else_catches_them(kind: type[KagglekitError], builtin: type[Exception]) -> None:
    with pytest.raises(builtin, match="^odd$"):
        raise kind("odd")
