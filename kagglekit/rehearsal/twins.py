"""The same picture twice in a hidden test: whose answers differ, answers by more than the picture.

A mask that was not cleared between two images, a threshold taken over all of them, a list that is
one place off: all of these score well on the one image of a visible test.
"""

import os
import shutil
from pathlib import Path

from kagglekit.competitions import template
from kagglekit.competitions.profile import Profile
from kagglekit.rle import RLE

# In these the images are slices of one body, and what lies beside a slice belongs to the question.
_VOLUMES = ("dice_and_hausdorff", "surface_dice", "f_beta")


def plant(comp: Profile, tree: Path, truth: dict[str, list[RLE]]) -> tuple[str, ...]:
    """Give the first test image of a tree a twin, which comes after all others.

    Args:
        comp: the competition.
        tree: its folder; the twin's files and table rows are added.
        truth: of the test images, by id; the twin's is added.

    Returns:
        The two ids; empty where a twin would say nothing or is not possible: in a volume, where an
        image is a folder or its id has parts, and with fewer than two images.
    """
    ids = sorted(truth)
    twin = _next(ids[-1]) if ids else ""
    single = comp.metric.name not in _VOLUMES and comp.tree.id == "{id}"
    if not single or len(ids) < 2 or not twin or twin in truth:
        return ()
    first = ids[0]
    image = tree / template.fill(comp.tree.test_images, id=first)
    if not image.is_file():
        return ()
    copy = tree / template.fill(comp.tree.test_images, id=twin)
    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(image, copy)
    except OSError:  # another file system, or one without links
        shutil.copyfile(image, copy)
    for table in tree.rglob("*.csv"):
        text = table.read_text(encoding="utf-8")
        rows = [line for line in text.splitlines(keepends=True) if first in line]
        if rows:
            twins = "".join(row.replace(first, twin) for row in rows)
            # Another file: a table may be a hard link to the original.
            table.unlink()
            table.write_text(text + ("" if text.endswith("\n") else "\n") + twins, encoding="utf-8")
    truth[twin] = truth[first]
    return first, twin


def _next(image_id: str) -> str:
    """Return an id of the same form that sorts after this one, "" if there is none.

    Example:
        >>> _next("e79de561c"), _next("case12_slice_0009"), _next("ff")
        ('e79de561d', 'case12_slice_0019', '')
    """
    for place in reversed(range(len(image_id))):
        if image_id[place] in "012345678abcde":
            return image_id[:place] + chr(ord(image_id[place]) + 1) + image_id[place + 1 :]
    return ""
