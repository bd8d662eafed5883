"""The folder of one competition: its images by id, their sizes, and the truth about them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from kagglekit.competitions import pixels, table, template
from kagglekit.competitions.rules import SubmissionRules, Table
from kagglekit.competitions.truth import (
    Outline,
    decode,
    from_masks,
    from_outlines,
    read_polygons,
    read_texts,
)
from kagglekit.errors import DataError, RLEError
from kagglekit.rle import RLE

if TYPE_CHECKING:
    from kagglekit.competitions.profile import Profile

_EXAMPLES = 20
"""How much of what is in a folder a message shows."""


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

    @cached_property
    def rules(self) -> SubmissionRules:
        """The submission's rules, in the dialect of the sample submission that is there."""
        options = [self.profile.submission, *(d.submission for d in self.profile.dialects)]
        header = self._header(options[0].sample)
        return next((each for each in options if set(each.columns) == header), options[0])

    @cached_property
    def train_rules(self) -> Table:
        """What the train table is, in the dialect of the one that is there."""
        options = [self.profile.train_table, *(d.train_table for d in self.profile.dialects)]
        header = self._header(options[0].path)
        return next((each for each in options if set(each.columns) <= header), options[0])

    def check(self) -> None:
        """Look whether anything in the folder is where the profile expects it.

        Raises:
            DataError: nothing is; the message shows what is there.
        """
        tree, labels = self.profile.tree, self.profile.train_table
        tables = [*([labels.path] if labels.path else []), self.profile.submission.sample]
        images = (tree.train_images, tree.test_images)
        if any(template.find(self.root, each, tree.id) for each in images):
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

    def as_test(self, path: Path) -> str:
        """Return where a train image would lie in the tree if it were a test image.

        Args:
            path: as `train_images` gives it.

        Raises:
            DataError: it is no train image.
        """
        tree = self.profile.tree
        inside = path.relative_to(self.root) if path.is_relative_to(self.root) else path
        fields = template.match(tree.train_images.removesuffix("/"), inside.as_posix())
        if fields is None:
            raise DataError(f"`{path}` is no train image: it does not match `{tree.train_images}`")
        return template.fill(tree.test_images, **fields)

    def mask_files(self, image_id: str) -> list[Path]:
        """Return the files of a train image's masks, sorted by name; none where it has none."""
        masks = self.profile.tree.train_masks
        return self._files(masks, image_id) if masks else []

    def groups(self) -> dict[str, str]:
        """Return the group (e.g. the patient) of each image that the profile's rule tells.

        Raises:
            DataError: the competition has no groups, or the table cannot be read.
        """
        groups = self.profile.groups
        if groups is None:
            raise DataError(f"the profile of `{self.profile.slug}` names no group table")
        if groups.ids:
            tree = self.profile.tree
            found: dict[str, str] = {}
            for where in (tree.train_images, tree.test_images):
                for image_id in template.find(self.root, where, tree.id):
                    part = re.match(groups.ids, image_id)
                    found[image_id] = part[1] if part else image_id
            return found
        paths = [groups.path]
        if groups.test_path and (self.root / groups.test_path).is_file():
            paths.append(groups.test_path)
        rows = [
            row for p in paths for row in table.columns(self.root / p, groups.image, groups.column)
        ]
        named = [(template.match(groups.key, image), group) for image, group in rows]
        return {fields["id"]: group for fields, group in named if fields}

    def layers(self, path: Path) -> dict[str, Path]:
        """Return the files of an image that is a folder, by name: `{"08": …/band_08.npy, …}`.

        Args:
            path: as `train_images` and `test_images` give it.

        Raises:
            DataError: images of this competition are no folders, or this one lacks its files.
        """
        layers = self.profile.tree.layers
        if layers is None:
            raise DataError(f"images of `{self.profile.slug}` are single files, not folders")
        found = template.find(path, layers)
        if not found:
            raise DataError(f"no file matches `{layers}` in `{path}`")
        return found

    def shape(self, path: Path) -> tuple[int, int]:
        """Return the (height, width) of an image in pixels, from its header alone.

        Raises:
            DataError: the file cannot be opened as an image.
        """
        if self.profile.tree.layers and path.is_dir():
            path = next(iter(self.layers(path).values()))
        return pixels.size(path)

    def truth(self, image_id: str) -> list[RLE]:
        """Return what is really in a train image.

        Args:
            image_id: id of a train image.

        Returns:
            Where the submission has one row for each image, one RLE with everything in it
            (possibly empty); where it has one for each class, one RLE for each (possibly empty).
            Where it has one for each instance, an RLE for each, none of them empty; a pixel that
            two instances claim belongs to the first, except where they may overlap.

        Raises:
            DataError: there is no such train image, no truth for it, or it cannot be decoded.
        """
        tree, rules, labels = self.profile.tree, self.rules, self.train_rules
        paths = self._files(tree.train_images, image_id)
        if not paths:
            raise DataError(
                f"no train image `{image_id}`: no file of that id matches `{tree.train_images}` "
                f"in `{self.root}`"
            )
        shape = self.shape(paths[0])
        if (self.root / labels.path).is_file():
            return self._truth_from_table(image_id, shape, labels)
        if tree.train_polygons and (self.root / tree.train_polygons).is_file():
            return from_outlines(self._outlines.get(image_id, []), shape, rules)
        masks = self.mask_files(image_id)
        if not masks:
            raise DataError(f"no truth for `{image_id}`: no table and no masks in `{self.root}`")
        return from_masks(masks, rules)

    def _truth_from_table(self, image_id: str, shape: tuple[int, int], labels: Table) -> list[RLE]:
        texts = self.train_texts.get(image_id)
        if texts is None:
            if not labels.only_found:
                raise DataError(f"`{labels.path}` has no row for `{image_id}`")
            texts = [""] * len(self.rules.classes)
        try:
            return decode(texts, shape, self.rules)
        except RLEError as error:
            message = f"the truth of `{image_id}` in `{labels.path}` is not valid"
            raise DataError(message, problems=[str(error)]) from error

    @cached_property
    def train_texts(self) -> dict[str, list[str]]:
        """The cells of each train image, by id, in the table's order or that of the classes.

        Raises:
            DataError: there is no train table, or it cannot be read.
        """
        labels = self.train_rules
        if not labels.path:
            raise DataError(f"`{self.profile.slug}` has no table of train masks")
        return read_texts(self.root / labels.path, labels, self.rules)

    @cached_property
    def _outlines(self) -> dict[str, list[Outline]]:
        tree = self.profile.tree
        if tree.train_polygons is None:
            return {}
        return read_polygons(self.root / tree.train_polygons, tree.polygon_type)

    def _header(self, path: str) -> set[str]:
        """Return the columns of a table; none where it is not there."""
        return set(table.header(self.root / path)) if (self.root / path).is_file() else set()

    def _files(self, where: str, image_id: str) -> list[Path]:
        """Return the files of one image that a template describes, sorted by name."""
        fields = template.match(self.profile.tree.id, image_id)
        if fields is None:
            return []
        return sorted(template.find(self.root, where, where, **fields).values())

    def _images(self, images: str) -> dict[str, Path]:
        found = template.find(self.root, images, self.profile.tree.id)
        if not found:
            raise DataError(f"no file matches `{images}` in `{self.root}`", problems=self._seen())
        return found

    def _seen(self) -> list[str]:
        """Return what is in the folder, a line each, few enough to read."""
        if not self.root.is_dir():
            return [f"`{self.root}` is not a folder"]
        paths = (path for depth in ("*", "*/*") for path in sorted(self.root.glob(depth)))
        return [f"found {path.relative_to(self.root)}" for path in islice(paths, _EXAMPLES)] or [
            "the folder is empty"
        ]


def decode_texts(texts: Sequence[str], shape: tuple[int, int], profile: Profile) -> list[RLE]:
    """Decode the texts that a table has for one image: `truth.decode` by a profile's rules.

    Raises:
        RLEError: a text is not valid.
    """
    return decode(texts, shape, profile.submission)
