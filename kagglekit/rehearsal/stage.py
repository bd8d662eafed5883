"""The two competition trees of a rehearsal, and the truth of their tests.

The visible test is what a notebook sees when it is saved; the hidden test, with other images, is
what it meets when it is submitted. Both come from made-up images, or from a real competition's
labelled ones: some of those play the test, and their labels are kept out of the tree.
"""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kagglekit.competitions import fake, table, template
from kagglekit.competitions.data import Data
from kagglekit.competitions.profile import Profile
from kagglekit.competitions.sample import write_sample
from kagglekit.errors import DataError
from kagglekit.rehearsal import twins
from kagglekit.rle import RLE

_HELD_OUT = 5  # one labelled image, or group of images, in so many plays the test
_VISIBLE = 5  # one held-out image in so many is in the visible test; the others are hidden
_PACKED = {".zip", ".tar", ".gz", ".7z"}  # a download left lying beside what came out of it


@dataclass(frozen=True)
class Test:
    """One test: a competition tree and the truth of its test images.

    Attributes:
        name: "visible" or "hidden".
        tree: the folder to mount as the competition.
        truth: per test image, its true masks: one per row of the submission.
        twins: two ids of the same picture, whose answers must be the same; empty without such.
        flat: whether the tree is mounted as /kaggle/input/<slug>, as in older sessions, and not as
            /kaggle/input/competitions/<slug>.
    """

    __test__ = False  # not a pytest class

    name: str
    tree: Path
    truth: dict[str, list[RLE]]
    twins: tuple[str, ...] = ()
    flat: bool = False

    def mount(self, comp: Profile) -> str:
        """Return where the tree is mounted, below /kaggle/input."""
        return comp.slug if self.flat else f"competitions/{comp.slug}"


def from_fake(comp: Profile, folder: Path, seed: int = 0) -> tuple[Test, Test]:
    """Make up both tests: other ids, sizes and counts in the hidden one.

    Args:
        comp: the competition.
        folder: where to write the two trees.
        seed: the same seed gives the same trees.

    Returns:
        The visible and the hidden test; in the hidden one a picture occurs twice.
    """
    made: list[Test] = []
    for name, number, count in (("visible", 2 * seed, 1), ("hidden", 2 * seed + 1, 2)):
        truth = fake.make(comp, folder / name, seed=number, test=count)
        pair = twins.plant(comp, folder / name, truth) if made else ()
        made.append(Test(name, folder / name, truth, pair))
    return made[0], made[1]


def from_data(data: Data, folder: Path, *, links: bool = True) -> tuple[Test, Test]:
    """Let every fifth labelled image, or group of images, play the test.

    Args:
        data: a competition's real folder, with labelled train images.
        folder: where to write the two trees.
        links: hard-link files where the file system allows it. A link is the original itself, so
            say False where what is given to the notebook is not mounted read-only.

    Returns:
        The visible and the hidden test; no image is in both, or in the train part of either.

    Raises:
        DataError: too few labelled images to hold some out, or the truth of one cannot be read.
    """
    units = _units(data)
    held = [image for unit in units[::_HELD_OUT] for image in unit]
    train = [image for n, unit in enumerate(units) if n % _HELD_OUT for image in unit]
    if len(held) < 2 or not train:
        raise DataError(
            f"{len(held) + len(train)} labelled images are too few to rehearse on",
            hint=f"one image in {_HELD_OUT}, or group of images that belong together, plays the "
            "test, and a visible and a hidden test need one image each",
        )
    step = min(_VISIBLE, len(held))
    visible_ids = held[::step]
    hidden_ids = [image for n, image in enumerate(held) if n % step]
    made: list[Test] = []
    for name, ids in (("visible", visible_ids), ("hidden", hidden_ids)):
        _write_tree(data, folder / name, train, ids, _link if links else _copy)
        made.append(Test(name, folder / name, {image: data.truth(image) for image in ids}))
    return made[0], made[1]


def _units(data: Data) -> list[list[str]]:
    """Return the labelled images as units that must not be split: by group, else one by one."""
    images = list(data.train_images())
    groups = data.profile.groups
    lost = groups and groups.path and not (data.root / groups.path).is_file()
    if groups is None or groups.split or lost:
        return [[image] for image in images]
    group_of = data.groups()
    units: dict[str, list[str]] = {}
    for image in images:
        units.setdefault(group_of.get(image, image), []).append(image)
    return list(units.values())


def _write_tree(
    data: Data,
    out: Path,
    train: Sequence[str],
    test: Sequence[str],
    place: Callable[[Path, Path], None],
) -> None:
    """Write a tree of the same form with these train and test images."""
    images, labels = data.train_images(), data.train_rules
    links = {images[image].relative_to(data.root).as_posix(): images[image] for image in train}
    links |= {data.as_test(images[image]): images[image] for image in test}
    for image in train:
        links |= {path.relative_to(data.root).as_posix(): path for path in data.mask_files(image)}
    outlines = data.profile.tree.train_polygons
    written = {labels.path, data.rules.sample, outlines}
    for path in data.root.iterdir():
        if path.is_file() and path.name not in written and path.suffix not in _PACKED:
            links[path.name] = path
    for name, path in links.items():
        # Of an image's folder only the layers: beside them may lie its mask.
        for file in data.layers(path).values() if path.is_dir() else [path]:
            target = out / name / file.name if path.is_dir() else out / name
            target.parent.mkdir(parents=True, exist_ok=True)
            place(file, target)
    write_sample(out, data.rules, {image: data.shape(images[image]) for image in test})
    if outlines and (data.root / outlines).is_file():
        lines, known = (data.root / outlines).read_text("utf-8").splitlines(keepends=True), {*train}
        known_lines = [line for line in lines if json.loads(line)["id"] in known]
        (out / outlines).write_text("".join(known_lines), "utf-8")
    if (data.root / labels.path).is_file():
        header, rows = table.read_table(data.root / labels.path)
        column, known = header.index(labels.id), set(train)
        keys = [template.match(labels.key, row[column]) if row else None for row in rows]
        kept = [row for row, key in zip(rows, keys, strict=True) if key and key["id"] in known]
        table.write_table(out / labels.path, header, kept)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system, or one without links
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
