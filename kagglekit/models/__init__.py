"""Networks by name, one output form, and checkpoints that carry their recipe.

A `Model` is a network plus everything needed to use it again: what it was built from, how its
input is normalised, at which scale it was trained, at which threshold it answers. It takes raw
pixel values and returns plain logits, so training and submission cannot normalise differently.

Building a network downloads nothing unless its options name pretrained weights, and loading a
checkpoint never does: its own weights replace them. docs/models.md has the names.
"""

from kagglekit.models._build import build
from kagglekit.models._checkpoint import load, save
from kagglekit.models._folds import check_distinct, load_folds
from kagglekit.models._foreign import load_foreign
from kagglekit.models._model import Model
from kagglekit.models._outputs import Outputs
from kagglekit.models._recipe import Recipe
from kagglekit.models._unet import UNet

__all__ = [
    "Model",
    "Outputs",
    "Recipe",
    "UNet",
    "build",
    "check_distinct",
    "load",
    "load_folds",
    "load_foreign",
    "save",
]
