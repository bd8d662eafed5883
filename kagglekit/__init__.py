"""From a trained segmentation model to a Kaggle score.

Importing this package imports nothing else: `kagglekit.rle`, `kagglekit.slides` and the
other submodules load when they are first used, so the offline side (`build_offline.py`,
`install.py`) runs where NumPy and torch are not installed.
"""

import importlib
from types import ModuleType

__version__ = "0.1.0"

__all__ = [
    "augment",
    "bars",
    "competitions",
    "errors",
    "fingerprint",
    "handles",
    "inference",
    "instances",
    "locks",
    "losses",
    "memory",
    "metrics",
    "models",
    "mounts",
    "offline",
    "plots",
    "rasters",
    "regions",
    "rehearsal",
    "replacing",
    "rle",
    "scaling",
    "scoring",
    "scratch",
    "slides",
    "speed",
    "stain",
    "submission",
    "thumbnails",
    "tiles",
    "tiling",
    "touching",
    "train",
    "tta",
    "tune",
]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"kagglekit.{name}")
    raise AttributeError(f"module 'kagglekit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
