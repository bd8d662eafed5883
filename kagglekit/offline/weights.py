"""Record the pretrained weights that a model factory downloads, and prove that it needs no more.

No table of addresses: the libraries' own code downloads into caches that lie in the bundle, the
caches are flattened to plain files, and the same code must then find everything there with no
network, writing nothing, because the dataset will be read-only.
"""

import hashlib
import os
import re
import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

from kagglekit.errors import WeightsError
from kagglekit.offline import dataset, recorder, tools
from kagglekit.offline.install import sha256_of
from kagglekit.offline.runtime import FOLDER, Weights

_ROOT = Path(__file__).resolve().parents[2]
# Links, locks and parts of downloads: what a cache needs to go on living, and a dataset does not.
_NOT_KEPT = {"blobs", ".locks", ".no_exist", "CACHEDIR.TAG", "version.txt"}


def origin(factory: str) -> str:
    """Return a hash of what a factory is made of: its file, its name, the packages of this Python.

    Returns:
        Hexadecimal; "" for a factory that is no function in a file, whose source is not looked for.
    """
    place, _, name = factory.rpartition(":")
    if not place.endswith(".py") or not Path(place).is_file():
        return ""
    versions = sorted(f"{each.name}=={each.version}" for each in metadata.distributions())
    source = Path(place).read_bytes()
    return hashlib.sha256(
        b"\0".join([source, name.encode(), *map(str.encode, versions)])
    ).hexdigest()


def check(factory: str) -> None:
    """Refuse what cannot be the name of a factory.

    Raises:
        WeightsError: it is not of that form, or there is no such file.
    """
    if not re.fullmatch(r".+:[A-Za-z_]\w*", factory):
        raise WeightsError(f"`{factory}` is not FILE.py:FUNCTION or MODULE:FUNCTION")
    place = factory.rpartition(":")[0]
    if place.endswith(".py") and not Path(place).is_file():
        raise WeightsError(f"there is no file `{place}`, of which `{factory}` is to be called")


def record(factory: str, bundle: Path, earlier: Path | None = None) -> dict[str, str]:
    """Run a model factory with caches in a bundle, flatten them, and run it again offline.

    Args:
        factory: "models.py:make", or "package.module:make"; called without arguments, by this
            Python, in the current folder.
        bundle: the bundle's folder; `weights/` in it is made.
        earlier: a bundle whose weights are of this factory: the caches begin with them, so the
            libraries download what they find changed or missing, and nothing else.

    Returns:
        Path in the bundle to sha256, sorted.

    Raises:
        WeightsError: the factory fails, downloads nothing, or needs more than was recorded.
    """
    check(factory)
    with tempfile.TemporaryDirectory(dir=bundle, prefix=".recording-") as scratch:
        if earlier is not None:  # copied, because what runs next may write to it
            shutil.copytree(earlier / FOLDER, Path(scratch, FOLDER))
        caches = Weights.of(Path(scratch))
        online = caches.environment() | {"HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
        done = _run([factory], online)
        if done.returncode:
            raise WeightsError(
                f"the model factory `{factory}` failed, with a network",
                problems=tools.excerpt(done.stderr),
            )
        _flatten(Path(scratch, FOLDER), bundle / FOLDER)
    recorded = hashes(bundle)
    if not recorded:
        raise WeightsError(
            f"the model factory `{factory}` downloaded nothing",
            hint="if it needs none, leave --weights out; what it keeps outside the caches of torch,"
            " Hugging Face and timm cannot be bundled: attach that as a dataset",
        )
    problems = dataset.file_name_problems(part for name in recorded for part in name.split("/"))
    if problems:
        raise WeightsError("the weights have names that an upload would not survive",
                           problems=sorted(set(problems)))  # fmt: skip
    _prove(factory, bundle, recorded)
    return recorded


def hashes(bundle: Path) -> dict[str, str]:
    """Return path in the bundle to sha256 of all its weights, sorted."""
    files = sorted(path for path in (bundle / FOLDER).rglob("*") if path.is_file())
    return {path.relative_to(bundle).as_posix(): sha256_of(path) for path in files}


def _prove(factory: str, bundle: Path, recorded: Mapping[str, str]) -> None:
    """Run the factory with nothing but the recorded weights; it must not write to them either."""
    isolated = ["unshare", "-rn"] if _can_unshare() else []
    with tempfile.TemporaryDirectory() as home:  # what lies at home is not there on Kaggle
        settings = {"HOME": home, "XDG_CACHE_HOME": f"{home}/.cache"}
        settings["PYTHONUSERBASE"] = site.getuserbase()  # but packages may
        done = _run([factory, "offline"], Weights.of(bundle).environment() | settings, isolated)
    if done.returncode:
        said = done.stderr
        if "WeightsError: " in said:
            message = said[said.rindex("WeightsError: ") + len("WeightsError: ") :].strip()
            raise WeightsError(f"`{factory}` needs more than was recorded: {message}")
        raise WeightsError(
            f"the model factory `{factory}` failed with the recorded weights and no network",
            problems=tools.excerpt(said),
        )
    changed = sorted({*hashes(bundle).items()} ^ {*recorded.items()})
    if changed:
        raise WeightsError(
            f"the model factory `{factory}` writes into its cache, which is read-only on Kaggle",
            problems=[f"`{name}`" for name, _ in changed],
            hint="save the weights anew with torch.save or safetensors and load that file yourself",
        )


def _flatten(cache: Path, target: Path) -> None:
    """Copy a cache's files; links become what they point at."""
    for path in _walk(cache):
        copy = target / path.relative_to(cache)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name in _NOT_KEPT or path.suffix in {".lock", ".incomplete"}:
            continue
        if path.is_dir():
            yield from _walk(path)
        else:
            yield path


def _run(
    arguments: list[str], settings: Mapping[str, str], prefix: list[str] | None = None
) -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, **settings}
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_ROOT), env.get("PYTHONPATH", "")]))
    command = [*(prefix or []), sys.executable, "-m", recorder.__name__, *arguments]
    return tools.call(command, cwd=Path.cwd(), env=env)


def _can_unshare() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode == 0
