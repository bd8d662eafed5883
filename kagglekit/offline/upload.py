"""Upload a bundle as a private dataset, and push the notebook that attaches it."""

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kagglekit.errors import BundleCheckError, RequirementsError, UploadError
from kagglekit.offline import dataset, kaggle, notebook, outgoing, secrets
from kagglekit.offline.dataset import is_slug
from kagglekit.offline.manifest import Manifest

Say = Callable[[str], None]
KERNEL_FILE = "kernel-metadata.json"
_NOTE = "new bundle"


def dataset_of(folder: Path) -> str:
    """Return "owner/slug" of a bundle's dataset.

    Raises:
        UploadError: the metadata does not say whose it is.
    """
    try:
        name = str(json.loads((folder / dataset.FILE).read_text(encoding="utf-8"))["id"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UploadError(f"`{folder / dataset.FILE}` cannot be read: {error}") from error
    if name.startswith(dataset.NO_OWNER):
        raise UploadError(
            f"`{folder}` does not say whose dataset it is",
            hint=f"build it with --owner NAME, or put your Kaggle user name into {dataset.FILE}",
        )
    return name


def upload(folder: Path, say: Say, *, dry_run: bool = False) -> None:
    """Create the bundle's dataset, private, or a new version of it; wait until it is ready.

    Args:
        folder: the bundle.
        say: is told each line.
        dry_run: only say which commands would be run.

    Raises:
        BundleCheckError: the bundle's files are not those that were built, Kaggle would refuse it,
            or it holds what must not leave your machine.
        UploadError: the `kaggle` command is missing or failed.
    """
    name = dataset_of(folder)
    problems = outgoing.problems(folder, Manifest.read(folder))
    if problems:
        raise BundleCheckError(f"the bundle `{folder}` cannot be uploaded", problems=problems)
    ask = ["kaggle", "datasets", "status", name]
    create = ["kaggle", "datasets", "create", "-p", str(folder), "-r", "zip"]
    version = ["kaggle", "datasets", "version", "-p", str(folder), "-r", "zip", "-m", _NOTE]
    if dry_run:
        say(f"{kaggle.shown(ask)}    # is it there already?")
        say(f"{kaggle.shown(create)}    # if not; private")
        say(f"{kaggle.shown(version)}    # if it is, and ready")
        say(f"{kaggle.shown(ask)}    # again, until it says ready")
        return
    if kaggle.status(name) is None:
        kaggle.call(create)
    else:
        kaggle.wait(name, say)  # a second version on top of an unfinished one is refused
        kaggle.call(version)
    kaggle.wait(name, say)
    say(f"{name}: ready to be attached")


@dataclass(frozen=True)
class Kernel:
    """A notebook on Kaggle.

    Attributes:
        notebook: the .ipynb file; its name becomes the notebook's.
        owner: Kaggle user name.
        competition: slug of the competition.
        datasets: "owner/slug" of what is attached.
        kernels: "owner/slug" of notebooks whose output is attached.
        gpu: whether it gets one; always T4 x2, because torch has no code for the P100.
    """

    notebook: Path
    owner: str
    competition: str
    datasets: Sequence[str] = ()
    kernels: Sequence[str] = ()
    gpu: bool = True

    def metadata(self) -> dict[str, object]:
        """Return `kernel-metadata.json`, with everything said that Kaggle would guess otherwise.

        Raises:
            UploadError: Kaggle would refuse it, or it holds a key; every reason is named.
        """
        slug = re.sub(r"[^a-z0-9]+", "-", self.notebook.stem.lower()).strip("-")
        problems = []
        problems += _notebook_problems(self.notebook)
        if not 5 <= len(slug) <= 50:
            problems.append(f"the name `{slug}` has {len(slug)} characters; Kaggle wants 5 to 50")
        problems += [
            f"`{name}` is not owner/name"
            for name in (f"{self.owner}/{slug}", *self.datasets, *self.kernels)
            if not re.fullmatch(r"[A-Za-z0-9][\w-]*/[a-z0-9][a-z0-9-]*", name)
        ]
        if not is_slug(self.competition):
            problems.append(f"`{self.competition}` is not a competition's slug")
        if problems:
            raise UploadError("this notebook cannot be pushed", problems=problems)
        content: dict[str, object] = {
            "id": f"{self.owner}/{slug}",
            "title": slug.replace("-", " "),  # its slug must be the id's
            "code_file": self.notebook.name,
            "language": "python",
            "kernel_type": "notebook",
            "is_private": True,
            "enable_gpu": self.gpu,
            "enable_tpu": False,
            "enable_internet": False,  # the default of the kaggle command is true
            "docker_image_pinning_type": "original",  # the image of the day stays, to the end
            "dataset_sources": list(self.datasets),
            "competition_sources": [self.competition],
            "kernel_sources": list(self.kernels),
            "model_sources": [],
        }
        return content | ({"machine_shape": "NvidiaTeslaT4"} if self.gpu else {})


def _notebook_problems(path: Path) -> list[str]:
    if path.suffix != ".ipynb":
        return [f"`{path}` is not an .ipynb file"]
    try:
        notebook.cells(path)
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        return secrets.keys(path.name, "\n".join(_texts(content)).encode())
    except OSError as error:
        return [f"`{path}` cannot be read: {error.strerror}"]
    except RequirementsError as error:
        return [str(error).partition("\n")[0]]


def _texts(content: Any) -> Iterator[str]:
    """Yield all texts of a notebook, cells and outputs, as they are read: lines put together."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list) and all(isinstance(one, str) for one in content):
        yield "".join(content)
    elif isinstance(content, list | dict):
        for one in content.values() if isinstance(content, dict) else content:
            yield from _texts(one)


def push(kernel: Kernel, say: Say, *, dry_run: bool = False) -> None:
    """Push a notebook with its metadata; Kaggle runs it once.

    Raises:
        UploadError: Kaggle would refuse it, it holds a key, or the `kaggle` command failed.
    """
    metadata = json.dumps(kernel.metadata(), indent=1)
    if dry_run:
        say(f"# {KERNEL_FILE}, beside {kernel.notebook.name} in a folder DIR:")
        say(metadata)
        say("kaggle kernels push -p DIR")
        return
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copy(kernel.notebook, scratch)
        Path(scratch, KERNEL_FILE).write_text(metadata, encoding="utf-8")
        said = kaggle.call(["kaggle", "kernels", "push", "-p", scratch])
    say(said.strip())
