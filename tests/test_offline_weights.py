"""Weights by record mode, with the real loading code of the model libraries and a hub on loopback."""

import hashlib
import json
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from kagglekit.errors import WeightsError
from kagglekit.offline import bundle, check, install, weights
from kagglekit.offline.runtime import Weights
from tests import local_hub
from tests.wheels_factory import make_wheel, tiny_image, use_index

FACTORY = """
import os, timm, torch
import segmentation_models_pytorch as smp
def make():
    smp.Unet("mobilenet_v2", encoder_weights="imagenet")
    timm.create_model("test_resnet", pretrained=True)
    torch.hub.load_state_dict_from_url(ADDRESS + "/" + SMALL, check_hash=True)
"""


def make_repositories(root: Path) -> None:
    """Write what the two model hubs' repositories and one download site would hold."""
    import timm
    import torch
    from safetensors.torch import save_file
    from segmentation_models_pytorch.encoders import get_encoder

    for repo, state in (
        ("smp-hub/mobilenet_v2.imagenet", get_encoder("mobilenet_v2", weights=None).state_dict()),
        ("timm/test_resnet.r160_in1k", timm.create_model("test_resnet").state_dict()),
    ):
        folder = root / repo
        folder.mkdir(parents=True)
        save_file({k: v.contiguous() for k, v in state.items()}, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps({"mean": [0.5] * 3, "std": [0.5] * 3}))
    torch.save({"a": torch.zeros(3)}, root / "small.pth")
    digest = hashlib.sha256((root / "small.pth").read_bytes()).hexdigest()[:8]
    (root / "small.pth").rename(root / f"small-{digest}.pth")


@pytest.fixture
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, list[str]]]:
    root = tmp_path_factory.mktemp("hub")
    make_repositories(root)
    served: list[str] = []
    with local_hub.serve(root, served) as address:
        yield address, root, served


def write(tmp_path: Path, code: str) -> str:
    (tmp_path / "models.py").write_text(code)
    return f"{tmp_path}/models.py:make"


@pytest.mark.slow
def test_the_real_libraries(
    hub: tuple[str, Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, root, served = hub
    monkeypatch.setenv("HF_ENDPOINT", address)
    [small] = [path.name for path in root.glob("small-*.pth")]
    factory = write(tmp_path, FACTORY + f"ADDRESS, SMALL = {address!r}, {small!r}\n")
    make_wheel(use_index(monkeypatch, tmp_path / "index"), "asked")
    out = tmp_path / "my-bundle"
    made = bundle.build(["asked"], tiny_image(), out, weights=factory).manifest

    assert made.weights == {
        name: install.sha256_of(out / name)
        for name in (
            f"weights/hf/hub/models--smp-hub--mobilenet_v2.imagenet/snapshots/{revision(out)}/config.json",
            f"weights/hf/hub/models--smp-hub--mobilenet_v2.imagenet/snapshots/{revision(out)}/model.safetensors",
            "weights/hf/hub/models--timm--test_resnet.r160_in1k/refs/main",
            f"weights/hf/hub/models--timm--test_resnet.r160_in1k/snapshots/{local_hub.COMMIT}/model.safetensors",
            f"weights/torch/hub/checkpoints/{small}",
        )
    }
    assert not any(path.is_symlink() for path in out.rglob("*"))
    check.check_bundle(out, tiny_image())
    served.clear()
    again = bundle.build(["asked"], tiny_image(), out, weights=factory).manifest
    assert again == made
    assert [line for line in served if line.startswith("GET") and "/api/" not in line] == []
    assert [line for line in served if line.startswith("HEAD /timm/")], "is it still the newest?"
    [victim] = [name for name in made.weights if name.endswith(".pth")]
    (out / victim).write_bytes(b"other weights")
    assert install.damage(out, install.read_manifest(out)) == [
        f"`{victim}` is not the file that was built: its sha256 differs"
    ]


def revision(out: Path) -> str:
    """The commit to which smp pins this repository."""
    [folder] = (out / "weights/hf/hub/models--smp-hub--mobilenet_v2.imagenet/snapshots").iterdir()
    return folder.name


def refused(tmp_path: Path, code: str) -> WeightsError:
    folder = tmp_path / "bundle"
    folder.mkdir()
    with pytest.raises(WeightsError) as caught:
        weights.record(write(tmp_path, code), folder)
    return caught.value


def test_a_factory_that_fails(tmp_path: Path) -> None:
    error = refused(tmp_path, "def make():\n    raise ValueError('no such encoder')\n")
    assert str(error).startswith(
        f"the model factory `{tmp_path}/models.py:make` failed, with a net"
    )
    assert error.problems[-1] == "ValueError: no such encoder"


def test_a_factory_that_downloads_nothing(tmp_path: Path) -> None:
    assert str(refused(tmp_path, "def make():\n    pass\n")) == (
        f"the model factory `{tmp_path}/models.py:make` downloaded nothing\n"
        "hint: if it needs none, leave --weights out; what it keeps outside the caches of torch, Hugging "
        "Face and timm cannot be bundled: attach that as a dataset"
    )


def test_what_a_factory_keeps_at_home_is_not_there_on_kaggle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    code = f"{CACHE}def make():\n    home.mkdir(parents=True, exist_ok=True)\n"
    code += "    (home / 'a.pth').touch()\n    own = pathlib.Path.home() / 'own.pth'\n"
    code += (
        "    if os.environ['HF_HUB_OFFLINE'] == '0':\n        own.touch()\n    own.read_bytes()\n"
    )
    error = refused(tmp_path, code)
    assert "failed with the recorded weights and no network" in str(error)
    assert error.problems[-1].startswith("FileNotFoundError: [Errno 2] No such file or directory")


def test_a_factory_that_ends_the_program(tmp_path: Path) -> None:
    error = refused(tmp_path, "import sys\ndef make():\n    sys.exit(0)\n")
    assert error.problems[-1] == "RuntimeError: the factory ended the program: sys.exit(0)"


def test_a_file_that_is_not_there_is_told_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        weights.check(f"{tmp_path}/models.py:make")
    assert str(caught.value) == (
        f"there is no file `{tmp_path}/models.py`, of which `{tmp_path}/models.py:make` is to be called"
    )


CACHE = "import os, pathlib\nhome = pathlib.Path(os.environ['TORCH_HOME'], 'hub')\n"


def test_a_factory_that_needs_more_than_was_recorded(tmp_path: Path) -> None:
    code = f"{CACHE}import socket\ndef make():\n    home.mkdir(parents=True, exist_ok=True)\n"
    code += "    (home / 'a.pth').touch()\n    socket.socket().close()\n"
    code += "    if os.environ['HF_HUB_OFFLINE'] == '1':\n        socket.create_connection(('127.0.0.1', 9))\n"
    error = refused(tmp_path, code)
    assert "failed with the recorded weights and no network" in str(error)
    assert error.problems[-1].startswith("OSError: no network in this run: socket.getaddrinfo")


def test_a_factory_that_writes_into_its_cache(tmp_path: Path) -> None:
    code = f"{CACHE}def make():\n    home.mkdir(parents=True, exist_ok=True)\n"
    code += "    (home / str(len(list(home.iterdir())))).touch()\n"
    assert str(refused(tmp_path, code)) == (
        f"the model factory `{tmp_path}/models.py:make` writes into its cache, which is read-only on"
        " Kaggle\n"
        "  - `weights/torch/hub/1`\n"
        "hint: save the weights anew with torch.save or safetensors and load that file yourself"
    )


def test_names_that_an_upload_would_not_survive(tmp_path: Path) -> None:
    code = f"{CACHE}def make():\n    home.mkdir(parents=True)\n    (home / 'a@b.pth').touch()\n"
    assert refused(tmp_path, code).problems == (
        "file name `a@b.pth` may hold letters, digits, `.`, `_` and `-` only",
    )


@pytest.mark.parametrize("factory", ["models.py", "models.py:", "models.py:make it", ":make"])
def test_what_is_no_factory(tmp_path: Path, factory: str) -> None:
    with pytest.raises(WeightsError, match="is not FILE.py:FUNCTION or MODULE:FUNCTION"):
        weights.record(factory, tmp_path)


def test_a_rebuild_downloads_again_only_when_something_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_index(monkeypatch, tmp_path / "index")
    log, out = tmp_path / "downloads", tmp_path / "my-bundle"
    code = f"""{CACHE}
def make():
    home.mkdir(parents=True, exist_ok=True)
    if not (home / 'a.pth').exists():
        (home / 'a.pth').write_text('content')
        open({str(log)!r}, 'a').write('.')
"""

    def built(code: str) -> int:
        """Build, and return how many downloads there have been."""
        made = bundle.build([], tiny_image(), out, weights=write(tmp_path, code)).manifest
        assert list(made.weights) == ["weights/torch/hub/a.pth"]
        assert (out / "weights/torch/hub/a.pth").read_text() == "content"
        return len(log.read_text())

    assert [built(code), built(code), built(code + "# changed\n")] == [1, 1, 2]
    (out / "weights/torch/hub/a.pth").write_text("damaged")
    assert built(code + "# changed\n") == 3
    monkeypatch.setattr(metadata, "distributions", lambda: [])
    assert built(code + "# changed\n") == 4


def test_what_a_factory_is_made_of(tmp_path: Path) -> None:
    factory = write(tmp_path, "def make(): ...\ndef other(): ...\n")
    assert len(weights.origin(factory)) == 64
    assert weights.origin(factory) != weights.origin(factory.replace(":make", ":other"))
    assert weights.origin("package.module:make") == weights.origin("gone.py:make") == ""


def test_links_become_files_and_only_what_is_read_is_kept(tmp_path: Path) -> None:
    code = f"""{CACHE}
def make():
    repo = pathlib.Path(os.environ['HF_HUB_CACHE'], 'models--me--it')
    if repo.exists():
        return
    for folder in ('blobs', 'refs', 'snapshots/abc', '.no_exist'):
        (repo / folder).mkdir(parents=True)
    (repo / 'blobs' / '123').write_text('content')
    (repo / 'refs' / 'main').write_text('abc')
    (repo / 'snapshots' / 'abc' / 'config.json').symlink_to(repo / 'blobs' / '123')
    (repo / '.no_exist' / 'x').touch()
"""
    folder = tmp_path / "bundle"
    folder.mkdir()
    recorded = weights.record(write(tmp_path, code), folder)
    repo = Weights.of(folder).hub / "models--me--it"
    assert sorted(recorded) == [
        (repo / name).relative_to(folder).as_posix()
        for name in ("refs/main", "snapshots/abc/config.json")
    ]
    assert (repo / "snapshots/abc/config.json").read_text() == "content"
    assert [path.name for path in folder.iterdir()] == ["weights"]
