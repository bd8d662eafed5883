"""Verdicts: one clear cause for each way a notebook can fail, whole messages."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kagglekit import competitions, submission
from kagglekit.competitions import fake
from kagglekit.competitions.fake import bowl
from kagglekit.competitions.profile import Profile
from kagglekit.rehearsal.judge import Verdict, explain, judge
from kagglekit.rehearsal.stage import Test
from kagglekit.rle import RLE

BOWL = competitions.load("data-science-bowl-2018")
KIDNEY = competitions.load("hubmap-kidney-segmentation")
RAN = {"ok": True}
Tests = tuple[Test, Test]


def stage(comp: Profile, folder: Path, size: tuple[int, int] | None = None) -> Tests:
    """A visible test of one image and a hidden one of three."""
    truths = [
        fake.make(comp, folder / name, seed=seed, train=0, test=test, size=size)
        for seed, (name, test) in enumerate((("visible", 1), ("hidden", 3)))
    ]
    return (
        Test("visible", folder / "visible", truths[0]),
        Test("hidden", folder / "hidden", truths[1]),
    )


@pytest.fixture(scope="module")
def kidney(tmp_path_factory: pytest.TempPathFactory) -> Tests:
    return stage(KIDNEY, tmp_path_factory.mktemp("kidney"), (500, 800))


@pytest.fixture(scope="module")
def nuclei(tmp_path_factory: pytest.TempPathFactory) -> Tests:
    return stage(BOWL, tmp_path_factory.mktemp("bowl"), (90, 150))


def failed(name: str, message: str, line: str = "f()", cell: int = 2) -> dict[str, Any]:
    return {"ok": False, "cell": cell, "line": line, "name": name, "message": message}


def attempt(host: str, where: str) -> dict[str, str]:
    return {"host": host, "port": "443", "where": where}


def write(working: Path, comp: Profile, rows: Mapping[str, Sequence[str]]) -> None:
    with (working / "submission.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow([comp.submission.id, comp.submission.rle])
        table.writerows((image, text) for image, texts in rows.items() for text in texts or [""])


def texts(truth: Mapping[str, Sequence[RLE]], order: str = "F") -> dict[str, list[str]]:
    return {
        image: [mask.reorder(order).to_text() for mask in masks if mask.area]  # type: ignore[arg-type]
        for image, masks in truth.items()
    }


class TestExplain:
    def test_a_plain_error(self) -> None:
        assert explain(failed("ValueError", "odd")) == ("cell 2, `f()`: ValueError: odd", "")
        assert explain(failed("KeyboardInterrupt", "", line="", cell=1)) == (
            "cell 1: KeyboardInterrupt",
            "",
        )

    @pytest.mark.parametrize("name", ["ModuleNotFoundError", "ImportError"])
    def test_a_missing_module(self, name: str) -> None:
        line = "import monai.nets"
        assert explain(failed(name, "No module named 'monai'", line)) == (
            "cell 2, `import monai.nets`: `monai` is neither in the Kaggle image nor in the "
            "bundle, under this name",
            "add the package that provides `monai` to wheels/requirements.in and rebuild; what "
            "the image has under another name is not bundled again",
        )

    def test_a_part_that_a_package_lacks_is_no_missing_package(self) -> None:
        message = "No module named 'torch.later'"
        assert explain(failed("ModuleNotFoundError", message, "import torch.later")) == (
            "cell 2, `import torch.later`: ModuleNotFoundError: No module named 'torch.later'",
            "",
        )

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("URLError", "<urlopen error [Errno -3] Temporary failure in name resolution>"),
            ("gaierror", "[Errno -3]"),
            ("OSError", "We couldn't connect to the hub to load the files"),
            ("RuntimeError", "Failed to download the weights"),
            ("OSError", "[Errno 101] Network is unreachable"),
        ],
    )
    def test_the_network(self, name: str, message: str) -> None:
        attempts = [
            attempt("huggingface.co", "weights()"),
            attempt("huggingface.co", "weights()"),
            attempt("192.0.2.1", "pip install x"),
        ]
        assert explain(failed(name, message), attempts) == (
            f"cell 2, `f()`: {name}: {message}\n"
            "the notebook needs the network: it tried to reach huggingface.co (`weights()`), "
            "192.0.2.1 (`pip install x`)",
            "bundle what it downloads; the competition's rerun has no internet",
        )

    def test_a_time_out_of_the_notebook_s_own_is_not_the_network_s(self) -> None:
        assert explain(failed("TimeoutError", "a queue was empty"))[1] == ""

    def test_an_error_after_connections_that_may_have_nothing_to_do_with_it(self) -> None:
        attempts = [attempt(f"host{n}", "fetch()") for n in range(12)]
        cause, hint = explain(failed("KeyError", "'weights'"), attempts)
        named = ", ".join(f"host{n} (`fetch()`)" for n in range(10))
        assert cause == (
            f"cell 2, `f()`: KeyError: 'weights'\nbefore that it tried to reach {named}, and 2 more"
        )
        assert hint == (
            "if that is why: bundle what it downloads; the competition's rerun has no internet"
        )

    def test_a_hard_coded_id(self) -> None:
        outcome = failed("FileNotFoundError", "No such file: '/kaggle/input/x/test/2ec3f1bb9.tiff'")
        assert explain(outcome, (), {"2ec3f1bb9", "other"}) == (
            "cell 2, `f()`: FileNotFoundError: No such file: "
            "'/kaggle/input/x/test/2ec3f1bb9.tiff'\n"
            "id `2ec3f1bb9` is an image of the visible test and not of the hidden one: it is "
            "hard-coded",
            "take the ids from the test folder: Data.test_images()",
        )

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("FileNotFoundError", "[Errno 2] cannot find: '/kaggle/input/hubmap/train.csv'"),
            ("RasterioIOError", "/kaggle/input/hubmap/a.tiff: No such file or directory"),
        ],
    )
    def test_a_wrong_mount_path(self, name: str, message: str) -> None:
        assert explain(failed(name, message)) == (
            f"cell 2, `f()`: {name}: {message}",
            "Kaggle mounts inputs as /kaggle/input/competitions/<slug> and datasets/<owner>/<slug>,"
            " or flat as /kaggle/input/<slug>: use kagglekit.mounts.find_input",
        )

    def test_another_missing_file(self) -> None:
        assert explain(failed("FileNotFoundError", "'weights.pt'"))[1] == ""
        assert explain(failed("ValueError", "'/kaggle/input/x' has 3 columns"))[1] == ""


class TestRunsThatFailed:
    def test_an_exception(self, kidney: Tests, tmp_path: Path) -> None:
        outcome = failed("ValueError", "odd")
        assert judge(outcome, [], tmp_path, KIDNEY, kidney, hidden=False) == Verdict(
            False, "Notebook Threw Exception", "cell 2, `f()`: ValueError: odd"
        )

    def test_a_dead_kernel(self, kidney: Tests, tmp_path: Path) -> None:
        message = "the kernel died (out of memory, or a crash in native code)"
        outcome = failed("DeadKernelError", message, line="", cell=3)
        assert judge(outcome, [], tmp_path, KIDNEY, kidney, hidden=True) == Verdict(
            False, "Notebook Exceeded Allowed Compute", f"cell 3: DeadKernelError: {message}"
        )

    def test_only_the_hidden_run_can_meet_an_id_of_the_visible_test(
        self, kidney: Tests, tmp_path: Path
    ) -> None:
        image = next(iter(kidney[0].truth))
        outcome = failed("KeyError", f"'{image}'")
        seen = judge(outcome, [], tmp_path, KIDNEY, kidney, hidden=False)
        assert seen.cause == f"cell 2, `f()`: KeyError: '{image}'"
        unseen = judge(outcome, [], tmp_path, KIDNEY, kidney, hidden=True)
        assert unseen.cause.endswith(
            f"\nid `{image}` is an image of the visible test and not of the hidden one: it is "
            "hard-coded"
        )

    def test_an_id_of_both_tests_is_not_hard_coded(self, kidney: Tests, tmp_path: Path) -> None:
        visible, hidden = kidney
        image = next(iter(hidden.truth))
        both = Test("visible", visible.tree, {**visible.truth, image: []})
        outcome = failed("KeyError", f"'{image}'")
        verdict = judge(outcome, [], tmp_path, KIDNEY, (both, hidden), hidden=True)
        assert verdict.cause == f"cell 2, `f()`: KeyError: '{image}'"


class TestFilesThatAreRefused:
    @pytest.mark.parametrize(
        ("names", "told"),
        [
            ((), "nothing"),
            ((".hidden", "masks", "Submission.csv"), "Submission.csv, masks"),
            (
                [f"{n:02}.png" for n in range(12)],
                ", ".join(f"{n:02}.png" for n in range(10)) + ", and 2 more",
            ),
        ],
    )
    def test_no_file(self, names: Sequence[str], told: str, kidney: Tests, tmp_path: Path) -> None:
        for name in names:
            (tmp_path / name).touch()
        assert judge(RAN, [], tmp_path, KIDNEY, kidney, hidden=False) == Verdict(
            False,
            "Submission CSV Not Found",
            f"the notebook ended without writing /kaggle/working/submission.csv; it wrote {told}",
            "write it with submission.Writer",
        )

    def test_a_link_is_not_followed(self, kidney: Tests, tmp_path: Path) -> None:
        (tmp_path / "submission.csv").symlink_to("/tmp/sub.csv")
        assert judge(RAN, [], tmp_path, KIDNEY, kidney, hidden=False) == Verdict(
            False,
            "Submission CSV Not Found",
            "submission.csv is a link to `/tmp/sub.csv`: write the file itself",
        )

    def test_a_link_to_itself(self, kidney: Tests, tmp_path: Path) -> None:
        (tmp_path / "submission.csv").symlink_to("submission.csv")
        verdict = judge(RAN, [], tmp_path, KIDNEY, kidney, hidden=False)
        assert verdict.kaggle_says == "Submission CSV Not Found"

    def test_a_link_to_a_file_beside_it_is_one(self, kidney: Tests, tmp_path: Path) -> None:
        (tmp_path / "best.csv").touch()
        (tmp_path / "submission.csv").symlink_to("best.csv")
        verdict = judge(RAN, [], tmp_path, KIDNEY, kidney, hidden=False)
        assert verdict.kaggle_says == "Submission Scoring Error"

    def test_a_folder_of_that_name(self, kidney: Tests, tmp_path: Path) -> None:
        (tmp_path / "submission.csv").mkdir()
        cause = judge(RAN, [], tmp_path, KIDNEY, kidney, hidden=False).cause
        assert cause.endswith("it wrote submission.csv/")

    @pytest.mark.parametrize(
        ("ended", "warnings"),
        [
            (2, ("cell 2 of 3 ended the notebook with sys.exit: the cells after it did not run",)),
            (3, ()),
        ],
    )
    def test_a_notebook_that_ends_itself(
        self, ended: int, warnings: tuple[str, ...], kidney: Tests, tmp_path: Path
    ) -> None:
        outcome = {"ok": True, "cells": 3, "ended": ended}
        assert judge(outcome, [], tmp_path, KIDNEY, kidney, hidden=False).warnings == warnings

    @pytest.mark.parametrize("hidden", [False, True])
    def test_rows(self, hidden: bool, kidney: Tests, tmp_path: Path) -> None:
        images = sorted(kidney[hidden].truth)
        rows = {image: ["1 2"] for image in images}
        rows[images[0]] = ["0 5"]
        rows["what"] = ["1 1"]
        write(tmp_path, KIDNEY, rows)
        attempts = [attempt("wandb.ai", "init()")]
        verdict = judge(RAN, attempts, tmp_path, KIDNEY, kidney, hidden)
        problems = submission.validate(
            tmp_path / "submission.csv", KIDNEY, KIDNEY.find_data(kidney[hidden].tree)
        )
        assert len(problems) == 2
        assert verdict == Verdict(
            False,
            "Submission Scoring Error",
            "\n".join(problem.partition(": ")[2] for problem in problems),
            "",
            None,
            (
                "`init()` tried to reach wandb.ai; it went on without, but on Kaggle it may wait "
                "for a time-out first",
            ),
        )
        assert verdict.cause.endswith(f"\nrow {len(images) + 2}, `what`: no such test image")

    def test_many_rows(self, kidney: Tests, tmp_path: Path) -> None:
        write(tmp_path, KIDNEY, {f"{n:02}": [] for n in range(20)})
        verdict = judge(RAN, [], tmp_path, KIDNEY, kidney, hidden=False)
        lines = verdict.cause.splitlines()
        assert lines[0] == "row 2, `00`: no such test image"
        assert lines[10:] == ["and 11 more"]

    def test_hard_coded_ids(self, nuclei: Tests, tmp_path: Path) -> None:
        write(tmp_path, BOWL, texts(nuclei[0].truth))
        assert judge(RAN, [], tmp_path, BOWL, nuclei, hidden=False).passed
        image = next(iter(nuclei[0].truth))
        assert judge(RAN, [], tmp_path, BOWL, nuclei, hidden=True) == Verdict(
            False,
            "Submission Scoring Error",
            f"there are rows of 1 image of the visible test, e.g. id `{image}`, which the hidden "
            "test, with 3 other images, does not have: the ids are hard-coded",
            "take the ids from the test folder: Data.test_images()",
        )

    def test_a_file_that_is_no_table(self, kidney: Tests, tmp_path: Path) -> None:
        (tmp_path / "submission.csv").write_text("id;mask\n")
        verdict = judge(RAN, [], tmp_path, KIDNEY, kidney, hidden=True)
        assert (verdict.kaggle_says, verdict.cause) == (
            "Submission Scoring Error",
            "row 1: the columns are ['id;mask'], expected ['id', 'predicted']",
        )


class TestTheOrder:
    def test_on_slides_both_checks_lead_to_one_verdict(self, kidney: Tests, tmp_path: Path) -> None:
        write(tmp_path, KIDNEY, texts(kidney[1].truth, "C"))
        data = KIDNEY.find_data(kidney[1].tree)
        problems = submission.validate(tmp_path / "submission.csv", KIDNEY, data)
        assert len(problems) == 1  # seen without the truth too
        verdict = judge(RAN, [], tmp_path, KIDNEY, kidney, hidden=True)
        wrong = [
            _dice(RLE.from_text(mask.reorder("C").to_text(), mask.shape), mask)
            for masks in kidney[1].truth.values()
            for mask in masks
        ]
        assert verdict == Verdict(
            False,
            "scored, but far below what was predicted",
            "the runs were counted in the wrong order: read along the rows (order 'C') they reach "
            "a Dice of 1.000, read down the columns (order 'F'), as this competition does, only "
            f"{np.mean(wrong):.3f}",
            'encode with order="F"',
            verdict.score,
        )
        assert verdict.score
        assert verdict.score.value == pytest.approx(np.mean(wrong))

    def test_where_the_truth_cannot_tell_the_shape_of_the_masks_does(
        self, kidney: Tests, tmp_path: Path
    ) -> None:
        """A weak model: objects, but in the wrong places."""
        elsewhere = {
            image: [mask.flip(0).flip(1) - mask for mask in masks]
            for image, masks in kidney[1].truth.items()
        }
        write(tmp_path, KIDNEY, texts(elsewhere, "C"))
        verdict = judge(RAN, [], tmp_path, KIDNEY, kidney, hidden=True)
        assert verdict == Verdict(
            False,
            "scored, but far below what was predicted",
            'the masks are counted along the rows, expected down the columns (order="F"): '
            "0 strings have more pixels beside each other in order F, 3 in order C",
            'encode with order="F"',
            verdict.score,
        )

    def test_on_square_images_only_the_truth_can_tell(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bowl, "SIZES", ((128, 128),))
        monkeypatch.setattr(bowl, "SHARES", (1.0,))
        tests = stage(BOWL, tmp_path / "trees")
        write(tmp_path, BOWL, texts(tests[1].truth, "C"))
        data = BOWL.find_data(tests[1].tree)
        assert submission.validate(tmp_path / "submission.csv", BOWL, data) == []
        verdict = judge(RAN, [], tmp_path, BOWL, tests, hidden=True)
        assert not verdict.passed
        assert verdict.cause.startswith(
            "the runs were counted in the wrong order: read along the rows (order 'C') they reach "
            "a Dice of 1.000, read down the columns (order 'F'), as this competition does, only 0."
        )
        assert verdict.score
        assert verdict.score.value < 0.2

    def test_a_bad_model_is_no_wrong_order(self, kidney: Tests, tmp_path: Path) -> None:
        for change in (lambda mask: mask.flip(1), lambda mask: ~mask):
            masks = {image: [change(m) for m in ms] for image, ms in kidney[1].truth.items()}
            write(tmp_path, KIDNEY, texts(masks))
            verdict = judge(RAN, [], tmp_path, KIDNEY, kidney, hidden=True)
            assert verdict.passed, verdict.cause


class TestRunsThatPass:
    @pytest.mark.parametrize(("name", "comp"), [("kidney", KIDNEY), ("nuclei", BOWL)])
    def test_the_truth(
        self, name: str, comp: Profile, tmp_path: Path, request: pytest.FixtureRequest
    ) -> None:
        tests: Tests = request.getfixturevalue(name)
        for hidden, test in enumerate(tests):
            submission.write_truth(tmp_path / "submission.csv", comp, test.truth)
            verdict = judge(RAN, [], tmp_path, comp, tests, bool(hidden))
            assert verdict.score
            assert verdict.score.value == 1.0
            assert set(verdict.score.per_image) == set(test.truth)
            assert verdict == Verdict(True, "Succeeded", score=verdict.score)

    def test_no_better_than_nothing(self, kidney: Tests, tmp_path: Path) -> None:
        write(tmp_path, KIDNEY, {image: ["1 1"] for image in kidney[0].truth})
        verdict = judge(RAN, [attempt("a.b", "g()")], tmp_path, KIDNEY, kidney, hidden=False)
        assert verdict.passed
        assert verdict.warnings == (
            "`g()` tried to reach a.b; it went on without, but on Kaggle it may wait for a "
            "time-out first",
            "an all-empty submission scores 0.0000 here, no less than this one",
        )


def _dice(one: RLE, other: RLE) -> float:
    a, b = one.to_mask().astype(bool), other.to_mask().astype(bool)
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))
