"""The few exception types of kagglekit, and how their messages are put together.

A message says what was given, what was expected and what to do. Checks over many things
collect every problem and raise once; `problems` keeps them apart for programs.

`exit_code` is what the `kagglekit` command returns when the error ends it: one number per
class of failure, listed in docs/exit-codes.md.
"""

from collections.abc import Sequence


class KagglekitError(Exception):
    """Base of every error that kagglekit raises on purpose.

    Args:
        message: what was given and what was expected, in one sentence.
        problems: when several things are wrong, each in a line of its own.
        hint: what to do about it, in one line.

    Example:
        >>> print(KagglekitError("2 rows are wrong", problems=["row 3: odd", "row 9: odd"],
        ...                      hint="write pairs"))
        2 rows are wrong
          - row 3: odd
          - row 9: odd
        hint: write pairs
    """

    exit_code = 1

    def __init__(self, message: str, *, problems: Sequence[str] = (), hint: str = "") -> None:
        self.problems = tuple(problems)
        self.hint = hint
        lines = [message, *(f"  - {problem}" for problem in problems)]
        if hint:
            lines.append(f"hint: {hint}")
        super().__init__("\n".join(lines))


class RLEError(KagglekitError, ValueError):
    """A run-length text, a set of runs or a mask to be encoded is not valid."""

    exit_code = 3


class SlideError(KagglekitError, OSError):
    """An image cannot be opened or read."""

    exit_code = 4


class DataError(KagglekitError):
    """A competition's folder is missing, or is not what its profile says."""

    exit_code = 5


class SubmissionError(KagglekitError, ValueError):
    """A submission file, or a row of one, breaks the competition's rules."""

    exit_code = 6


class CheckpointError(KagglekitError, ValueError):
    """A checkpoint cannot be loaded, or does not fit its model."""

    exit_code = 7


class PlanError(KagglekitError, MemoryError):
    """A prediction would need more memory than there is; nothing was started."""

    exit_code = 8


class BundleError(KagglekitError):
    """An offline bundle could not be built, or is not fit to be installed."""

    exit_code = 10


class UnknownPackageError(BundleError):
    """A requirement names a package or version that the index does not have."""

    exit_code = 11


class ImageConflictError(BundleError):
    """A requirement cannot be met without replacing what the Kaggle image has."""

    exit_code = 12


class NoWheelError(BundleError):
    """A requirement exists only as source, or has no wheel for the Kaggle image."""

    exit_code = 13


class NetworkError(BundleError):
    """The package index could not be reached."""

    exit_code = 14


class ToolError(BundleError):
    """uv or pip is missing, too old, or failed in a way that is not the user's doing."""

    exit_code = 15


class KaggleImageError(BundleError):
    """A Kaggle image is not known, or its version list cannot be read."""

    exit_code = 16


class RequirementsError(BundleError, ValueError):
    """A list of requirements, or the project to be bundled, cannot be read."""

    exit_code = 17


class BundleCheckError(BundleError):
    """A bundle's folder is damaged, incomplete, or cannot be installed on its Kaggle image."""

    exit_code = 18


class WeightsError(BundleError):
    """Pretrained weights could not be recorded, or are not where a model looks for them."""

    exit_code = 19


class RehearsalError(KagglekitError):
    """A rehearsal could not be carried out (not: its notebook failed, which is a verdict)."""

    exit_code = 20


class UploadError(BundleError):
    """The `kaggle` command is missing or failed, or Kaggle would refuse what it is to send."""

    exit_code = 22
