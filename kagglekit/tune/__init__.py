"""From probabilities of images that a model had not seen to the best masks of those it will see.

`out_of_fold` predicts every labelled image once, by the fold that was not trained on it; `search`
finds thresholds and sizes on them by the competition's metric; `predict_masks` uses what was found.
`pseudo_labels` makes truth of what models are sure of. `docs/tuning.md` shows all at work.
"""

from kagglekit.tune._cut import PARAMETERS, Cut
from kagglekit.tune._mix import doubt_share, mixed
from kagglekit.tune._plateau import Curve
from kagglekit.tune._predict import cuts_of, predict_masks
from kagglekit.tune._pseudo import PseudoLabels, pseudo_labels
from kagglekit.tune._result import Result, Tuned
from kagglekit.tune._search import FEW, search
from kagglekit.tune._store import Prob, Store, out_of_fold, probabilities

__all__ = [
    "FEW",
    "PARAMETERS",
    "Curve",
    "Cut",
    "Prob",
    "PseudoLabels",
    "Result",
    "Store",
    "Tuned",
    "cuts_of",
    "doubt_share",
    "mixed",
    "out_of_fold",
    "predict_masks",
    "probabilities",
    "pseudo_labels",
    "search",
]
