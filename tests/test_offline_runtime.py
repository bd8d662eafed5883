import json
import os
import subprocess
import sys
import urllib.error
from collections.abc import Callable
from pathlib import Path

import pytest

from kagglekit import offline
from kagglekit.errors import WeightsError
from kagglekit.offline.install import MANIFEST


@pytest.fixture
def attached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An attached bundle with weights, in a process where nothing was activated or imported."""
    for name in ("HF_HUB_CACHE", "HF_HUB_OFFLINE", "TORCH_HOME", "NO_ALBUMENTATIONS_UPDATE"):
        monkeypatch.setenv(name, "before")
    for name in ("torch.hub", "timm", "huggingface_hub"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setenv("KAGGLEKIT_INPUT", str(tmp_path))
    return tmp_path


def attach(root: Path, place: str) -> Path:
    folder = root / place
    (folder / "weights" / "torch").mkdir(parents=True)
    (folder / MANIFEST).touch()
    return folder


@pytest.mark.parametrize("place", ["mine", "datasets/me/mine", "datasets/me/mine/deeper"])
def test_variables_point_at_the_attached_bundle(attached: Path, place: str) -> None:
    folder = attach(attached, place)
    found = offline.activate()
    assert found.torch == folder / "weights" / "torch"
    assert os.environ["TORCH_HOME"] == str(folder / "weights" / "torch")
    assert os.environ["HF_HUB_CACHE"] == str(folder / "weights" / "hf" / "hub")
    assert os.environ["HF_HUB_OFFLINE"] == "1"


@pytest.mark.parametrize("module", ["torch.hub", "timm", "huggingface_hub"])
def test_too_late(attached: Path, monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    folder = attach(attached, "mine")
    monkeypatch.setitem(sys.modules, module, sys)
    with pytest.raises(WeightsError) as caught:
        offline.activate(folder)
    assert str(caught.value) == (
        "activate() comes too late: these have looked for their caches already\n"
        f"  - `{module}` is imported\n"
        "hint: restart the session and call it before any other import"
    )
    assert os.environ["TORCH_HOME"] == "before"


def test_twice_is_not_too_late(attached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attach(attached, "mine")
    first = offline.activate()
    monkeypatch.setitem(sys.modules, "timm", sys)
    assert offline.activate() == first


def test_no_bundle_with_weights(attached: Path) -> None:
    (attached / "mine").mkdir()
    (attached / "mine" / MANIFEST).touch()
    with pytest.raises(WeightsError, match="no bundle with weights is attached: none under"):
        offline.activate()
    with pytest.raises(WeightsError, match="has no weights"):
        offline.activate(attached / "mine")
    (attached / "mine" / "weights").mkdir()
    with pytest.raises(WeightsError, match=f"^the bundle `{attached / 'mine'}` has no weights"):
        offline.activate()


def test_importing_it_imports_no_model_library() -> None:
    code = "import sys, kagglekit.offline; print(*{'torch', 'timm', 'huggingface_hub'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def _fcn(_: Path) -> object:
    from torchvision.models.segmentation import fcn_resnet50

    return fcn_resnet50(weights=None)


def _torchvision(_: Path) -> object:
    from torchvision.models import resnet18

    return resnet18(weights="DEFAULT")


def _smp(_: Path) -> object:
    import segmentation_models_pytorch as smp

    return smp.Unet("resnet18")


def _smp_saved(folder: Path) -> object:
    import segmentation_models_pytorch as smp

    smp.Unet("resnet18", encoder_weights=None).save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"encoder_weights": "imagenet"}))
    return smp.from_pretrained(folder)


def _timm(_: Path) -> object:
    import timm

    return timm.create_model("test_resnet", pretrained=True)


RECORD = "record them into the bundle (kagglekit build --weights FILE.py:FUNCTION)"
ADDRESS = "https://download.pytorch.org/models"


@pytest.mark.parametrize(
    ("make", "wanted", "owner", "advice"),
    [
        (_fcn, f"`{ADDRESS}/resnet50-0676ba61.pth`", "fcn_resnet50", "weights_backbone=None"),
        (_torchvision, f"`{ADDRESS}/resnet18-f37072fd.pth`", "resnet18", "weights=None"),
        (_smp, "`config.json` of `smp-hub/resnet18.imagenet`", "Unet", "encoder_weights=None"),
        (_timm, "`pytorch_model.bin` of `timm/test_resnet.r160_in1k`", "create_model", "pretrained=False"),
        (
            _smp_saved,
            "`config.json` of `smp-hub/resnet18.imagenet`",
            "from_pretrained",
            "encoder_weights=None: the saved model has the weights",
        ),
    ],
)  # fmt: skip
def test_the_guard_names_the_argument(
    make: Callable[[Path], object],
    wanted: str,
    owner: str,
    advice: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import huggingface_hub.constants
    import torch.hub

    def unreachable(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no network in this test")

    monkeypatch.setattr(torch.hub, "urlopen", unreachable)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(WeightsError) as caught, offline.guard():
        make(tmp_path)
    assert str(caught.value) == (
        f"something wants to download {wanted}, and it is not in the bundle\n"
        f"  - asked for by `{owner}`\n"
        f"hint: pass {advice}, or {RECORD}"
    )


def test_the_guard_lets_other_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError), offline.guard():
        _ = 1 / 0
    with offline.guard():
        pass
