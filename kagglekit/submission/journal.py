"""What is finished, a line for each image: what a killed run leaves to the next one."""

import json
import os
from collections.abc import Sequence
from pathlib import Path


class Journal:
    """The texts of finished images, appended one by one, so each costs no more than itself.

    A line that was written is there after `kill -9`, whether or not it was synced; `sync` guards it
    against the machine going down as well. A line cut off half-way is as if never written.

    Args:
        path: the file, made when the first image is finished.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, image_id: str, texts: Sequence[str]) -> None:
        """Note the texts of one image; of an image noted twice the last ones count."""
        with self.path.open("a", encoding="utf-8") as file:
            # A new line first, as the last one may have been cut off.
            file.write("\n" + json.dumps([image_id, texts]))

    def sync(self) -> None:
        """Wait until what is noted is on the disk."""
        if self.path.is_file():
            with self.path.open("rb") as file:
                os.fsync(file.fileno())

    def read(self) -> dict[str, list[str]]:
        """Return the texts of each finished image, by id."""
        if not self.path.is_file():
            return {}
        finished = {}
        with self.path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    image_id, texts = json.loads(line)
                    finished[str(image_id)] = [str(text) for text in texts]
                except (ValueError, TypeError):
                    continue  # blank, or cut off when the run was killed
        return finished

    def remove(self) -> None:
        """Forget everything."""
        self.path.unlink(missing_ok=True)
