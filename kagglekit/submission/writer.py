"""Writing a submission so that there is a valid one on disk at every moment."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from tqdm import tqdm

from kagglekit import mounts
from kagglekit.competitions import Data, Profile
from kagglekit.errors import SubmissionError
from kagglekit.rle import RLE
from kagglekit.submission.rows import to_texts, write_rows


class Writer:
    """Keeps submission.csv valid from the moment it is entered, and goes on after a crash.

    On entering, a file with an empty row for every test image is written. Every mask that is set
    replaces the file, atomically, by one that has it. What is finished also stands in a journal,
    `.submission.csv.journal` beside the file: after a crash or `kill -9` the next Writer for the
    same path goes on where the last one stopped. Once every image is done the journal is removed,
    so the next Writer starts afresh; to start afresh earlier, delete it.

    Args:
        comp: the competition.
        data: its folder; the rows are those of the test images that lie there.
        path: the file; by default `submission.csv` in Kaggle's working folder, or, where that
            does not exist, in the current one.

    Example:
        >>> with Writer(comp, data) as out:                        # doctest: +SKIP
        ...     for image_id, path in out.todo():
        ...         out[image_id] = predict(path)                   # an RLE, or a list of them
    """

    def __init__(self, comp: Profile, data: Data, path: Path | str | None = None) -> None:
        self.comp = comp
        self.data = data
        self.path = Path(path) if path is not None else _default_path()
        self.journal = self.path.with_name(f".{self.path.name}.journal")
        self._images: dict[str, Path] = {}
        self._texts: dict[str, list[str]] = {}
        self._done: set[str] = set()

    def __enter__(self) -> Writer:
        self._images = self.data.test_images()
        finished = self._read_journal()
        self._done = set(finished)
        empty = [self.comp.submission.empty]
        self._texts = {image_id: finished.get(image_id, empty) for image_id in self._images}
        write_rows(self.path, self._texts, self.comp)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if len(self._done) == len(self._images):
            self.journal.unlink(missing_ok=True)

    def todo(self) -> Iterator[tuple[str, Path]]:
        """Yield id and path of each test image that has no mask yet, with a progress bar."""
        waiting = [image_id for image_id in self._images if image_id not in self._done]
        before = len(self._done)
        label = f"{self.path.name}, {before} from the last run" if before else self.path.name
        with tqdm(total=len(self._images), initial=before, desc=label, unit="image") as bar:
            for image_id in waiting:
                yield image_id, self._images[image_id]
                bar.update()

    def __setitem__(self, image_id: str, masks: RLE | Sequence[RLE]) -> None:
        """Set what was found in an image and replace the file.

        Args:
            image_id: id of a test image.
            masks: one RLE or a list of them, in either order, of the image's size. Where the
                competition has one row for each image, a list becomes its union.

        Raises:
            SubmissionError: the id is unknown, a mask has another size, or instances overlap.
        """
        if image_id not in self._images:
            raise SubmissionError(
                f"`{image_id}` is not a test image: {len(self._images)} are known"
                + ("" if self._images else ", because the Writer is used outside `with`"),
                problems=[
                    f"near: `{i}`" for i in difflib.get_close_matches(image_id, self._images)
                ],
                hint="take the ids from `todo()`",
            )
        try:
            texts = to_texts(masks, self.data.shape(self._images[image_id]), self.comp)
        except SubmissionError as error:
            raise SubmissionError(f"`{image_id}`: {error}") from error
        # The journal comes first: what it has and the file lacks is put right on entering.
        with self.journal.open("a", encoding="utf-8") as file:
            # A new line first, as the last one may have been cut off.
            file.write("\n" + json.dumps([image_id, texts]))
            file.flush()
            os.fsync(file.fileno())
        self._texts[image_id] = texts
        self._done.add(image_id)
        write_rows(self.path, self._texts, self.comp)

    def _read_journal(self) -> dict[str, list[str]]:
        """Return the finished rows of a run that was cut short, for images that are still there."""
        if not self.journal.is_file():
            return {}
        finished = {}
        for line in self.journal.read_text("utf-8").splitlines():
            try:
                image_id, texts = json.loads(line)
            except ValueError:
                continue  # blank, or cut off when the run was killed
            if image_id in self._images:
                finished[image_id] = texts
        return finished


def _default_path() -> Path:
    working = mounts.working_root()
    return (working if working.is_dir() else Path()) / "submission.csv"
