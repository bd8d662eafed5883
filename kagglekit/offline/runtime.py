"""Bundled weights in the notebook: where the libraries find them, and what still wants a network.

    from kagglekit import offline

    offline.activate()              # in the cell after install.py, before torch, timm or smp
    with offline.guard():
        model = smp.Unet("resnet34", encoder_weights="imagenet")

Nothing is copied: environment variables point at the read-only dataset.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType

from kagglekit import mounts
from kagglekit.errors import WeightsError
from kagglekit.offline.install import MANIFEST

FOLDER = "weights"
"""Where a bundle keeps them."""

_TOO_LATE = ("torch.hub", "timm", "huggingface_hub")  # some read the variables when imported
_PLACES = ("*", "*/*", "datasets/*/*", "datasets/*/*/*")  # both layouts, and one level deeper


@dataclass(frozen=True)
class Weights:
    """Where a bundle's weights are: Hugging Face's cache and torch.hub's home."""

    hub: Path
    torch: Path

    @classmethod
    def of(cls, bundle: Path) -> "Weights":
        """Return the places in a bundle's folder."""
        return cls(bundle / FOLDER / "hf" / "hub", bundle / FOLDER / "torch")

    def environment(self) -> dict[str, str]:
        """Return the variables that send the libraries there, and to no other place."""
        return {
            "HF_HUB_CACHE": str(self.hub),
            "HF_HUB_OFFLINE": "1",
            "TORCH_HOME": str(self.torch),
            "NO_ALBUMENTATIONS_UPDATE": "1",
        }


def activate(bundle: Path | None = None) -> Weights:
    """Make torch.hub, timm, huggingface_hub and smp find a bundle's weights.

    Args:
        bundle: its folder; by default the attached bundle that has weights.

    Returns:
        Where they are.

    Raises:
        WeightsError: there are none, or a library that has to know is imported already.
    """
    bundle = _find() if bundle is None else bundle
    weights = Weights.of(bundle)
    if not (weights.hub.is_dir() or weights.torch.is_dir()):
        raise WeightsError(
            f"the bundle `{bundle}` has no weights",
            hint="build it with --weights FILE.py:FUNCTION, and upload it with -r zip",
        )
    wanted = weights.environment()
    if all(os.environ.get(name) == value for name, value in wanted.items()):
        return weights
    late = [name for name in _TOO_LATE if name in sys.modules]
    if late:
        raise WeightsError(
            "activate() comes too late: these have looked for their caches already",
            problems=[f"`{name}` is imported" for name in late],
            hint="restart the session and call it before any other import",
        )
    os.environ.update(wanted)
    return weights


def _find() -> Path:
    root = mounts.input_root()
    for place in _PLACES:
        for found in sorted(root.glob(f"{place}/{MANIFEST}")):
            if (found.parent / FOLDER).is_dir():
                return found.parent
    raise WeightsError(
        f"no bundle with weights is attached: none under `{root}`",
        hint="build one with --weights FILE.py:FUNCTION, upload it with -r zip and attach it",
    )


class guard:  # noqa: N801  (a context manager, used like a function)
    """Name the argument to change when something in the block wants to download weights.

    Raises:
        WeightsError: it wanted to; any other error passes unchanged.
    """

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(
        self, kind: type | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        frames = list(_frames(traceback))
        wanted = next(filter(None, map(_download, frames)), None)
        if error is None or wanted is None:
            return
        advice = next(filter(None, map(_argument, frames)), None)
        alternative = "record them into the bundle (kagglekit build --weights FILE.py:FUNCTION)"
        raise WeightsError(
            f"something wants to download {wanted}, and it is not in the bundle",
            problems=[] if advice is None else [f"asked for by `{advice[0]}`"],
            hint=f"pass {advice[1]}, or {alternative}" if advice else alternative,
        ) from error


def _frames(traceback: TracebackType | None) -> Iterator[FrameType]:
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _download(frame: FrameType) -> str | None:
    """Return what this frame is about to download, or None."""
    module, name = frame.f_globals.get("__name__", ""), frame.f_code.co_name
    if module == "torch.hub" and name == "download_url_to_file":
        return f"`{frame.f_locals.get('url')}`"
    if module == "huggingface_hub.file_download" and name == "hf_hub_download":
        return f"`{frame.f_locals.get('filename')}` of `{frame.f_locals.get('repo_id')}`"
    return None


def _argument(frame: FrameType) -> tuple[str, str] | None:
    """Return the function of a model library that this frame is, and the argument to change."""
    module, name, values = frame.f_globals.get("__name__", ""), frame.f_code.co_name, frame.f_locals
    if module.startswith("segmentation_models_pytorch") and name == "from_pretrained":
        return name, "encoder_weights=None: the saved model has the weights"
    for library, argument in (
        ("segmentation_models_pytorch", "encoder_weights"),
        ("segmentation_models_pytorch", "weights"),
        ("torchvision.models", "weights_backbone"),
        ("torchvision.models", "weights"),
        ("timm", "pretrained"),
    ):
        given = values.get(argument)
        if given is None or given is False or module == "torchvision.models._utils":
            continue  # the last are decorators, which know nothing of the others' arguments
        if module.startswith(library):
            owner = type(values["self"]).__name__ if "self" in values else name
            return owner, f"{argument}={False if argument == 'pretrained' else None}"
    return None
