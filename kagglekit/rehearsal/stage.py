"""The two competition trees of a rehearsal, and the truth of their tests.

The visible test is what a notebook sees when it is saved; the hidden test, with other images, is
what it meets when it is submitted. Both come from made-up images, or from a real competition's
labelled ones: some of those play the test, and their labels are kept out of the tree.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kagglekit.competitions import fake, table, template
from kagglekit.competitions.data import Data
from kagglekit.competitions.profile import Profile
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


def from_data(comp: Profile, data: Data, folder: Path, *, links: bool = True) -> tuple[Test, Test]:
    """Let every fifth labelled image, or group of images, play the test.

    Args:
        comp: the competition.
        data: its real folder, with labelled train images.
        folder: where to write the two trees.
        links: hard-link files where the file system allows it. A link is the original itself, so
            say False where what is given to the notebook is not mounted read-only.

    Returns:
        The visible and the hidden test; no image is in both, or in the train part of either.

    Raises:
        DataError: too few labelled images to hold some out, or the truth of one cannot be read.
    """
    units = _units(data)
    held_units = units[::_HELD_OUT]
    held = [image for unit in held_units for image in unit]
    train = [image for unit in units if unit not in held_units for image in unit]
    if len(held) < 2 or not train:
        raise DataError(
            f"{len(held) + len(train)} labelled images are too few to rehearse on",
            hint=f"one image in {_HELD_OUT}, or group of images that belong together, plays the "
            "test, and a visible and a hidden test need one image each",
        )
    visible_ids = held[:: min(_VISIBLE, len(held))]
    hidden_ids = [image for image in held if image not in visible_ids]
    made: list[Test] = []
    for name, ids in (("visible", visible_ids), ("hidden", hidden_ids)):
        _write_tree(data, folder / name, train, ids, _link if links else _copy)
        made.append(Test(name, folder / name, {image: data.truth(image) for image in ids}))
    return made[0], made[1]


def _units(data: Data) -> list[list[str]]:
    """Return the labelled images as units that must not be split: by group, else one by one."""
    images = list(data.train_images())
    groups = data.profile.groups
    if groups is None or not (data.root / groups.path).is_file():
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
    layout, rules = data.profile.tree, data.profile.submission
    images = data.train_images()
    links = {template.fill(layout.train_images, id=image): images[image] for image in train}
    links |= {template.fill(layout.test_images, id=image): images[image] for image in test}
    if layout.train_masks:
        for image in train:
            for instance, path in template.find(data.root, layout.train_masks, id=image).items():
                links[template.fill(layout.train_masks, id=image, instance=instance)] = path
    written = {data.profile.train_table.path, rules.sample}
    for path in data.root.iterdir():
        if path.is_file() and path.name not in written and path.suffix not in _PACKED:
            links[path.name] = path
    for name, path in links.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        place(path, out / name)
    empty_rows = [(image, rules.empty) for image in test]
    table.write_table(out / rules.sample, (rules.id, rules.rle), empty_rows)
    labels = data.profile.train_table
    if (data.root / labels.path).is_file():
        header, rows = table.read_table(data.root / labels.path)
        column, known = header.index(labels.id), set(train)
        kept = [row for row in rows if row and row[column] in known]
        table.write_table(out / labels.path, header, kept)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system, or one without links
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
