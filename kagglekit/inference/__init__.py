"""Sliding-window prediction over a slide of any size: strips of pixels in, runs of masks out.

The slide is swept along its longer side, or as its file is stored, in strips one window wide. Each
stored block is decoded once; each window is predicted by every model and view; predictions are
blended with weights that sum to one; what no later window touches is thresholded, turned into runs
and forgotten. The probability map of the whole slide never exists: memory grows with the shorter
side and the window, whatever the other side is.
"""

from kagglekit.inference._options import Options
from kagglekit.inference._predict import (
    Prediction,
    predict,
    predict_mask,
    predict_masks,
    predict_prob,
)
from kagglekit.inference._ranks import agree, collect, predict_banded, share
from kagglekit.inference._sweep import Stats

__all__ = [
    "Options",
    "Prediction",
    "Stats",
    "agree",
    "collect",
    "predict",
    "predict_banded",
    "predict_mask",
    "predict_masks",
    "predict_prob",
    "share",
]
