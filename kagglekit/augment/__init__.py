"""Training pictures turned, stained and disturbed; what is drawn depends on a key alone.

`preset` builds an `Augmentation` by name, over albumentations or over torchvision's transforms v2.
It is called with a key, e.g. (seed, epoch, sample), and the same key gives the same picture in any
worker, in any process, after any resume.
"""

from kagglekit.augment._cutmix import cutmix
from kagglekit.augment._presets import BACKENDS, PRESETS, preset
from kagglekit.augment._steps import Augmentation, Step, adapt

__all__ = ["BACKENDS", "PRESETS", "Augmentation", "Step", "adapt", "cutmix", "preset"]
