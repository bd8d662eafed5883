"""The manifest: what a bundle holds and for which Kaggle images, as JSON beside the wheels.

    {"format": 1, "made_by": "kagglekit 0.1.0", "requirements": ["rasterio"],
     "wheels":  [{"file": ..., "name": ..., "version": ..., "size": ..., "sha256": ...,
                  "imports": [...], "licence": "MIT", "why": "asked for"}],
     "targets": [{"image": ..., "python": "3.12", "glibc": "2.35", "lock": "requirements.lock",
                  "install": [file names, dependencies first], "expects": {"numpy": "2.0.2"}}],
     "files":   {"install.py": sha256, "requirements.lock": sha256},
     "weights": {"weights/torch/hub/checkpoints/resnet34-b627a593.pth": sha256},
     "recorded_by": what the weights' factory was made of, see `weights.origin`}

`expects` is what the bundle counts on from the image: what was asked for and is there already, and
what the bundled wheels need. Nothing here tells when or where the bundle was built, so the same
inputs give the same bytes.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from kagglekit.errors import BundleCheckError
from kagglekit.offline import install

FILE = install.MANIFEST
OWN = "this project"
"""Why a wheel is bundled that was built from a project of the user's."""


@dataclass(frozen=True)
class WheelEntry:
    """One bundled wheel: `size` in bytes, `imports` the names it makes importable."""

    file: str
    name: str
    version: str
    size: int
    sha256: str
    imports: tuple[str, ...]
    licence: str
    why: str


@dataclass(frozen=True)
class Target:
    """What one Kaggle image gets.

    Attributes:
        image: name of the Kaggle image.
        python: e.g. "3.12".
        glibc: e.g. "2.35".
        lock: file name of its requirements with hashes.
        install: file names of its wheels, dependencies first.
        expects: normalised name to version of what the bundle counts on from the image.
    """

    image: str
    python: str
    glibc: str
    lock: str
    install: tuple[str, ...]
    expects: dict[str, str]


@dataclass(frozen=True)
class Manifest:
    """All that a bundle says of itself; see the module's text for the JSON.

    Attributes:
        made_by: e.g. "kagglekit 0.1.0".
        requirements: what was asked for, as it was written.
        wheels: every bundled wheel, sorted by file name.
        targets: one per Kaggle image.
        files: sha256 of the other files that the installation reads.
        weights: sha256 of recorded weights, by their path.
        recorded_by: hash of the factory that recorded them (`weights.origin`), or "".
    """

    made_by: str
    requirements: tuple[str, ...]
    wheels: tuple[WheelEntry, ...]
    targets: tuple[Target, ...]
    files: dict[str, str]
    weights: dict[str, str] = field(default_factory=dict)
    recorded_by: str = ""

    @property
    def size(self) -> int:
        """Bytes of all wheels together."""
        return sum(wheel.size for wheel in self.wheels)

    def target(self, image: str) -> Target:
        """Return what the Kaggle image of that name gets.

        Raises:
            BundleCheckError: the bundle was not built for it.
        """
        for target in self.targets:
            if target.image == image:
                return target
        raise BundleCheckError(
            f"the bundle was not built for `{image}`",
            problems=[f"built for: {target.image}" for target in self.targets],
            hint=f"rebuild it with --image {image}",
        )

    def to_json(self) -> str:
        """Return the text of the manifest, the same bytes for the same content."""
        return (
            json.dumps({"format": install.FORMAT, **asdict(self)}, indent=1, sort_keys=True) + "\n"
        )

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read the manifest of a bundle.

        Raises:
            BundleCheckError: there is none, or it cannot be read.
        """
        try:
            content = install.read_manifest(folder)
        except install.InstallError as error:
            raise BundleCheckError(str(error)) from error
        return cls(
            made_by=content["made_by"],
            requirements=tuple(content["requirements"]),
            wheels=tuple(
                WheelEntry(**{**wheel, "imports": tuple(wheel["imports"])})
                for wheel in content["wheels"]
            ),
            targets=tuple(
                Target(**{**target, "install": tuple(target["install"])})
                for target in content["targets"]
            ),
            files=content["files"],
            weights=content.get("weights", {}),
            recorded_by=content.get("recorded_by", ""),
        )
