"""The folder of one competition: its images by id, their sizes, and the truth about them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from kagglekit.competitions import table, template
from kagglekit.errors import DataError, RLEError
from kagglekit.instances import without_overlaps
from kagglekit.rle import RLE

if TYPE_CHECKING:
    from kagglekit.competitions.profile import Profile


@dataclass(frozen=True)
class Data:
    """A competition's folder; made by `Profile.find_data`.

    Nothing is read before it is asked for, and ids always come from the files that are there.

    Attributes:
        root: the folder.
        profile: the competition's rules.

    Example:
        >>> from kagglekit import competitions
        >>> data = competitions.load("hubmap-kidney-segmentation").find_data()  # doctest: +SKIP
        >>> data.test_images()                                                  # doctest: +SKIP
        {'2ec3f1bb9': PosixPath('/kaggle/input/hubmap-kidney-segmentation/test/2ec3f1bb9.tiff')}
    """

    root: Path
    profile: Profile

    def check(self) -> None:
        """Look whether anything in the folder is where the profile expects it.

        Raises:
            DataError: nothing is; the message shows what is there.
        """
        tree = self.profile.tree
        tables = (self.profile.train_table.path, self.profile.submission.sample)
        if any(
            template.find(self.root, images) for images in (tree.train_images, tree.test_images)
        ):
            return
        if any((self.root / path).is_file() for path in tables):
            return
        hint = "give the folder that holds " + " and ".join(f"`{path}`" for path in tables)
        if self.root.is_dir() and any(self.root.glob("*.zip")):
            hint = (
                "the images are still packed: unzip them, and give the folder that then holds them"
            )
        raise DataError(
            f"`{self.root}` is not the tree of `{self.profile.slug}`: "
            f"neither `{tree.train_images}` nor `{tree.test_images}` matches a file",
            problems=self._seen(),
            hint=hint,
        )

    def train_images(self) -> dict[str, Path]:
        """Return the train images: ids, sorted, and paths.

        Raises:
            DataError: there is none.
        """
        return self._images(self.profile.tree.train_images)

    def test_images(self) -> dict[str, Path]:
        """Return the test images that are there now: ids, sorted, and paths.

        Raises:
            DataError: there is none.
        """
        return self._images(self.profile.tree.test_images)

    def groups(self) -> dict[str, str]:
        """Return the group (e.g. the patient) of each image in the profile's group table.

        Raises:
            DataError: the competition has no groups, or the table cannot be read.
        """
        groups = self.profile.groups
        if groups is None:
            raise DataError(f"the profile of `{self.profile.slug}` names no group table")
        suffix = Path(self.profile.tree.train_images).suffix
        rows = table.columns(self.root / groups.path, groups.image, groups.column)
        return {image.removesuffix(suffix): group for image, group in rows}

    def shape(self, path: Path) -> tuple[int, int]:
        """Return the (height, width) of an image in pixels, from its header alone.

        Raises:
            DataError: the file cannot be opened as an image.
        """
        import rasterio

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
                with rasterio.open(path) as image:
                    # A planar slide is several one-band pages; all have the size of the first.
                    return int(image.height), int(image.width)
        except rasterio.errors.RasterioIOError as error:
            raise DataError(f"`{path}` cannot be opened as an image: {error}") from error

    def truth(self, image_id: str) -> list[RLE]:
        """Return what is really in a train image.

        Args:
            image_id: id of a train image.

        Returns:
            Where the submission has one row for each image, one RLE with everything in it
            (possibly empty). Where it has one for each instance, an RLE for each, none of them
            empty; a pixel that two instances claim belongs to the first.

        Raises:
            DataError: there is no such train image, no truth for it, or it cannot be decoded.
        """
        path = self.root / template.fill(self.profile.tree.train_images, id=image_id)
        if not path.is_file():
            raise DataError(f"no train image `{image_id}`: there is no `{path}`")
        if not (self.root / self.profile.train_table.path).is_file():
            return self._truth_from_masks(image_id)
        if image_id not in self._train_texts:
            raise DataError(f"`{self.profile.train_table.path}` has no row for `{image_id}`")
        try:
            return decode_texts(self._train_texts[image_id], self.shape(path), self.profile)
        except RLEError as error:
            message = f"the truth of `{image_id}` in `{self.profile.train_table.path}` is not valid"
            raise DataError(message, problems=[str(error)]) from error

    @cached_property
    def _train_texts(self) -> dict[str, list[str]]:
        """The mask texts of each train image, in the table's order."""
        train = self.profile.train_table
        texts: dict[str, list[str]] = {}
        for image_id, text in table.columns(self.root / train.path, train.id, train.rle):
            texts.setdefault(image_id, []).append(text)
        return texts

    def _truth_from_masks(self, image_id: str) -> list[RLE]:
        import cv2

        masks = self.profile.tree.train_masks
        found = template.find(self.root, masks, id=image_id) if masks else {}
        if not found:
            raise DataError(f"no truth for `{image_id}`: no table and no masks in `{self.root}`")
        instances = []
        for path in found.values():
            mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            if mask is None:
                raise DataError(f"`{path}` cannot be read as an image")
            instances.append(RLE.from_mask(mask, order=self.profile.submission.order))
        return without_overlaps(instances)

    def _images(self, images: str) -> dict[str, Path]:
        found = template.find(self.root, images)
        if not found:
            raise DataError(f"no file matches `{images}` in `{self.root}`", problems=self._seen())
        return found

    def _seen(self) -> list[str]:
        """Return what is in the folder, a line each, few enough to read."""
        if not self.root.is_dir():
            return [f"`{self.root}` is not a folder"]
        paths = (path for depth in ("*", "*/*") for path in sorted(self.root.glob(depth)))
        return [f"found {path.relative_to(self.root)}" for path in islice(paths, 20)] or [
            "the folder is empty"
        ]


def decode_texts(texts: Sequence[str], shape: tuple[int, int], profile: Profile) -> list[RLE]:
    """Decode the texts that a table has for one image into truth or prediction.

    Args:
        texts: the cells of its rows.
        shape: (height, width) of the image.
        profile: the competition's order, empty text and kind of rows.

    Returns:
        One RLE with everything, or one for each instance, as `Data.truth` says.

    Raises:
        RLEError: a text is not valid.
    """
    rules = profile.submission
    rles = [RLE.from_text(text, shape, order=rules.order) for text in texts if text != rules.empty]
    if rules.rows == "instances":
        return without_overlaps(rles)
    return rles or [RLE.empty(shape, rules.order)]
