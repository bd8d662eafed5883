"""What keeps a bundle from being uploaded, whatever the image that it is for."""

import json
from dataclasses import asdict
from pathlib import Path

from kagglekit.offline import dataset, install, secrets
from kagglekit.offline.manifest import OWN, Manifest


def problems(folder: Path, manifest: Manifest) -> list[str]:
    """Return it, a line each: damage, names and metadata that Kaggle refuses, links, secrets."""
    paths = sorted(folder.rglob("*"))
    links = [path.name for path in paths if path.is_symlink()]
    found = [
        *install.damage(folder, asdict(manifest)),
        *dataset.file_name_problems(path.name for path in paths),
        *(f"`{name}` is a link, and an upload would follow it" for name in links),
        *_metadata_problems(folder / dataset.FILE),
    ]
    if found:  # only else are these the files that were built
        return found
    ours = [folder / each.file for each in manifest.wheels if each.why == OWN]
    return secrets.problems(folder, ours)


def _metadata_problems(file: Path) -> list[str]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return [f"`{file.name}` cannot be read: {error}"]
    if not isinstance(content, dict):
        return [f"`{file.name}` is not a JSON object"]
    return dataset.metadata_problems(content)
