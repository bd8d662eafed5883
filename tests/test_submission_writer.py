"""The file is valid at every moment, whatever ends the run, and the next run goes on."""

import base64
import os
import zlib
from pathlib import Path

import pytest

from kagglekit import competitions, instances, submission
from kagglekit.errors import DataError, RLEError, SubmissionError
from kagglekit.rle import RLE
from kagglekit.submission import writer as module
from kagglekit.submission.texts import empty_texts, to_texts
from tests.holding import holding
from tests.submission_kinds import KINDS, SHAPE, box, make_test, some_masks

HUBMAP = competitions.load("hubmap-kidney-segmentation")
BOWL = competitions.load("data-science-bowl-2018")
BOTH = pytest.mark.parametrize("comp", [HUBMAP, BOWL], ids=lambda comp: comp.slug)

A, B = box(2, 8, 3, 20), box(10, 15, 3, 9)


@BOTH
def test_a_valid_empty_file_exists_from_the_first_moment(tmp_path: Path, comp) -> None:
    data = make_test(tmp_path, comp, "b", "00123", "a")
    out = tmp_path / "s.csv"
    with submission.Writer(comp, data, out):
        header = f"{comp.submission.id},{comp.submission.rle}\n"
        assert out.read_text() == header + "00123,\na,\nb,\n"
        assert submission.validate(out, comp, data) == []


def test_the_file_follows_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = [0.0]
    monkeypatch.setattr(module, "monotonic", lambda: seconds[0])
    data = make_test(tmp_path, HUBMAP, "a", "b", "c")
    out = tmp_path / "s.csv"
    with submission.Writer(HUBMAP, data, out) as writer:
        todo = writer.todo()
        image_id, path = next(todo)
        assert (image_id, path) == ("a", tmp_path / "test/a.tiff")
        writer["a"] = A
        assert submission.read(out, HUBMAP) == {"a": [], "b": [], "c": []}, (
            "not within five seconds"
        )
        seconds[0] = 5.0
        assert [image_id for image_id, _ in todo] == ["b", "c"]
        writer["b"] = RLE.empty(SHAPE)
        assert submission.read(out, HUBMAP) == {"a": [A.to_text()], "b": [], "c": []}
        writer["c"] = B
        assert submission.validate(out, HUBMAP, data) == []
    assert submission.read(out, HUBMAP) == {"a": [A.to_text()], "b": [], "c": [B.to_text()]}
    names = sorted(path.name for path in tmp_path.iterdir() if path.is_file())
    assert names == ["s.csv"], "neither journal nor temporary file stays behind"


def test_a_second_process_may_not_write_the_same_file(tmp_path: Path) -> None:
    data, out = make_test(tmp_path, HUBMAP, "a"), tmp_path / "s.csv"
    with holding(tmp_path / ".s.csv.lock"):
        with pytest.raises(SubmissionError) as raised, submission.Writer(HUBMAP, data, out):
            raise AssertionError
        assert str(raised.value) == (
            f"another process, or another `Writer` in this one, is writing `{out}`"
            "\nhint: of several ranks let one write, with what `inference.collect` brings it"
        )
        assert not out.exists()
    with submission.Writer(HUBMAP, data, out) as writer:  # that process was killed
        writer["a"] = A
    assert not (tmp_path / ".s.csv.lock").exists()


def test_nor_may_a_second_writer_of_this_process(tmp_path: Path) -> None:
    data, out = make_test(tmp_path, HUBMAP, "a"), tmp_path / "s.csv"
    with submission.Writer(HUBMAP, data, out) as writer:
        with (
            pytest.raises(SubmissionError, match="another `Writer` in this one"),
            submission.Writer(HUBMAP, data, out),
        ):
            raise AssertionError
        writer["a"] = A
    assert submission.read(out, HUBMAP) == {"a": [A.to_text()]}


def test_a_file_that_takes_long_is_replaced_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [f"{number:04}" for number in range(1000)]
    data = make_test(tmp_path, HUBMAP, "a")
    images = dict.fromkeys(ids, tmp_path / "test/a.tiff")
    monkeypatch.setattr(type(data), "test_images", lambda self: images)
    seconds, writes = [0.0], []

    def write_rows(path, *rest) -> None:
        seconds[0] += 3.0
        writes.append(path)

    monkeypatch.setattr(module, "monotonic", lambda: seconds[0])
    monkeypatch.setattr(module, "write_rows", write_rows)
    with submission.Writer(HUBMAP, data, tmp_path / "s.csv") as writer:
        for image_id, _ in writer.todo():
            seconds[0] += 1.0
            writer[image_id] = A
    # One on entering, one on leaving, and one a minute between them, which is twenty times three seconds.
    assert len(writes) == 1 + 1000 // 60 + 1


def test_rows_stand_as_in_the_sample_where_it_knows_them(tmp_path: Path) -> None:
    comp = KINDS["class in the key"]
    (tmp_path / comp.submission.sample).write_text(
        "id,predicted\nb_1,\nb_2,\ngone_1,\ngone_2,\na_1,\na_2,\n"
    )
    data = make_test(tmp_path, comp, "a", "b", "c")
    with submission.Writer(comp, data, tmp_path / "s.csv") as writer:
        assert [image_id for image_id, _ in writer.todo()] == ["b", "a", "c"]
    keys = [line.split(",")[0] for line in (tmp_path / "s.csv").read_text().splitlines()]
    assert keys == ["id", "b_1", "b_2", "a_1", "a_2", "c_1", "c_2"]


SMALL = (3, 4)
ROWS = {
    "one row": "id,predicted\na,2 2\nb,\n",
    "along the rows": 'img,rle_mask\na,"5 1 9 1"\nb,\n'.replace('"', ""),
    "a sign for nothing": "record_id,encoded_pixels\na,2 2\nb,-\n",
    "an empty run for nothing": "id,rle\na,5 1 9 1\nb,1 0\n",
    "class in the key": "id,predicted\na_1,2 2\na_2,\nb_1,\nb_2,\n",
    "class in a column": "id,class,predicted\na,bowel,5 1 9 1\na,stomach,\nb,bowel,\nb,stomach,\n",
    "instances": "ImageId,EncodedPixels\na,2 2\na,7 1\nb,\n",
    # COCO's counts of the two masks: 1 2 9 and 6 1 5, as one character each (from "0" on).
    "predictions": "id,height,width,prediction_string\na,3,4,0 1 {129} 0 0.25 {615}\nb,3,4,\n",
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_rows(tmp_path: Path, name: str) -> None:
    comp = KINDS[name]
    data = make_test(tmp_path, comp, "a", "b", shapes=[SMALL] * 2)
    first, second = box(1, 3, 0, 1, shape=SMALL), box(0, 1, 2, 3, shape=SMALL)
    masks = {"classes": [first, RLE.empty(SMALL)], "one": first.reorder("C")}.get(
        comp.submission.rows
    )
    if name == "instances":
        masks = [first, RLE.empty(SMALL), second]
    elif name == "predictions":
        masks = [first, (second, 0.25)]
    with submission.Writer(comp, data, tmp_path / "s.csv") as writer:
        assert submission.validate(writer.path, comp, data) == [], "all empty"
        writer["a"] = masks
    wanted = ROWS[name]
    for counts in ("129", "615"):
        packed = base64.b64encode(zlib.compress(counts.encode(), 9)).decode()
        wanted = wanted.replace(f"{{{counts}}}", packed)
    assert writer.path.read_text() == wanted
    assert submission.validate(writer.path, comp, data) == []


@pytest.mark.parametrize("name", KINDS)
def test_what_is_written_is_read_again(tmp_path: Path, name: str) -> None:
    comp = KINDS[name]
    data = make_test(tmp_path, comp, "a", "b")
    truth = {"a": some_masks(comp), "b": some_masks(comp)[::-1]}
    with submission.Writer(comp, data, tmp_path / "s.csv") as writer:
        for image_id, _ in writer.todo():
            writer[image_id] = truth[image_id]
    assert submission.read_truth(tmp_path / "s.csv", comp, data) == truth
    submission.write_truth(tmp_path / "truth.csv", comp, truth, data)
    assert (tmp_path / "truth.csv").read_text() == (tmp_path / "s.csv").read_text()


def test_masks_that_do_not_fit_the_kind_of_rows(tmp_path: Path) -> None:
    comp = KINDS["class in the key"]
    with submission.Writer(
        comp, make_test(tmp_path / "1", comp, "a"), tmp_path / "1.csv"
    ) as writer:
        with pytest.raises(SubmissionError) as caught:
            writer["a"] = A
        assert str(caught.value) == (
            "`a`: 1 masks for 2 classes (1, 2)\n"
            "hint: give one for each, in this order; RLE.empty(shape) where there is nothing"
        )
    comp = KINDS["predictions"]
    with submission.Writer(
        comp, make_test(tmp_path / "2", comp, "a"), tmp_path / "2.csv"
    ) as writer:
        with pytest.raises(
            SubmissionError, match=r"^`a`: a confidence is 1.5: expected a number from 0 to 1$"
        ):
            writer["a"] = [(A, 1.5)]
        with pytest.raises(
            SubmissionError, match=r"^`a`: a confidence is None: expected a number from 0 to 1$"
        ):
            writer["a"] = [(A, None)]
        with pytest.raises(SubmissionError) as caught:
            writer["a"] = (A, 0.5)
        assert str(caught.value) == (
            "`a`: expected an RLE or a list of them, got float\n"
            "hint: encode a mask first: RLE.from_mask(mask); confidences come in pairs: "
            "[(mask, 0.9), ...]"
        )
        with pytest.raises(
            SubmissionError, match=r"^`a`: expected an RLE or a list of them, got ndarray\n"
        ):
            writer["a"] = [(A.to_mask(), 0.5)]
        with pytest.raises(
            SubmissionError, match=r"^`a`: expected an RLE or a list of them, got NoneType\n"
        ):
            writer["a"] = None  # type: ignore[assignment]


# Images that fail


def damage(data: competitions.Data, *ids: str) -> None:
    for image_id in ids:
        data.test_images()[image_id].write_bytes(b"II*")


def test_of_twenty_images_three_are_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [f"{number:02}" for number in range(20)]
    data = make_test(tmp_path, HUBMAP, *ids)
    damage(data, "03", "11", "19")
    with submission.Writer(HUBMAP, data, tmp_path / "s.csv") as writer:
        assert sum(writer.pixels().values()) == 17 * 20 * 30
        for image_id, _ in writer.todo():
            with writer.attempt(image_id):
                writer[image_id] = A
    wanted = {image_id: [] if image_id in ("03", "11", "19") else [A.to_text()] for image_id in ids}
    assert submission.read(writer.path, HUBMAP) == wanted
    assert submission.validate(writer.path, HUBMAP, data) == []
    where = tmp_path / "test/03.tiff"
    reason = f"DataError: `{where}` cannot be opened as an image: "
    assert list(writer.failed) == ["03", "11", "19"]
    assert writer.failed["03"].startswith(reason)
    *_, count, failed, first, second, third = capsys.readouterr().out.splitlines()
    assert [count, failed] == ["s.csv: masks for 17 of 20 images", "3 failed, see s.csv.log:"]
    assert first == f"  `03`: {writer.failed['03']}"
    assert (second[:6], third[:6]) == ("  `11`", "  `19`")
    log = writer.log.read_text()
    assert log.count("Traceback (most recent call last)") >= 3
    assert log.startswith("`03`\n")
    # The next run tries those again, and only those; its log has only what fails then.
    make_test(tmp_path, HUBMAP, "03", "19")
    with submission.Writer(HUBMAP, data, tmp_path / "s.csv") as writer:
        assert [image_id for image_id, _ in writer.todo()] == ["03", "11", "19"]
        writer["03"] = writer["19"] = A
        with writer.attempt("11"):
            raise MemoryError
    assert writer.log.read_text().startswith("`11`\nTraceback")
    assert writer.failed == {"11": "MemoryError"}
    assert submission.read(writer.path, HUBMAP) == wanted | {
        "03": [A.to_text()],
        "19": [A.to_text()],
    }


def test_strict_stops_at_the_first_one(tmp_path: Path) -> None:
    data = make_test(tmp_path, HUBMAP, "a", "b", "c")

    def run() -> None:
        with submission.Writer(HUBMAP, data, tmp_path / "s.csv", on_error="raise") as writer:
            for image_id, _ in writer.todo():
                with writer.attempt(image_id):
                    writer[image_id] = A if image_id != "b" else A.to_mask()

    with pytest.raises(SubmissionError, match=r"^`b`: expected an RLE") as caught:
        run()
    assert caught.value.__notes__ == ["this was image `b`"]
    texts = submission.read(tmp_path / "s.csv", HUBMAP)
    assert texts == {"a": [A.to_text()], "b": [], "c": []}
    assert not (tmp_path / "s.csv.log").exists()


def test_all_fail_and_that_is_told(tmp_path: Path) -> None:
    data = make_test(tmp_path, HUBMAP, "a", "b")

    def run() -> None:
        with submission.Writer(HUBMAP, data, tmp_path / "s.csv") as writer:
            for image_id, _ in writer.todo():
                with writer.attempt(image_id):
                    raise KeyError(image_id)

    with pytest.raises(SubmissionError) as caught:
        run()
    assert str(caught.value) == (
        "every image failed, 2 of 2: that is no bad image; what is in the file is valid, and empty\n"
        "  - `a`: KeyError: 'a'\n"
        "  - `b`: KeyError: 'b'\n"
        f"hint: `{tmp_path / 's.csv.log'}` has the tracebacks"
    )
    assert submission.validate(tmp_path / "s.csv", HUBMAP, data) == []


def test_an_error_after_the_masks_leaves_them(tmp_path: Path) -> None:
    data = make_test(tmp_path, HUBMAP, "a", "b")
    with submission.Writer(HUBMAP, data, tmp_path / "s.csv") as writer:
        with writer.attempt("a"):
            writer["a"] = A
            raise ValueError("a plot of it\nfailed")
        writer["b"] = B
    assert writer.failed == {"a": "ValueError: a plot of it"}
    assert submission.read(writer.path, HUBMAP) == {"a": [A.to_text()], "b": [B.to_text()]}


def test_a_cheaper_attempt_mends_a_failed_one(tmp_path: Path) -> None:
    data = make_test(tmp_path, HUBMAP, "a", "b")
    with submission.Writer(HUBMAP, data, tmp_path / "s.csv") as writer:
        for image_id, _ in writer.todo():
            with writer.attempt(image_id):
                raise MemoryError
            assert image_id in writer.failed
            with writer.attempt(image_id):
                writer[image_id] = A
    assert writer.failed == {}
    assert submission.read(writer.path, HUBMAP) == {"a": [A.to_text()], "b": [A.to_text()]}


def test_errors_after_all_masks_do_not_stop_the_run(tmp_path: Path) -> None:
    data = make_test(tmp_path, HUBMAP, "a", "b")
    with submission.Writer(HUBMAP, data, tmp_path / "s.csv") as writer:
        for image_id, _ in writer.todo():
            with writer.attempt(image_id):
                writer[image_id] = A
                raise ValueError("a plot")
    assert writer.failed.keys() == {"a", "b"}
    assert submission.read(writer.path, HUBMAP) == {"a": [A.to_text()], "b": [A.to_text()]}


def test_a_log_of_ones_own_stays(tmp_path: Path) -> None:
    (tmp_path / "s.log").write_text("mine")
    data = make_test(tmp_path, HUBMAP, "a")
    with submission.Writer(HUBMAP, data, tmp_path / "s.csv"):
        pass
    assert (tmp_path / "s.log").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "why"), [("none/s.csv", "its folder is not there"), ("test", "it is a folder")]
)
def test_where_no_file_can_be(name: str, why: str, tmp_path: Path) -> None:
    data = make_test(tmp_path, HUBMAP, "a")
    with pytest.raises(SubmissionError) as caught, submission.Writer(HUBMAP, data, tmp_path / name):
        pass
    assert str(caught.value) == f"`{tmp_path / name}` cannot be written: {why}"


def test_an_id_that_is_a_number(tmp_path: Path) -> None:
    data = make_test(tmp_path, HUBMAP, "10044")
    with (
        submission.Writer(HUBMAP, data, tmp_path / "s.csv") as writer,
        pytest.raises(SubmissionError) as caught,
    ):
        writer[10044] = A  # type: ignore[index]
    assert caught.value.problems == ("near: `10044`",)


def test_what_attempt_lets_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_test(tmp_path, HUBMAP, "a", "b")
    with submission.Writer(HUBMAP, data, tmp_path / "s.csv") as writer:
        with (
            pytest.raises(SubmissionError, match=r"^`c` is not a test image: 2 are known\n"),
            writer.attempt("c"),
        ):
            pass
        with pytest.raises(KeyboardInterrupt), writer.attempt("a"):
            raise KeyboardInterrupt
        with monkeypatch.context() as patch:

            def full(self, *texts) -> None:
                raise OSError("disk full")

            patch.setattr(module.Journal, "append", full)
            with pytest.raises(OSError, match=r"^disk full\n"), writer.attempt("a"):
                writer["a"] = A
        with writer.attempt("b"):
            raise ValueError("\udcff")  # a name that is not UTF-8
        with writer.attempt("b"):
            raise OSError("this one's file alone")
        writer["a"] = A
    assert writer.failed == {"b": "OSError: this one's file alone"}


def test_on_error_is_one_of_two(tmp_path: Path) -> None:
    data = make_test(tmp_path, HUBMAP, "a")
    with pytest.raises(ValueError, match=r"^on_error='skip': expected 'empty' or 'raise'$"):
        submission.Writer(HUBMAP, data, on_error="skip")


def test_the_size_of_a_damaged_image_is_left_open(tmp_path: Path) -> None:
    comp = KINDS["predictions"]
    data = make_test(tmp_path, comp, "a", "b")
    damage(data, "b")
    with submission.Writer(comp, data, tmp_path / "s.csv") as writer:
        assert writer.path.read_text() == "id,height,width,prediction_string\na,20,30,\nb,0,0,\n"
        assert submission.validate(writer.path, comp, data) == []


def test_rows_of_instances_and_of_unions(tmp_path: Path) -> None:
    masks = [A.reorder("C"), B, RLE.empty(SHAPE)]
    bowl = make_test(tmp_path / "bowl", BOWL, "a", "b")
    with submission.Writer(BOWL, bowl, tmp_path / "bowl.csv") as writer:
        writer["a"] = masks
        writer["b"] = []
    texts = submission.read(tmp_path / "bowl.csv", BOWL)
    assert texts == {"a": [A.to_text(), B.to_text()], "b": []}
    hubmap = make_test(tmp_path / "hubmap", HUBMAP, "a", "b")
    with submission.Writer(HUBMAP, hubmap, tmp_path / "hubmap.csv") as writer:
        writer["a"] = masks
        writer["b"] = B.reorder("C")
    texts = submission.read(tmp_path / "hubmap.csv", HUBMAP)
    assert texts == {"a": [(A | B).to_text()], "b": [B.to_text()]}


def test_default_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_test(tmp_path / "tree", HUBMAP, "a")
    working = tmp_path / "working"
    monkeypatch.setenv("KAGGLEKIT_WORKING", str(working))
    monkeypatch.chdir(tmp_path)
    assert submission.Writer(HUBMAP, data).path == Path("submission.csv")
    working.mkdir()
    assert submission.Writer(HUBMAP, data).path == working / "submission.csv"


@pytest.mark.parametrize("slug", ["data-science-bowl-2018", "hubmap-hacking-the-human-vasculature"])
def test_one_mask_is_its_connected_parts_where_instances_are_wanted(slug: str) -> None:
    rules = competitions.load(slug).submission
    both = instances.union([A, B], A.shape)
    assert to_texts(both, A.shape, rules) == to_texts([A, B], A.shape, rules)
    assert to_texts([both], A.shape, rules) != to_texts(both, A.shape, rules)
    assert to_texts(RLE.empty(A.shape), A.shape, rules) == empty_texts(rules)


def test_what_the_writer_refuses(tmp_path: Path) -> None:
    data = make_test(tmp_path, BOWL, "abc")
    writer = submission.Writer(BOWL, data, tmp_path / "s.csv")
    with pytest.raises(SubmissionError, match=r"because the Writer is used outside `with`"):
        writer["abc"] = A
    with writer:
        with pytest.raises(SubmissionError) as caught:
            writer["abd"] = A
        assert str(caught.value) == (
            "`abd` is not a test image: 1 are known\n"
            "  - near: `abc`\n"
            "hint: take the ids from `todo()`"
        )
        with pytest.raises(SubmissionError) as caught:
            writer["abc"] = [A, RLE.from_text("1 3", (30, 20))]
        assert str(caught.value) == (
            "`abc`: the image is 20 × 30 pixels (height × width) and its mask 30 × 20\n"
            "hint: masks are submitted at the image's own size: resize back before encoding"
        )
        with pytest.raises(SubmissionError) as caught:
            writer["abc"] = [A, RLE.empty(A.shape), B, box(7, 11, 3, 4)]
        assert str(caught.value) == (
            "`abc`: instances 0 and 3 share pixels, which the competition refuses\n"
            "hint: give each pixel to one instance: kagglekit.instances.without_overlaps(masks)"
        )
        with pytest.raises(SubmissionError) as caught:
            writer["abc"] = A.to_mask()
        assert str(caught.value) == (
            "`abc`: expected an RLE or a list of them, got ndarray\n"
            "hint: encode a mask first: RLE.from_mask(mask)"
        )
        with pytest.raises(SubmissionError) as caught:
            writer["abc"] = {1: A}
        assert str(caught.value) == (
            "`abc`: expected an RLE or a list of them, got dict\n"
            "hint: give its masks: list(masks.values())"
        )
        assert submission.read(tmp_path / "s.csv", BOWL) == {"abc": []}


def test_no_test_images(tmp_path: Path) -> None:
    (tmp_path / "train.csv").touch()
    data = HUBMAP.find_data(tmp_path)
    writer = submission.Writer(HUBMAP, data, tmp_path / "s.csv")
    with pytest.raises(DataError, match=r"^no file matches `test/{id}\.tiff`"), writer:
        pass


def test_a_write_that_fails_leaves_the_last_good_file(tmp_path: Path, monkeypatch) -> None:
    data = make_test(tmp_path, HUBMAP, "a", "b")
    out = tmp_path / "s.csv"
    with submission.Writer(HUBMAP, data, out) as writer:
        writer["a"] = A
        before = out.read_bytes()

        for at in range(1, 4):  # the journal's, the file's, its rename
            calls = []

            def full(*_, calls=calls, at=at) -> None:
                calls.append(1)
                if len(calls) == at:
                    raise OSError("disk full")

            with monkeypatch.context() as patch:
                patch.setattr(os, "fsync", full)
                patch.setattr(Path, "replace", full)
                patch.setattr(module, "_SECONDS", 0.0)
                patch.setattr(module, "_SHARE", 0)
                with pytest.raises(OSError, match=r"^disk full$"):
                    writer["b"] = B
            assert out.read_bytes() == before, at
            assert submission.validate(out, HUBMAP, data) == []
            assert not list(tmp_path.glob("*.tmp")) + list(tmp_path.glob(".*.tmp")), (
                "half a file stays"
            )
    assert submission.read(out, HUBMAP) == {"a": [A.to_text()], "b": [B.to_text()]}


def test_a_journal_with_a_torn_line_and_a_gone_image(tmp_path: Path) -> None:
    data = make_test(tmp_path, HUBMAP, "a", "b")
    writer = submission.Writer(HUBMAP, data, tmp_path / "s.csv")
    writer.journal.write_text('["a", [""]]\n5\n["c", 5]\n["gone", ["1 1"]]\n["b", ["1')
    with writer:
        assert [image_id for image_id, _ in writer.todo()] == ["b"]
        assert writer.path.read_text() == "id,predicted\na,\nb,\n"
        writer["b"] = B
        # As a second run would find it, should this one be killed now.
        second = submission.Writer(HUBMAP, data, tmp_path / "t.csv")
        second.journal.write_text(writer.journal.read_text())
        with second:
            assert list(second.todo()) == []
    assert writer.path.read_text() == f"id,predicted\na,\nb,{B.to_text()}\n"


def test_an_exception_keeps_what_is_done(tmp_path: Path) -> None:
    data = make_test(tmp_path, HUBMAP, "a", "b")

    def run(fail_at: str) -> list[str]:
        seen = []
        with submission.Writer(HUBMAP, data, tmp_path / "s.csv") as writer:
            for image_id, _ in writer.todo():
                seen.append(image_id)
                writer[image_id] = A if image_id != fail_at else RLE.empty((1, 1)) | A
        return seen

    with pytest.raises(RLEError):
        run(fail_at="b")
    assert run(fail_at="") == ["b"]
    assert run(fail_at="") == ["a", "b"], "after a whole run the next starts afresh"
