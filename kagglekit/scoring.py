"""A submission's score as a table for the terminal, and its worst images as pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kagglekit import plots, submission
from kagglekit.competitions import Data, Profile
from kagglekit.competitions.data import decode_texts
from kagglekit.errors import DataError
from kagglekit.instances import union
from kagglekit.rle import RLE
from kagglekit.submission import Score
from kagglekit.thumbnails import thumbnail

WORST = 10
LEGEND = "green: predicted and true, vermilion: predicted only, blue: true only"

Truth = Mapping[str, Sequence[RLE]]


def find_truth(source: Path, comp: Profile, tree: Path | None = None) -> tuple[Data, Truth]:
    """Read what really is in the images that a submission is about.

    Args:
        source: either a CSV file in the form of a submission, the answer to a test; or a
            competition's folder, whose train images then are the test.
        comp: the competition.
        tree: the folder with the test images, where the answer is a file; without it, wherever
            Kaggle has mounted it.

    Returns:
        The folder, with the images in question as its test images, and their masks by id.

    Raises:
        DataError: a folder or file is missing or not what the profile says.
        SubmissionError: the answer is not one to this test.
    """
    if source.is_dir():
        if tree is not None:
            raise DataError(
                f"`{source}` is a folder: its own train images are scored, not those of `{tree}`",
                hint="leave out --data, or give the answer to that test as a CSV file",
            )
        data = comp.find_data(source)
        tested = replace(comp.tree, test_images=comp.tree.train_images)
        data = Data(data.root, replace(comp, tree=tested))
        return data, {image_id: data.truth(image_id) for image_id in data.train_images()}
    if not source.is_file():
        raise DataError(
            f"there is no answer `{source}`",
            hint="give a CSV file in the form of a submission, or a folder with labelled images",
        )
    data = comp.find_data(tree)
    return data, submission.read_truth(source, comp, data)


def table(score: Score) -> str:
    """Return the score, its parts and the worst images, a line each."""
    count = f"{len(score.per_image)} image" + ("s" if len(score.per_image) > 1 else "")
    lines = [f"score {score.value:.4f} ({score.metric.replace('_', ' ')}, {count})"]
    lines += [
        f"  by another reading, {name}: {value:.4f}" for name, value in score.readings.items()
    ]
    worst = {image: score.per_image[image] for image in _worst(score)}
    for title, parts in (
        ("class", score.per_class),
        ("group", score.per_group),
        ("worst images", worst),
    ):
        if parts:
            width = max(map(len, [title, *parts]))
            lines += ["", f"{title:<{width}}  score"]
            lines += [f"{name:<{width}}  {value:.4f}" for name, value in parts.items()]
    return "\n".join(lines)


def draw_worst(path: Path, data: Data, truth: Truth, score: Score, out: Path) -> list[Path]:
    """Draw the worst images of a submission with prediction and truth.

    Args:
        path: the submission.
        data: the folder with the test images.
        truth: their masks, by id.
        score: what the submission scored.
        out: folder for the pictures; it is made.

    Returns:
        The PNG files, worst first: `<rank>-<score>-<id>.png`.

    Raises:
        SlideError: an image cannot be opened.
    """
    texts, images = submission.read(path, data.profile), data.test_images()
    out.mkdir(parents=True, exist_ok=True)
    drawn = []
    for rank, image_id in enumerate(_worst(score), 1):
        shape = data.shape(images[image_id])
        picture, scale = thumbnail(data, images[image_id])
        masks = (decode_texts(texts[image_id], shape, data.profile), truth[image_id])
        found, true = (plots.sampled(union(each, shape), scale) for each in masks)
        drawing = plots.as_png(plots.differences(picture, [found], [true]))
        name = f"{rank:02}-{score.per_image[image_id]:.4f}-{image_id.replace('/', '_')}.png"
        (out / name).write_bytes(drawing)
        drawn.append(out / name)
    return drawn


def _worst(score: Score) -> list[str]:
    return sorted(score.per_image, key=lambda image_id: score.per_image[image_id])[:WORST]
