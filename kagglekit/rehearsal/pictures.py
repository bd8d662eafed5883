"""Which predictions a report shows, drawn."""

from pathlib import Path

from kagglekit import instances, plots, slides, submission
from kagglekit.competitions.data import decode_texts
from kagglekit.competitions.profile import Profile
from kagglekit.rehearsal.stage import Test
from kagglekit.submission import Score

_SHOWN = 6


def draw(
    path: Path, comp: Profile, test: Test, score: Score, shown: int = _SHOWN
) -> list[tuple[str, bytes]]:
    """Draw the worst and the best images of a scored submission over their truth.

    Args:
        path: the submission.
        comp: the competition.
        test: the test it answers.
        score: what it scored.
        shown: how many images at most, half of them the worst.

    Returns:
        Captions and PNG files, worst first.
    """
    data = comp.find_data(test.tree)
    ranked = sorted(score.per_image, key=lambda image: score.per_image[image])
    if len(ranked) > shown:
        ranked = ranked[: shown // 2] + ranked[-(shown // 2) :]
    texts, paths = submission.read(path, comp), data.test_images()
    pictures = []
    for image in ranked:
        with slides.open_slide(paths[image]) as slide:
            found = instances.union(decode_texts(texts[image], slide.shape, comp), slide.shape)
            truth = instances.union(test.truth[image], slide.shape)
            caption = f"{image}: {score.per_image[image]:.3f}"
            pictures.append((caption, plots.as_png(plots.overlay(slide, found, truth))))
    return pictures
