"""The file is valid at every moment, whatever ends the run, and the next run goes on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from kagglekit import competitions, submission
from kagglekit.competitions import template
from kagglekit.errors import DataError, RLEError, SubmissionError
from kagglekit.rle import RLE

HUBMAP = competitions.load("hubmap-kidney-segmentation")
BOWL = competitions.load("data-science-bowl-2018")
BOTH = pytest.mark.parametrize("comp", [HUBMAP, BOWL], ids=lambda comp: comp.slug)
SHAPE = (20, 30)


def make_test(root: Path, comp: competitions.Profile, *ids: str) -> competitions.Data:
    for image_id in ids:
        path = root / template.fill(comp.tree.test_images, id=image_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.zeros((*SHAPE, 3), np.uint8))
    return comp.find_data(root)


def box(y0: int, y1: int, x0: int, x1: int, order: str = "F") -> RLE:
    mask = np.zeros(SHAPE, np.uint8)
    mask[y0:y1, x0:x1] = 1
    return RLE.from_mask(mask, order=order)


A, B = box(2, 8, 3, 20), box(10, 15, 3, 9)


@BOTH
def test_a_valid_empty_file_exists_from_the_first_moment(tmp_path: Path, comp) -> None:
    data = make_test(tmp_path, comp, "b", "00123", "a")
    out = tmp_path / "s.csv"
    with submission.Writer(comp, data, out):
        header = f"{comp.submission.id},{comp.submission.rle}\n"
        assert out.read_text() == header + "00123,\na,\nb,\n"
        assert submission.validate(out, comp, data) == []


def test_every_mask_replaces_the_file(tmp_path: Path) -> None:
    data = make_test(tmp_path, HUBMAP, "a", "b")
    out = tmp_path / "s.csv"
    with submission.Writer(HUBMAP, data, out) as writer:
        todo = writer.todo()
        image_id, path = next(todo)
        assert (image_id, path) == ("a", tmp_path / "test/a.tiff")
        writer["a"] = A
        assert submission.read(out, HUBMAP) == {"a": [A.to_text()], "b": []}
        assert [image_id for image_id, _ in todo] == ["b"]
        writer["b"] = RLE.empty(SHAPE)
        assert submission.validate(out, HUBMAP, data) == []
    names = sorted(path.name for path in tmp_path.iterdir() if path.is_file())
    assert names == ["s.csv"], "neither journal nor temporary file stays behind"


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
            writer["abc"] = [A, B, box(7, 11, 3, 4)]
        assert str(caught.value) == (
            "`abc`: instances 0 and 2 share pixels, which `data-science-bowl-2018` refuses\n"
            "hint: give each pixel to one instance: kagglekit.instances.without_overlaps(masks)"
        )
        with pytest.raises(SubmissionError) as caught:
            writer["abc"] = A.to_mask()
        assert str(caught.value) == (
            "`abc`: expected an RLE or a list of them, got ndarray\n"
            "hint: encode a mask first: RLE.from_mask(mask)"
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

        calls = []

        def full_at_second_call(_: int) -> None:  # the first is the journal's
            calls.append(1)
            if len(calls) == 2:
                raise OSError("disk full")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full_at_second_call)
            with pytest.raises(OSError, match=r"^disk full$"):
                writer["b"] = B
        assert out.read_bytes() == before
        assert submission.validate(out, HUBMAP, data) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from kagglekit import competitions, submission
from kagglekit.rle import RLE

slug, root, out, moment = sys.argv[1:]
comp = competitions.load(slug)
moments = iter(range(1000))

def tick(function):
    def counted(*args):
        if next(moments) == int(moment):
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args)
    return counted

os.fsync, Path.replace = tick(os.fsync), tick(Path.replace)
with submission.Writer(comp, comp.find_data(root), out) as writer:
    for number, (image_id, _) in enumerate(writer.todo()):
        writer[image_id] = RLE.from_text(f"{ord(image_id)} 5", (20, 30))
"""


@pytest.mark.parametrize("moment", [1, 2, 3, 4, 7])
def test_killed_at_any_moment_the_next_run_ends_the_same(tmp_path: Path, moment: int) -> None:
    # 0 and 1 write and rename the empty file; 2 journals `a`, 3 writes and 4 renames; 5 is `b`.
    data = make_test(tmp_path / "tree", BOWL, "a", "b", "c")
    out = tmp_path / "s.csv"
    out.write_text("ImageId,EncodedPixels\na,1 1\n")  # from an earlier day: not to be trusted
    command = [sys.executable, "-c", KILLED, BOWL.slug, str(tmp_path / "tree"), str(out)]
    died = subprocess.run([*command, str(moment)], capture_output=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    if moment > 1:
        assert submission.validate(out, BOWL, data) == []
    with submission.Writer(BOWL, data, out) as writer:
        todo = [image_id for image_id, _ in writer.todo()]
        assert "".join(todo) == {1: "abc", 2: "bc", 3: "bc", 4: "bc", 7: "c"}[moment]
        for image_id in todo:
            writer[image_id] = RLE.from_text(f"{ord(image_id)} 5", SHAPE)
    assert out.read_text() == "ImageId,EncodedPixels\na,97 5\nb,98 5\nc,99 5\n"
    assert not writer.journal.exists()


def test_a_journal_with_a_torn_line_and_a_gone_image(tmp_path: Path) -> None:
    data = make_test(tmp_path, HUBMAP, "a", "b")
    writer = submission.Writer(HUBMAP, data, tmp_path / "s.csv")
    writer.journal.write_text('["a", [""]]\n["gone", ["1 1"]]\n["b", ["1')
    with writer:
        assert [image_id for image_id, _ in writer.todo()] == ["b"]
        assert writer.path.read_text() == "id,predicted\na,\nb,\n"
        writer["b"] = B
        # As a second run would find it, should this one be killed now.
        with submission.Writer(HUBMAP, data, tmp_path / "s.csv") as second:
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
