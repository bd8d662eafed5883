"""Which predictions a report shows, drawn: the image, what was predicted, what is true."""

from collections.abc import Sequence
from pathlib import Path

from kagglekit import plots, submission
from kagglekit.competitions.data import Data, decode_texts
from kagglekit.competitions.profile import Profile
from kagglekit.instances import union
from kagglekit.rehearsal.report import Picture
from kagglekit.rehearsal.stage import Test
from kagglekit.rle import RLE
from kagglekit.submission import Score
from kagglekit.thumbnails import thumbnail

_SHOWN = 6
_WIDE = 2.5  # times as wide as high
_SIDE = 480  # pixels of a panel's longer side


def draw(path: Path, comp: Profile, test: Test, score: Score, shown: int = _SHOWN) -> list[Picture]:
    """Draw the worst and the best images of a scored submission beside their truth.

    Args:
        path: the submission.
        comp: the competition.
        test: the test it answers.
        score: what it scored.
        shown: how many images at most, half of them the worst.

    Returns:
        One for each image, worst first.
    """
    data = comp.find_data(test.tree)
    ranked = sorted(score.per_image, key=lambda image: score.per_image[image])
    if len(ranked) > shown:
        ranked = ranked[: shown // 2] + ranked[-(shown // 2) :]
    texts, paths = submission.read(path, comp), data.test_images()
    pictures = []
    for image in ranked:
        shape = data.shape(paths[image])
        found = decode_texts(texts[image], shape, comp)
        panels = _panels(data, paths[image], found, test.truth[image])
        wide = shape[1] > _WIDE * shape[0]
        pictures.append(Picture(image, score.per_image[image], panels, wide))
    return pictures


def _panels(data: Data, path: Path, found: Sequence[RLE], truth: Sequence[RLE]) -> dict[str, bytes]:
    """Return the files of one image by what they show: JPEG of photographs, PNG of masks."""
    picture, scale = thumbnail(data, path, _SIDE)
    shape = (picture.shape[0], picture.shape[1])
    kinds = [list(found), list(truth)]
    if data.rules.rows != "classes":  # of one kind, however many objects
        kinds = [[union(masks, data.shape(path))] for masks in kinds]
    seen = [[plots.sampled(mask, scale) for mask in masks] for masks in (found, truth)]
    sides = [[plots.sampled(mask, scale) for mask in masks] for masks in kinds]
    return {
        "image": plots.as_jpeg(picture),
        "prediction": plots.as_png(plots.in_colours(seen[0], shape)),
        "truth": plots.as_png(plots.in_colours(seen[1], shape)),
        "differences": plots.as_jpeg(plots.differences(picture, *sides)),
    }
