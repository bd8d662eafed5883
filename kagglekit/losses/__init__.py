"""Losses of a segmentation network.

All take logits (N, K, H, W), any real number, and a target of the same shape with 0 and 1, and
return a scalar. They compute in float32 at least, whatever the logits' dtype, so they are safe
under autocast in float16 and bfloat16; finite logits give a finite loss with finite slopes.

Each counts per sample and class and averages at the end, as the competitions' scores do; a Dice
pooled over the batch, as libraries compute it, is another number. docs/models.md has the table:
formula, range, when to use which.
"""

from kagglekit.losses._auxiliary import auxiliary_loss
from kagglekit.losses._boundary import boundary_loss
from kagglekit.losses._lovasz import lovasz_loss
from kagglekit.losses._mix import bce_dice_loss
from kagglekit.losses._overlap import soft_dice_loss, tversky_loss
from kagglekit.losses._pixels import bce_loss, focal_loss

__all__ = [
    "auxiliary_loss",
    "bce_dice_loss",
    "bce_loss",
    "boundary_loss",
    "focal_loss",
    "lovasz_loss",
    "soft_dice_loss",
    "tversky_loss",
]
