"""What makes a mask of probabilities: thresholds, and what is too small to count."""

from collections.abc import Sequence
from dataclasses import dataclass

from kagglekit.inference._decide import Decision
from kagglekit.inference._stored import cut_map
from kagglekit.regions import drop_small, fill_holes, keep_seeded
from kagglekit.rle import RLE
from kagglekit.tune._store import Prob

PARAMETERS = ("threshold", "high_threshold", "min_size", "hole_size")
"""What can be tuned, in the order in which it is done."""


@dataclass(frozen=True)
class Cut:
    """How one plane of probabilities becomes a mask; done in this order.

    Attributes:
        threshold: foreground is where prob > threshold.
        high_threshold: components without a pixel above this one are dropped; 0 keeps all.
        min_size: components of fewer image pixels are dropped; 0 keeps all.
        hole_size: holes of at most as many image pixels are filled; 0 fills none.
    """

    threshold: float = 0.5
    high_threshold: float = 0.0
    min_size: float = 0.0
    hole_size: float = 0.0

    @property
    def is_bare(self) -> bool:
        """Whether the threshold is all there is."""
        return not (self.high_threshold or self.min_size or self.hole_size)

    def clean(self, mask: RLE, seeds: RLE | None = None) -> RLE:
        """Do what comes after the threshold.

        Args:
            mask: where prob > threshold.
            seeds: where prob > high_threshold; None if that was seen to before.

        Example:
            >>> Cut(min_size=2).clean(RLE.from_text("1 2 9 1", (3, 3))).to_text()
            '1 2'
        """
        if seeds is not None:
            mask = keep_seeded(mask, seeds)
        if self.min_size:
            mask = drop_small(mask, self.min_size)
        return fill_holes(mask, self.hole_size) if self.hole_size else mask


def cut_planes(
    prob: Prob, cuts: Sequence[Cut], planes: Sequence[int], exclusive: bool
) -> list[list[RLE]]:
    """Make masks by several cuts, reading the map once.

    Args:
        prob: the map.
        cuts: each is applied to every plane.
        planes: which planes.
        exclusive: a pixel belongs only to the plane with the highest probability there.

    Returns:
        For each cut, a mask for each of the planes.
    """
    levels = sorted({cut.threshold for cut in cuts} | {cut.high_threshold for cut in cuts} - {0.0})
    chosen = tuple(planes)
    decisions = [Decision(chosen, (level,) * len(chosen), exclusive) for level in levels]
    made = cut_map(prob.values, prob.shape, prob.scale, decisions)
    found = {
        (plane, level): mask
        for level, masks in zip(levels, made, strict=True)
        for plane, mask in zip(chosen, masks, strict=True)
    }
    return [
        [
            cut.clean(found[plane, cut.threshold], found.get((plane, cut.high_threshold)))
            for plane in planes
        ]
        for cut in cuts
    ]
