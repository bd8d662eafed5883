"""The `kagglekit` command: exit codes and output, whole."""

import argparse
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from kagglekit import __version__, cli, competitions, submission
from kagglekit.competitions import fake, table
from kagglekit.errors import NetworkError
from kagglekit.offline import image
from kagglekit.rehearsal import rehearse
from kagglekit.rehearsal.inside.family import descendants
from kagglekit.rehearsal.judge import Verdict
from kagglekit.rehearsal.limits import Limits, limits_of
from kagglekit.rehearsal.plan import Plan
from kagglekit.rehearsal.report import Report
from kagglekit.rle import RLE

BOWL = competitions.load("data-science-bowl-2018")
Output = pytest.CaptureFixture[str]


def refused(arguments: list[str], capsys: Output) -> str:
    """Return the last line of what argparse says to a command line it does not understand."""
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_version(capsys: Output) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"kagglekit {__version__}\n"


def test_help_names_the_commands(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    # Pythons differ in how far the right column is moved.
    told = re.sub(" +", " ", capsys.readouterr().out)
    assert told == re.sub(
        " +",
        " ",
        "usage: kagglekit [-h] [--version] COMMAND ...\n"
        "\n"
        "From a trained segmentation model to a Kaggle score, proved on your own machine.\n"
        "\n"
        "positional arguments:\n"
        "  COMMAND\n"
        "    rehearse    run a notebook as Kaggle will, with no network, and judge its submission\n"
        "    build       build the offline bundle: what the Kaggle image lacks\n"
        "    check-bundle\n"
        "                prove without a network that a bundle installs on its images\n"
        "    upload      upload a bundle as a private dataset of yours\n"
        "    push        push a notebook: internet off, T4, image pinned, bundle attached\n"
        "    images      list the Kaggle images whose versions are known\n"
        "    probe       print a cell that lists the Kaggle image it runs in, for --image FILE\n"
        "    fake        make a competition folder out of synthetic images\n"
        "    competitions\n"
        "                list the competitions with a profile\n"
        "    tiles       write train images at the resolution a model sees; goes on after a kill\n"
        "    check       list everything wrong with a submission.csv, and how train.csv is written\n"
        "    score       score a submission.csv against the truth, as the competition does\n"
        "\n"
        "options:\n"
        "  -h, --help    show this help message and exit\n"
        "  --version     show program's version number and exit\n",
    )


def test_no_command(capsys: Output) -> None:
    told = refused([], capsys)
    assert told == "kagglekit: error: the following arguments are required: COMMAND"


def test_starting_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.modules.update(numpy=None, torch=None, cv2=None, pandas=None)\n"
        "from kagglekit import cli; cli._parser()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_competitions_are_listed(capsys: Output) -> None:
    assert cli.main(["competitions"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["competition", "title", "rows", "metric", "order", "hours"]
    assert [line.split()[0] for line in lines] == competitions.slugs()
    severstal = next(line for line in lines if line.startswith("severstal"))
    assert severstal.split()[-5:] == ["classes", "mean", "dice", "F", "1"]


class TestFake:
    def test_a_tree_is_written(self, tmp_path: Path, capsys: Output) -> None:
        out = tmp_path / "tree"
        assert cli.main(["fake", "hubmap-kidney-segmentation", "--out", str(out)]) == 0
        assert capsys.readouterr() == (f"{out}: HuBMAP - Hacking the Kidney, 1 test image\n", "")
        comp = competitions.load("hubmap-kidney-segmentation")
        assert len(comp.find_data(out).test_images()) == 1

    def test_seeds(self, tmp_path: Path, capsys: Output) -> None:
        out = tmp_path / "tree"
        arguments = ["fake", "hubmap-kidney-segmentation", "--out", str(out), "--seed"]
        assert refused([*arguments, "-1"], capsys) == (
            "kagglekit fake: error: argument --seed: `-1` is not a whole number of at least 0"
        )
        assert cli.main([*arguments, "1"]) == 0
        assert capsys.readouterr().out == f"{out}: HuBMAP - Hacking the Kidney, 2 test images\n"

    def test_the_hidden_test(self, tmp_path: Path, capsys: Output) -> None:
        out = tmp_path / "tree"
        arguments = ["fake", "tgs-salt-identification-challenge", "--out", str(out), "--hidden"]
        assert cli.main(arguments) == 0
        told = f"{out}: TGS Salt Identification Challenge, 5 test images\n"
        assert capsys.readouterr() == (told, "")

    def test_an_unknown_competition(self, tmp_path: Path, capsys: Output) -> None:
        assert cli.main(["fake", "kidney", "--out", str(tmp_path)]) == 5
        assert capsys.readouterr() == (
            "",
            "error: no profile for competition `kidney`\n"
            "hint: there is `hubmap-kidney-segmentation`\n",
        )

    def test_a_folder_that_is_in_use(self, tmp_path: Path, capsys: Output) -> None:
        (tmp_path / "x").touch()
        assert cli.main(["fake", BOWL.slug, "--out", str(tmp_path)]) == 5
        assert capsys.readouterr().err == (
            f"error: `{tmp_path}` is not empty: two trees in one folder would be neither\n"
            "hint: give a new folder, or delete this one first\n"
        )

    def test_what_the_system_refuses(self, tmp_path: Path, capsys: Output) -> None:
        (tmp_path / "file").touch()
        assert cli.main(["fake", BOWL.slug, "--out", str(tmp_path / "file")]) == 1
        told = capsys.readouterr().err
        assert told == f"error: [Errno 17] File exists: '{tmp_path}/file'\n"


class TestCheck:
    @pytest.fixture
    def tree(self, tmp_path: Path) -> Path:
        root = tmp_path / "input" / BOWL.slug
        truth = fake.make(BOWL, root, train=0, test=1, size=(60, 80))
        submission.write_truth(tmp_path / "submission.csv", BOWL, truth)
        return root

    def test_fit(self, tree: Path, tmp_path: Path, capsys: Output) -> None:
        path = str(tmp_path / "submission.csv")
        arguments = ["check", path, "--competition", BOWL.slug, "--data", str(tree)]
        assert cli.main(arguments) == 0
        assert capsys.readouterr() == (f"{path}: fit to submit to 2018 Data Science Bowl\n", "")

    def test_data_is_found_where_kaggle_mounts_it(
        self, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("KAGGLEKIT_INPUT", str(tree.parent))
        path = str(tmp_path / "submission.csv")
        assert cli.main(["check", path, "--competition", BOWL.slug]) == 0

    def test_unfit(self, tree: Path, tmp_path: Path, capsys: Output) -> None:
        path = tmp_path / "submission.csv"
        path.write_text("ImageId,EncodedPixels\nwhat,1 2\n")
        arguments = ["check", str(path), "--competition", BOWL.slug, "--data", str(tree)]
        assert cli.main(arguments) == 6
        image_id = next(iter(BOWL.find_data(tree).test_images()))
        assert capsys.readouterr() == (
            "",
            f"error: {path} is not fit to submit\n"
            "  - Submission Scoring Error: row 2, `what`: no such test image\n"
            f"  - Submission Scoring Error: `{image_id}`: no row\n",
        )

    def test_no_file(self, tree: Path, tmp_path: Path, capsys: Output) -> None:
        path = tmp_path / "nosuch.csv"
        arguments = ["check", str(path), "--competition", BOWL.slug, "--data", str(tree)]
        assert cli.main(arguments) == 6
        assert capsys.readouterr().err == (
            f"error: {path} is not fit to submit\n"
            f"  - Submission CSV Not Found: there is no `{path}`\n"
        )

    def labelled(self, tmp_path: Path, order: str) -> Path:
        """A tree whose train table counts its masks in this order."""
        root = tmp_path / "labelled"
        fake.make(BOWL, root, train=4, test=1, size=(60, 80))
        data = BOWL.find_data(root)
        rows = [
            (image, RLE.from_mask(mask.to_mask(), order=order).to_text())
            for image in data.train_images()
            for mask in data.truth(image)
        ]
        table.write_table(root / BOWL.train_table.path, ("ImageId", "EncodedPixels"), rows)
        return root

    def test_the_train_table_alone(self, tmp_path: Path, capsys: Output) -> None:
        root = self.labelled(tmp_path, "F")
        assert cli.main(["check", "--competition", BOWL.slug, "--data", str(root)]) == 0
        order, base = capsys.readouterr().out.splitlines()
        assert order.startswith("stage1_train_labels.csv: order F: ")
        assert base.startswith("stage1_train_labels.csv: base ")

    def test_nothing_to_check(self, tree: Path, capsys: Output) -> None:
        assert cli.main(["check", "--competition", BOWL.slug, "--data", str(tree)]) == 5
        assert capsys.readouterr().err == (
            f"error: nothing to check: `{tree}` has no labelled images with "
            "`stage1_train_labels.csv`\nhint: give a submission.csv\n"
        )

    def test_a_train_table_that_contradicts_the_profile(
        self, tmp_path: Path, capsys: Output
    ) -> None:
        root = self.labelled(tmp_path, "C")
        assert cli.main(["check", "--competition", BOWL.slug, "--data", str(root)]) == 5
        told = capsys.readouterr().err
        assert told.startswith(
            "error: stage1_train_labels.csv is not written as the profile says\n"
            '  - the masks are counted along the rows, expected down the columns (order="F"): 0 '
        )

    def test_no_data(self, tmp_path: Path, capsys: Output) -> None:
        gone = tmp_path / "gone"
        arguments = ["check", "x.csv", "--competition", BOWL.slug, "--data", str(gone)]
        assert cli.main(arguments) == 5
        assert capsys.readouterr().err.startswith(f"error: `{gone}` is not the tree of ")


class TestBuild:
    def test_what_it_hands_on(self, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
        seen: list[argparse.Namespace] = []

        def build(arguments: argparse.Namespace, say: Any) -> None:
            seen.append(arguments)
            say("two wheels")

        monkeypatch.setattr(cli.offline.command, "run", build)
        assert cli.main(["build", "--image", "a", "--image", "b", "--owner", "me"]) == 0
        assert capsys.readouterr() == ("two wheels\n", "")
        assert (seen[0].image, seen[0].owner) == (["a", "b"], "me")
        assert seen[0].out.name == "kagglekit-offline"

    def test_an_unknown_image(self, capsys: Output) -> None:
        assert cli.main(["build", "--image", "nosuch"]) == 16
        known = "".join(f"  - known: {name}\n" for name in image.names())
        assert capsys.readouterr() == (
            "",
            "error: `nosuch` is neither a known Kaggle image nor a readable list of versions "
            f"([Errno 2] No such file or directory: 'nosuch')\n{known}",
        )


class TestRehearse:
    @pytest.fixture
    def plans(self, monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
        """The plans that were carried out, each by a rehearsal that passes."""
        plans: list[Plan] = []

        def carry_out(plan: Plan, say: Any) -> Report:
            plans.append(plan)
            say("[1] data …")
            good = Verdict(True, "Succeeded")
            verdicts = {"visible": good, "hidden": good}
            return Report(plan.comp.title, plan.notebook.name, plan.image, verdicts=verdicts)

        monkeypatch.setattr(rehearse, "rehearse", carry_out)
        return plans

    @pytest.fixture
    def notebook(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        path = tmp_path / "my_submit.py"
        path.write_text('"data-science-bowl-2018"\n')
        return path

    def test_passed(self, plans: list[Plan], notebook: Path, capsys: Output) -> None:
        assert cli.main(["rehearse", notebook.name]) == 0
        out = notebook.parent / "rehearsals" / BOWL.slug
        assert capsys.readouterr() == (
            "[1] data …\n"
            "\n"
            "visible test  passed  Kaggle: Succeeded\n"
            "hidden test   passed  Kaggle: Succeeded\n"
            "\n"
            "PASSED: this notebook is fit to submit\n"
            f"report: {out}/report.html\n",
            "",
        )
        assert plans == [
            Plan(Path(notebook.name), BOWL, image.DEFAULT, out, limits=limits_of(BOWL))
        ]

    def test_every_option(self, plans: list[Plan], notebook: Path) -> None:
        arguments = ["rehearse", str(notebook), "--competition", "hubmap-kidney-segmentation"]
        arguments += ["--data", "d", "--image", "kaggle-2026-06-cpu", "--out", "o"]
        arguments += ["--minutes", "2.5", "--bundle", "b", "--trained", "t"]
        arguments += ["--attach", "w", "--attach", "t", "--fuzz", "3"]
        arguments += ["--hours", "0.5", "--ram", "16", "--disk", "5"]
        for name in "tw":
            Path(name).mkdir()
        assert cli.main(arguments) == 0
        kidney = competitions.load("hubmap-kidney-segmentation")
        assert plans == [
            Plan(
                notebook, kidney, "kaggle-2026-06-cpu", notebook.parent / "o",
                data=Path("d"), trained=Path("t"), attach=(Path("w"), Path("t")),
                bundle=Path("b"), minutes=2.5, limits=Limits(1800, 16e9, 5e9), fuzz=3,
            )
        ]  # fmt: skip

    def test_failed(self, notebook: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
        report = Report("x", "n", "i", failure="the training notebook failed in cell 1: odd")
        monkeypatch.setattr(rehearse, "rehearse", lambda plan, say: report)
        assert cli.main(["rehearse", str(notebook), "--out", "o"]) == 21
        assert capsys.readouterr().out == (
            "\nthe training notebook failed in cell 1: odd\n\n"
            "FAILED: do not submit this\n"
            f"report: {notebook.parent}/o/report.html\n"
        )

    def test_not_carried_out(
        self, notebook: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
    ) -> None:
        def stop(plan: Plan, say: Any) -> Report:
            raise NetworkError("the package index could not be reached")

        monkeypatch.setattr(rehearse, "rehearse", stop)
        assert cli.main(["rehearse", str(notebook)]) == 14
        assert capsys.readouterr() == ("", "error: the package index could not be reached\n")

    @pytest.mark.usefixtures("notebook")
    @pytest.mark.parametrize(
        ("arguments", "code", "told"),
        [
            (["nosuch.ipynb"], 20, "there is no notebook at `nosuch.ipynb`\n"),
            (
                ["my_submit.py", "--competition", "data-science-bowl"],
                5,
                "no profile for competition `data-science-bowl`\n"
                "hint: there is `data-science-bowl-2018`\n",
            ),
            (
                [],
                20,
                "no notebook for `hubmap-kidney-segmentation`: none of "
                "`notebooks/*_submit.ipynb` names it\n"
                "hint: give the notebook to rehearse: kagglekit rehearse my_submit.ipynb\n",
            ),
        ],
    )
    def test_bad_input(self, arguments: list[str], code: int, told: str, capsys: Output) -> None:
        assert cli.main(["rehearse", *arguments]) == code
        assert capsys.readouterr() == ("", f"error: {told}")

    @pytest.mark.parametrize(
        ("option", "value", "told"),
        [
            ("--minutes", "soon", "`soon` is not a number of minutes above 0"),
            ("--minutes", "0", "`0` is not a number of minutes above 0"),
            ("--minutes", "nan", "`nan` is not a number of minutes above 0"),
            ("--hours", "0", "`0` is not a number above 0"),
            ("--fuzz", "-1", "`-1` is not a whole number of at least 0"),
            ("--trained", "/no/such", "`/no/such` is not a folder"),
            ("--attach", "/no/such", "`/no/such` is not a folder"),
        ],
    )
    def test_bad_options(self, option: str, value: str, told: str, capsys: Output) -> None:
        assert refused(["rehearse", option, value], capsys) == (
            f"kagglekit rehearse: error: argument {option}: {told}"
        )


def test_the_verdict_s_exit_code_stands_in_the_document() -> None:
    document = Path(__file__).resolve().parents[1] / "docs" / "exit-codes.md"
    assert f"| {cli.FAILED_VERDICT} | | a rehearsal was carried out, " in document.read_text()


def test_it_runs_in_any_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_rehearse", lambda _: 7)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(cli.main, ["rehearse"]).result() == 7


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_what_it_has_started_ends_with_it(tmp_path: Path, name: str) -> None:
    """A rehearsal that is stopped: its sandbox, and what runs in there in a session of its own."""
    code = """
        import signal
        import sys
        from pathlib import Path
        from kagglekit import cli
        from kagglekit.rehearsal import sandbox

        def rehearse(options):
            session = sandbox.Session({}, Path("working"), Path("scratch"), Path(sys.prefix))
            waits = "setsid sleep 600 & sleep 1; echo started; wait"
            sandbox.run(["bash", "-c", waits], session, lambda line: print(line, flush=True))

        # The tests themselves may run where signals are ignored, as under nohup.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        cli._rehearse = rehearse
        sys.exit(cli.main(["rehearse"]))
        """
    (tmp_path / "working").mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        started = descendants(process.pid)
        number = getattr(signal, name)
        process.send_signal(number)
        try:
            _, told = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 128 + number
    assert told == ("error: stopped\n" if name == "SIGINT" else "")
    assert len(started) >= 2
    until = time.monotonic() + 30  # the system takes its time to bury them
    while left := [pid for pid in started if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < until, left
        time.sleep(0.05)


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kagglekit", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"kagglekit {__version__}\n"
    failed = subprocess.run([sys.executable, "-m", "kagglekit", "check", "no.csv"], check=False)
    assert failed.returncode != 0


def test_a_reader_who_has_seen_enough_is_no_error() -> None:
    command = [sys.executable, "-m", "kagglekit", "competitions"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        told = process.stderr.read()
    assert (process.returncode, told) == (128 + 13, b"")


def test_without_an_output_a_command_does_its_work() -> None:
    command = f"{sys.executable} -m kagglekit competitions >&-"
    ended = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_name_that_the_terminal_has_no_letters_for(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "kagglekit", "fake", "tgs-salt-identification-challenge"]
    ended = subprocess.run(
        [*command, "--out", "ü"], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("\\xfc: ")
