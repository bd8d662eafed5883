"""Writing a submission so that there is a valid one on disk at every moment."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Literal

from kagglekit import mounts
from kagglekit.bars import say, tqdm
from kagglekit.competitions import Data, Profile
from kagglekit.errors import DataError, SubmissionError
from kagglekit.locks import held
from kagglekit.submission.journal import Journal
from kagglekit.submission.rows import in_sample_order, sizes_for_rows, write_rows
from kagglekit.submission.texts import Masks, empty_texts, to_texts

_SECONDS = 5.0  # the file lags behind the journal by no more, or by
_SHARE = 20  # so many times what replacing it takes: writing costs a twentieth of a run at most
_SHOWN = 20  # failures in the summary; the log has them all


class Writer:
    """Keeps submission.csv valid from the moment it is entered, and goes on after a crash.

    On entering, a file with empty rows for every test image is written, in the order of the sample
    submission. Masks that are set go to a journal, `.submission.csv.journal` beside the file, at
    once; the file is replaced by one that has them, atomically, every few seconds and on leaving.
    After a crash or `kill -9` the next Writer for the same path reads the journal, writes the
    file, and goes on where the last one stopped. Once every image is done the journal is removed,
    so the next Writer starts afresh; to start afresh earlier, delete it.

    An image that fails inside `attempt` keeps its empty rows; the others go on. Each failure is
    written with its traceback to `submission.csv.log` beside the file, and told at the end. It is
    not in the journal, so the next run tries it again. When all images fail, that is no bad image
    but a bug, and leaving raises.

    One process at a time may write a file: of several ranks the first, with what
    `inference.collect` brings it.

    Args:
        comp: the competition.
        data: its folder; the rows are those of the test images that lie there.
        path: the file; by default `submission.csv` in Kaggle's working folder, or, where that
            does not exist, in the current one.
        on_error: what `attempt` does with an image that fails: "empty" leaves its rows empty,
            "raise" lets the error stop the run. The hidden test has images that you never saw
            and no second chance within the day: one of them must not cost all the others.

    Example:
        >>> with Writer(comp, data) as out:                        # doctest: +SKIP
        ...     for image_id, path in out.todo():
        ...         with out.attempt(image_id):
        ...             out[image_id] = predict(path)               # an RLE, or a list of them
    """

    def __init__(
        self,
        comp: Profile,
        data: Data,
        path: Path | str | None = None,
        *,
        on_error: Literal["empty", "raise"] = "empty",
    ) -> None:
        if on_error not in ("empty", "raise"):
            raise ValueError(f"on_error={on_error!r}: expected 'empty' or 'raise'")
        self.comp = comp
        self.data = data
        self.path = Path(path) if path is not None else _default_path()
        self.log = self.path.with_name(f"{self.path.name}.log")
        self.journal = self.path.with_name(f".{self.path.name}.journal")
        self.on_error = on_error
        self.failed: dict[str, str] = {}
        self._journal = Journal(self.journal)
        self._alone = ExitStack()
        self._images: dict[str, Path] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._texts: dict[str, list[str]] = {}
        self._done: set[str] = set()
        self._replaced = self._took = 0.0  # when the file was last replaced, and in how long
        self._behind = False  # whether the journal has masks that the file lacks
        self._writing = False  # set while files are written: an error then is the disk's

    def __enter__(self) -> Writer:
        lock = self.path.with_name(f".{self.path.name}.lock")
        if self.path.is_dir() or not self.path.parent.is_dir():
            raise SubmissionError(
                f"`{self.path}` cannot be written: "
                + ("it is a folder" if self.path.is_dir() else "its folder is not there")
            )
        try:
            if not self._alone.enter_context(held(lock)):
                raise SubmissionError(
                    f"another process, or another `Writer` in this one, is writing `{self.path}`",
                    hint="of several ranks let one write, with what `inference.collect` brings it",
                )
            self._start()
        except BaseException:
            self._alone.close()
            raise
        return self

    def _start(self) -> None:
        self._images = in_sample_order(self.data)
        self._sizes = sizes_for_rows(self.data, self._images)
        finished = self._journal.read()
        self._done = finished.keys() & self._images.keys()
        empty = empty_texts(self.data.rules)
        self._texts = {image_id: finished.get(image_id, empty) for image_id in self._images}
        self.failed = {}
        self.log.unlink(missing_ok=True)
        self._replace()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._alone:
            if self._behind:
                self._replace()
            if len(self._done) == len(self._images):
                self._journal.remove()
        self._sum_up()
        every = self.failed.keys() == self._images.keys() and not self._done
        if error is None and self.failed and every:
            raise SubmissionError(
                f"every image failed, {len(self.failed)} of {len(self.failed)}: that is no bad "
                "image; what is in the file is valid, and empty",
                problems=self._failures(),
                hint=f"`{self.log}` has the tracebacks",
            )

    def todo(self) -> Iterator[tuple[str, Path]]:
        """Yield id and path of each test image that has no mask yet, with a progress bar."""
        waiting = self._waiting()
        before = len(self._done)
        label = f"{self.path.name}, {before} from the last run" if before else self.path.name
        with tqdm(total=len(self._images), initial=before, desc=label, unit="image") as bar:
            for image_id in waiting:
                yield image_id, self._images[image_id]
                bar.update()

    def pixels(self) -> dict[str, int]:
        """Return how many pixels each image of `todo` has; 0 where its file cannot be read."""
        found = {}
        for image_id in self._waiting():
            try:
                height, width = self.data.shape(self._images[image_id])
            except DataError:
                height = width = 0
            found[image_id] = height * width
        return found

    @contextmanager
    def attempt(self, image_id: str) -> Iterator[None]:
        """Guard the work on one image: an error in the `with` block is that image's alone.

        It is told and logged, and the rows stay as they are: empty, or with the masks that were
        set before the error, with which the image is done. A later attempt may set them. With
        `on_error="raise"` the error goes on, with the id in a note. So does one of writing the
        files, which would befall the other images too.

        Raises:
            SubmissionError: the id is unknown.
        """
        self._check_id(image_id)
        self._writing = False  # whoever caught such an error goes on
        try:
            yield
        except Exception as error:  # whatever a model, a library or a file may raise
            if self.on_error == "raise" or self._writing:
                error.add_note(f"this was image `{image_id}`")
                raise
            self._note_failure(image_id, error)

    def __setitem__(self, image_id: str, masks: Masks) -> None:
        """Set what was found in an image.

        Args:
            image_id: id of a test image.
            masks: RLEs in either order, of the image's size. Where the competition has one row for
                each image: one, or a list that becomes its union. Where it has one for each
                class: a list with one for each, in the profile's order, empty ones too. Where
                it has one for each instance: a list of any length, without overlaps. Where
                instances have a confidence: pairs (RLE, confidence), or RLEs alone for 1.

        Raises:
            SubmissionError: the id is unknown, a mask has another size, there are not as many as
                classes, or instances overlap.
        """
        self._check_id(image_id)
        try:
            texts = to_texts(masks, self.data.shape(self._images[image_id]), self.data.rules)
        except SubmissionError as error:
            raise SubmissionError(f"`{image_id}`: {error}") from error
        # The journal comes first: what it has and the file lacks is put right on entering.
        self._writing = True
        self._journal.append(image_id, texts)
        self._texts[image_id] = texts
        self._done.add(image_id)
        self.failed.pop(image_id, None)
        self._behind = True
        if monotonic() - self._replaced >= max(_SECONDS, _SHARE * self._took):
            self._replace()
        self._writing = False

    def _waiting(self) -> list[str]:
        return [image_id for image_id in self._images if image_id not in self._done]

    def _replace(self) -> None:
        """Replace the file by one with all that is known now."""
        began = monotonic()
        self._journal.sync()
        write_rows(self.path, self._texts, self._sizes, self.data.rules)
        self._behind = False
        self._replaced = monotonic()
        self._took = self._replaced - began

    def _check_id(self, image_id: str) -> None:
        if image_id not in self._images:
            raise SubmissionError(
                f"`{image_id}` is not a test image: {len(self._images)} are known"
                + ("" if self._images else ", because the Writer is used outside `with`"),
                problems=[
                    f"near: `{i}`" for i in difflib.get_close_matches(str(image_id), self._images)
                ],
                hint="take the ids from `todo()`",
            )

    def _note_failure(self, image_id: str, error: Exception) -> None:
        first, *_ = str(error).splitlines() or [""]
        reason = f"{type(error).__name__}: {first}".removesuffix(": ")
        self.failed[image_id] = reason
        say(f"`{image_id}` failed: {reason}")
        with self.log.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"`{image_id}`\n{''.join(traceback.format_exception(error))}\n")

    def _failures(self) -> list[str]:
        """Return a line for each image that failed, few enough to read."""
        lines = [f"`{image_id}`: {reason}" for image_id, reason in self.failed.items()]
        more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
        return lines[:_SHOWN] + more

    def _sum_up(self) -> None:
        """Say how much of the test has masks, where that is not all of it."""
        if len(self._done) == len(self._images) and not self.failed:
            return
        say(f"{self.path.name}: masks for {len(self._done)} of {len(self._images)} images")
        if self.failed:
            say(f"{len(self.failed)} failed, see {self.log.name}:")
            say("\n".join(f"  {line}" for line in self._failures()))


def _default_path() -> Path:
    working = mounts.working_root()
    return (working if working.is_dir() else Path()) / "submission.csv"
