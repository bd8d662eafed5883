"""Test-time augmentation: views of a batch, and how their predictions are turned back.

Every view is a rearrangement of pixels, so turning back is exact, on odd and non-square sizes too.
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class View:
    """One symmetry of the square: an optional transposition, then optional flips.

    Attributes:
        transpose: swap rows and columns first.
        flip: axes to flip afterwards, of an (N, C, H, W) tensor: 2 is upside down, 3 left to right.
    """

    transpose: bool = False
    flip: tuple[int, ...] = ()

    def apply(self, images: torch.Tensor) -> torch.Tensor:
        """Turn (N, C, H, W) images into this view; H and W change places if it transposes."""
        if self.transpose:
            images = images.transpose(2, 3)
        return images.flip(self.flip) if self.flip else images

    def undo(self, prob: torch.Tensor) -> torch.Tensor:
        """Turn a prediction for this view, (N, K, H, W), back to the original orientation."""
        if self.flip:
            prob = prob.flip(self.flip)
        return prob.transpose(2, 3) if self.transpose else prob


_FLIPS = ((), (3,), (2,), (2, 3))

VIEWS: dict[str, tuple[View, ...]] = {
    "none": (View(),),
    "hflip": (View(), View(flip=(3,))),
    "flips": tuple(View(flip=flip) for flip in _FLIPS),
    "d4": tuple(View(transpose, flip) for transpose in (False, True) for flip in _FLIPS),
}
"""The named sets.

"none" is 1 view; "hflip" 2, for what is never upside down; "flips" 4, also upside down; "d4" all 8
symmetries of the square.
"""


def views(name: str) -> tuple[View, ...]:
    """Look up a set of views by name.

    Raises:
        ValueError: there is no such set; the message lists them.

    Example:
        >>> len(views("d4"))
        8
    """
    if not isinstance(name, str) or name not in VIEWS:
        raise ValueError(f"tta={name!r} must be one of {', '.join(map(repr, VIEWS))}")
    return VIEWS[name]
