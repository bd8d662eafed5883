"""`validate` refuses what the competition would; `score` gives its number."""

import gc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kagglekit import competitions, submission
from kagglekit.errors import DataError, SubmissionError
from kagglekit.rle import RLE
from tests.submission_kinds import SHAPE, box, make_test

HUBMAP = competitions.load("hubmap-kidney-segmentation")
BOWL = competitions.load("data-science-bowl-2018")
BOTH = pytest.mark.parametrize("comp", [HUBMAP, BOWL], ids=lambda comp: comp.slug)

A, B = box(2, 8, 3, 20), box(10, 15, 3, 9)


# validate


def check(tmp_path: Path, comp: competitions.Profile, rows: str) -> list[str]:
    data = make_test(tmp_path, comp, "a", "b")
    path = tmp_path / "s.csv"
    path.write_text(f"{comp.submission.id},{comp.submission.rle}\n{rows}")
    return submission.validate(path, comp, data)


def test_no_file(tmp_path: Path) -> None:
    data = make_test(tmp_path, HUBMAP, "a")
    assert submission.validate(tmp_path / "s.csv", HUBMAP, data) == [
        f"Submission CSV Not Found: there is no `{tmp_path / 's.csv'}`"
    ]


@pytest.mark.parametrize("collecting", [True, False])
def test_the_search_for_cycles_is_left_as_it_was(tmp_path: Path, collecting: bool) -> None:
    data = make_test(tmp_path, HUBMAP, "a")
    (gc.enable if collecting else gc.disable)()
    try:
        submission.validate(tmp_path / "missing.csv", HUBMAP, data)
        assert gc.isenabled() is collecting
    finally:
        gc.enable()


def test_header(tmp_path: Path) -> None:
    data = make_test(tmp_path, HUBMAP, "a")
    path = tmp_path / "s.csv"
    for text, columns in (
        ("id,encoding\na,\n", "['id', 'encoding']"),
        (",id,predicted\n0,a,\n", "['', 'id', 'predicted']"),
        ("", "[]"),
    ):
        path.write_text(text)
        assert submission.validate(path, HUBMAP, data) == [
            f"Submission Scoring Error: row 1: the columns are {columns}, "
            "expected ['id', 'predicted']"
        ]
    path.write_bytes(b"id,predicted\na,\xff\n")
    (problem,) = submission.validate(path, HUBMAP, data)
    assert problem.startswith(f"Submission Scoring Error: `{path}` cannot be read as CSV")


def test_every_problem_is_listed_at_once(tmp_path: Path) -> None:
    problems = check(tmp_path, HUBMAP, "a,1 2\na,\nc,1 1\nb\n")
    assert problems == [
        "Submission Scoring Error: row 3, `a`: a second row, the first is row 2",
        "Submission Scoring Error: row 4, `c`: no such test image",
        "Submission Scoring Error: row 5: 1 cells, expected 2",
        "Submission Scoring Error: `b`: no row",
    ]


@pytest.mark.parametrize(
    "text",
    ["1", "1 2 3", "0 3", "-1", "-", "5 0", "599 3", "1 5 3 5", "9 1 3 1", "1.0 3", "nan", "[1 2]"],
)
def test_texts_that_are_refused(tmp_path: Path, text: str) -> None:
    for comp in (HUBMAP, BOWL):
        (problem,) = check(tmp_path / comp.slug, comp, f'a,"{text}"\nb,1 1\n')
        assert problem.startswith("Submission Scoring Error: row 2, `a`: ")


def test_instances_that_overlap_and_an_empty_row_among_others(tmp_path: Path) -> None:
    problems = check(tmp_path, BOWL, "a,1 5\nb,\na,20 5\na,\na,4 2\n")
    assert problems == [
        "Submission Scoring Error: row 5, `a`: an empty row beside others",
        "Submission Scoring Error: row 6, `a`: overlaps the instance in row 2",
    ]


@pytest.mark.parametrize("order", ["F", "C"])
def test_masks_counted_in_the_other_direction(tmp_path: Path, order: str) -> None:
    mask = box(2, 18, 5, 25, order)
    problems = check(tmp_path, HUBMAP, f"a,{mask.to_text()}\nb,\n")
    assert problems == (
        []
        if order == "F"
        else [
            "Accepted, but with a score near zero: the masks are counted along the rows, "
            'expected down the columns (order="F"): '
            "0 strings have more pixels beside each other in order F, 1 in order C"
        ]
    )


@given(st.lists(st.booleans(), min_size=600, max_size=600), st.sampled_from("FC"))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_noise_is_not_taken_for_the_other_order(tmp_path: Path, pixels, order: str) -> None:
    mask = RLE.from_mask(np.array(pixels).reshape(SHAPE), order=order)
    assert check(tmp_path, HUBMAP, f"a,{mask.to_text()}\nb,\n") == []


MUTATIONS = {
    "a row less": lambda lines: lines[:-1],
    "a row twice": lambda lines: [*lines, lines[1]],
    "a row more": lambda lines: [*lines, "zzz,1 1"],
    "another id": lambda lines: [lines[0], "0" + lines[1], *lines[2:]],
    "a third cell": lambda lines: [lines[0], lines[1] + ",0.9", *lines[2:]],
    "0-based": lambda lines: [lines[0], "a,0 3", *lines[2:]],
    "past the end": lambda lines: [lines[0], "a,600 2", *lines[2:]],
    "a list": lambda lines: [lines[0], 'a,"[1, 2]"', *lines[2:]],
    "cut short": lambda lines: [*lines[:-1], lines[-1] + " 7"],
    "no header": lambda lines: lines[1:],
}


@BOTH
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_sound_file_passes_and_each_mutation_fails(tmp_path: Path, comp, name: str) -> None:
    lines = ["header", f"a,{A.to_text()}", f"b,{B.to_text()}"]
    header = f"{comp.submission.id},{comp.submission.rle}"
    data = make_test(tmp_path, comp, "a", "b")
    path = tmp_path / "s.csv"
    for changed, expected in ((lines, False), (MUTATIONS[name](lines), True)):
        path.write_text("\n".join(changed).replace("header", header) + "\n")
        assert bool(submission.validate(path, comp, data)) == expected


# score and truth


def test_score_of_unions(tmp_path: Path) -> None:
    data = make_test(tmp_path, HUBMAP, "a", "b", "c")
    path = tmp_path / "s.csv"
    truth = {"a": [A], "b": [B], "c": [RLE.empty(SHAPE)]}
    half = box(2, 8, 3, 20) & box(2, 5, 0, 30)
    with submission.Writer(HUBMAP, data, path) as writer:
        writer["a"], writer["b"] = half, []
    assert submission.score(path, HUBMAP, data, truth) == submission.Score(
        value=pytest.approx((2 / 3 + 0 + 1) / 3),
        metric="mean_dice",
        per_image={"a": 2 / 3, "b": 0.0, "c": 1.0},
        union_dice={"a": 2 / 3, "b": 0.0, "c": 1.0},
    )


def test_score_of_instances_and_dice_of_their_union(tmp_path: Path) -> None:
    data = make_test(tmp_path, BOWL, "a", "b")
    path = tmp_path / "s.csv"
    with submission.Writer(BOWL, data, path) as writer:
        writer["a"] = [A | B]  # two nuclei in one row: every pixel right, one instance of two
        writer["b"] = []
    score = submission.score(path, BOWL, data, {"a": [B, A], "b": []})
    # IoU of the union with A is 102 / 132 = 0.77: a match at six of ten thresholds.
    assert score.per_image == {"a": pytest.approx(0.6 * (1 / 2)), "b": 1.0}
    assert score.union_dice == {"a": 1.0, "b": 1.0}
    assert score.value == pytest.approx(0.65)
    assert score.metric == "instance_precision"


def test_score_refuses_what_validate_refuses(tmp_path: Path) -> None:
    data = make_test(tmp_path, HUBMAP, "a", "b")
    path = tmp_path / "s.csv"
    path.write_text("id,predicted\na,\n")
    with pytest.raises(SubmissionError) as caught:
        submission.score(path, HUBMAP, data, {"a": [A], "b": [B]})
    assert str(caught.value) == (
        f"`{path}` is not a valid submission\n  - Submission Scoring Error: `b`: no row"
    )
    path.write_text("id,predicted\na,\nb,\n")
    with pytest.raises(DataError, match=r"^no truth for some test images\n  - b$"):
        submission.score(path, HUBMAP, data, {"a": [A]})


@BOTH
def test_truth_round_trip(tmp_path: Path, comp: competitions.Profile) -> None:
    data = make_test(tmp_path, comp, "a", "b", "c")
    empty = [] if comp is BOWL else [RLE.empty(SHAPE)]
    truth = {"a": [A, B] if comp is BOWL else [A], "b": empty, "c": [B]}
    submission.write_truth(tmp_path / "truth.csv", comp, truth)
    assert submission.validate(tmp_path / "truth.csv", comp, data) == []
    assert submission.read_truth(tmp_path / "truth.csv", comp, data) == truth
    assert submission.score(tmp_path / "truth.csv", comp, data, truth).value == 1


def test_truth_of_another_test(tmp_path: Path) -> None:
    data = make_test(tmp_path, HUBMAP, "a", "b")
    (tmp_path / "truth.csv").write_text("id,predicted\na,700 1\nz,\n")
    with pytest.raises(SubmissionError) as caught:
        submission.read_truth(tmp_path / "truth.csv", HUBMAP, data)
    assert len(caught.value.problems) == 2
    assert caught.value.problems[0].startswith("`a`: ")
    assert caught.value.problems[1] == "`z`: no such test image"
