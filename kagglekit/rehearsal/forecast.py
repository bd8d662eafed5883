"""How long a submit notebook would take on the real hidden test."""

import math
from collections.abc import Mapping

from kagglekit.competitions.profile import Profile
from kagglekit.rehearsal.limits import Limits
from kagglekit.rehearsal.trial import Trial, duration

_NOISE = 2.0  # seconds by which two equal runs may differ on a busy machine


def seconds_for(images: int, visible: tuple[int, float], hidden: tuple[int, float]) -> float:
    """Extrapolate from two runs: each began alike, and took the same time for each image.

    Args:
        images: how many there really are.
        visible: images in the visible test, and seconds of its run.
        hidden: the same of the hidden test.

    Returns:
        Seconds; NaN when the two tests have the same number of images.

    Example:
        >>> seconds_for(10, (1, 30.0), (3, 70.0))
        210.0
    """
    (few, first), (many, second) = visible, hidden
    if few == many:
        return math.nan
    return first + (images - few) * max(0.0, (second - first) / (many - few))


def forecast(
    comp: Profile, limits: Limits, counts: Mapping[str, int], trials: Mapping[str, Trial]
) -> tuple[bool, str]:
    """Say what the real hidden test would take, and whether that is too much.

    Args:
        comp: the competition, whose profile has the number of hidden images.
        limits: what a run may take.
        counts: images in the "visible" and the "hidden" test.
        trials: how the runs on them went.

    Returns:
        Whether the time is sure to run out: by more than two runs differ by chance; and a sentence.
    """
    took = {name: trials[name].working_seconds for name in ("visible", "hidden")}
    points = [(counts[name], took[name]) for name in ("visible", "hidden")]
    seconds = seconds_for(comp.test.hidden, points[0], points[1])
    if math.isnan(seconds):
        return False, "how long the real hidden test takes cannot be told: both have as many images"
    least = seconds_for(
        comp.test.hidden, points[0], (counts["hidden"], max(took["hidden"] - _NOISE, 0.0))
    )
    told = (
        f"the real hidden test has about {comp.test.hidden:,} images: at this machine's speed and "
        f"the size of these images it would take {duration(seconds)} of {duration(limits.seconds)}"
    )
    return least > limits.seconds, told
